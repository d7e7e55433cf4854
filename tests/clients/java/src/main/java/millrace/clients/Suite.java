package millrace.clients;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.regex.Pattern;
import org.apache.kafka.common.utils.AppInfoParser;

/** Runs the scenarios in order and reports each. Arguments: --broker HOST:PORT [--filter REGEX] [--rounds N]. */
public final class Suite {
  interface Scenario {
    void run() throws Exception;
  }

  public static void main(String[] args) {
    Pattern filter = Pattern.compile("");
    for (int i = 0; i + 1 < args.length; i += 2) {
      if (args[i].equals("--broker")) Kit.broker = args[i + 1];
      if (args[i].equals("--rounds")) Kit.rounds = Integer.parseInt(args[i + 1]);
      if (args[i].equals("--filter")) filter = Pattern.compile(args[i + 1]);
    }
    Map<String, Scenario> all = new LinkedHashMap<>();
    AdminScenarios.add(all);
    RecordScenarios.add(all);
    OffsetScenarios.add(all);
    ConsumerProtocolScenarios.add(all);
    RestartScenarios.add(all);
    for (var e : all.entrySet()) {
      if (!filter.matcher(e.getKey()).find()) continue;
      try {
        Kit.note = "";
        e.getValue().run();
        Harness.report(e.getKey(), "passed", Kit.note);
      } catch (Throwable t) {
        Harness.report(e.getKey(), "failed", describe(t));
      }
    }
    System.exit(0);
  }

  private static String describe(Throwable t) {
    Throwable cause = t instanceof ExecutionException && t.getCause() != null ? t.getCause() : t;
    List<String> where = new ArrayList<>();
    for (var frame : t.getStackTrace()) {
      if (frame.getClassName().startsWith("millrace.") && where.size() < 3) {
        where.add(frame.getFileName() + ":" + frame.getLineNumber());
      }
    }
    return cause.getClass().getSimpleName() + ": " + cause.getMessage() + " " + where
        + " (kafka-clients " + AppInfoParser.getVersion() + ")";
  }
}
