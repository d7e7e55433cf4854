package golden;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;

/**
 * Frames as Apache Kafka's classes write and read them. One frame a line, tab-separated:
 * key, request|response|batch, version, "exact" or "tags" (has unknown tagged fields: bytes need not come back),
 * bytes in hex, values as text.
 *
 *   write FILE SEED PER_VERSION KEY...   random values, filled in by reflection
 *   check FILE                           decodes each frame, compares text and bytes; exit 1 on a difference
 *   trailing                             what Kafka's request parser does with bytes behind the end
 */
public final class Golden {
    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "write" -> write(Path.of(args[1]), Long.parseLong(args[2]), Integer.parseInt(args[3]),
                List.of(args).subList(4, args.length));
            case "check" -> System.exit(check(Path.of(args[1])));
            case "trailing" -> Trailing.report();
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static void write(Path file, long seed, int perVersion, List<String> keys) throws Exception {
        TreeSet<Short> wanted = new TreeSet<>();
        keys.forEach(k -> wanted.add(Short.parseShort(k)));
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(file))) {
            for (short key : wanted) {
                ApiMessageType api = ApiMessageType.fromApiKey(key);
                for (short v = api.lowestSupportedVersion(); v <= api.highestSupportedVersion(true); v++) {
                    for (int i = 0; i < perVersion; i++) {
                        // The first frame of each version holds only defaults, every fourth unknown tags.
                        boolean defaults = i == 0;
                        boolean tags = i % 4 == 3;
                        Random random = new Random(seed * 1_000_003 + key * 10_007 + v * 101 + i);
                        frame(out, api, "request", api.newRequest(), v, defaults, tags, random);
                        frame(out, api, "response", api.newResponse(), v, defaults, tags, random);
                    }
                }
            }
            Batches.write(out, seed, perVersion);
        }
    }

    private static void frame(PrintWriter out, ApiMessageType api, String kind, ApiMessage message, short version,
                              boolean defaults, boolean tags, Random random) throws Exception {
        boolean flexible = api.requestHeaderVersion(version) >= 2;
        if (!defaults) {
            new Filler(random, tags && flexible).fill(message, Messages.schema(message.getClass(), version));
        }
        byte[] bytes = Messages.encode(message, version);
        out.println(String.join("\t", Short.toString(api.apiKey()), kind, Short.toString(version),
            tags && flexible && !defaults ? "tags" : "exact", HexFormat.of().formatHex(bytes), Text.of(message)));
    }

    private static int check(Path file) throws Exception {
        int bad = 0;
        int all = 0;
        for (String line : Files.readAllLines(file, StandardCharsets.UTF_8)) {
            String[] part = line.split("\t", -1);
            if (line.startsWith("#")) {
                continue;
            }
            all++;
            String problem;
            try {
                byte[] bytes = HexFormat.of().parseHex(part[4]);
                problem = part[1].equals("batch") ? Batches.problem(bytes, part[5])
                    : Messages.problem(Short.parseShort(part[0]), part[1], Short.parseShort(part[2]), bytes, part[5]);
            } catch (Exception e) {
                problem = e.toString();
            }
            if (problem != null && bad++ < 10) {
                System.out.println("line " + all + ", key " + part[0] + " " + part[1] + " v" + part[2] + ": " + problem);
            }
        }
        System.out.println("java: " + all + " frames checked, " + bad + " differ");
        return bad == 0 && all > 0 ? 0 : 1;
    }
}
