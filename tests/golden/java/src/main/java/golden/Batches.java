package golden;

import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.Random;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;

/** Record batches in every codec. */
final class Batches {
    static void write(PrintWriter out, long seed, int each) throws Exception {
        for (CompressionType codec : CompressionType.values()) {
            for (int i = 0; i < each; i++) {
                byte[] batch = build(codec, i, new Random(seed * 31 + codec.id * 7 + i));
                out.println(String.join("\t", Integer.toString(codec.id), "batch", "2", "exact",
                    HexFormat.of().formatHex(batch), text(batch)));
            }
        }
    }

    private static byte[] build(CompressionType codec, int round, Random random) {
        boolean idempotent = round % 2 == 1;
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(ByteBuffer.allocate(1024), RecordBatch.CURRENT_MAGIC_VALUE,
            Compression.of(codec).build(), TimestampType.CREATE_TIME, 0, RecordBatch.NO_TIMESTAMP,
            idempotent ? 4711 : RecordBatch.NO_PRODUCER_ID, idempotent ? (short) 3 : RecordBatch.NO_PRODUCER_EPOCH,
            idempotent ? 99 : RecordBatch.NO_SEQUENCE, false, false, RecordBatch.NO_PARTITION_LEADER_EPOCH, 1 << 20);
        int n = 1 + random.nextInt(4);
        for (int i = 0; i < n; i++) {
            Header[] headers = new Header[random.nextInt(3)];
            for (int h = 0; h < headers.length; h++) {
                headers[h] = new RecordHeader("h" + h, bytes(random, 4, 8));
            }
            builder.append(1_700_000_000_000L + random.nextInt(1000) - 500, bytes(random, 3, 20), bytes(random, 8, 60), headers);
        }
        return Text.bytesOf(builder.build().buffer());
    }

    /** Null one time in `nullOneIn`. */
    private static byte[] bytes(Random random, int nullOneIn, int max) {
        if (random.nextInt(nullOneIn) == 0) {
            return null;
        }
        byte[] bytes = new byte[random.nextInt(max)];
        random.nextBytes(bytes);
        return bytes;
    }

    static String problem(byte[] bytes, String text) {
        String read = text(bytes);
        return read.equals(text) ? null : "reads as " + read + " instead of " + text;
    }

    /** Header fields and all records of the one batch; throws when Kafka finds it invalid. */
    private static String text(byte[] bytes) {
        StringBuilder to = new StringBuilder();
        int batches = 0;
        for (RecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
            batch.ensureValid();
            batches++;
            to.append("{base_offset=").append(batch.baseOffset()).append(",leader_epoch=").append(batch.partitionLeaderEpoch())
                .append(",codec=").append(batch.compressionType().id).append(",last_offset=").append(batch.lastOffset())
                .append(",max_timestamp=").append(batch.maxTimestamp()).append(",producer_id=").append(batch.producerId())
                .append(",producer_epoch=").append(batch.producerEpoch()).append(",base_sequence=").append(batch.baseSequence())
                .append(",transactional=").append(batch.isTransactional()).append(",control=").append(batch.isControlBatch())
                .append(",records=[");
            String comma = "";
            for (Record record : batch) {
                to.append(comma).append("{offset=").append(record.offset()).append(",timestamp=").append(record.timestamp());
                comma = ",";
                to.append(",key=");
                bytes(to, record.hasKey() ? Text.bytesOf(record.key()) : null);
                to.append(",value=");
                bytes(to, record.hasValue() ? Text.bytesOf(record.value()) : null);
                to.append(",headers=[");
                String between = "";
                for (Header header : record.headers()) {
                    to.append(between);
                    between = ",";
                    Text.string(to, header.key());
                    to.append('=');
                    bytes(to, header.value());
                }
                to.append("]}");
            }
            to.append("]}");
        }
        if (batches != 1) {
            throw new IllegalArgumentException(batches + " batches");
        }
        return to.toString();
    }

    private static void bytes(StringBuilder to, byte[] bytes) {
        if (bytes == null) {
            to.append("null");
        } else {
            Text.hex(to, bytes);
        }
    }
}
