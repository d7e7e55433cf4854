package millrace.clients;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The other side of tests/blackbox/harness.py: JSON lines on stdout, answers on stdin. */
final class Harness {
  private static final PrintStream out = System.out;
  private static final BufferedReader in =
      new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

  private Harness() {}

  static String quote(String s) {
    StringBuilder b = new StringBuilder("\"");
    for (char c : s.toCharArray()) {
      if (c == '"' || c == '\\') b.append('\\').append(c);
      else if (c < 32 || c > 126) b.append(String.format("\\u%04x", (int) c));
      else b.append(c);
    }
    return b.append('"').toString();
  }

  static void report(String scenario, String status, String detail) {
    out.println("{\"scenario\":" + quote(scenario) + ",\"status\":\"" + status + "\",\"detail\":" + quote(detail) + "}");
    out.flush();
  }

  private static String ask(String request) {
    try {
      out.println(request);
      out.flush();
      String answer = in.readLine();
      if (answer == null) throw new IllegalStateException("the harness has gone");
      Matcher error = Pattern.compile("\"error\": \"(.*)\"").matcher(answer);
      if (error.find()) throw new AssertionError("harness: " + error.group(1));
      return answer;
    } catch (java.io.IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Restarts the broker on the same address and data; how: "term" or "kill". */
  static void restart(String how) {
    ask("{\"request\":\"restart\",\"how\":\"" + how + "\"}");
  }

  private static String text(String answer, String field) {
    Matcher m = Pattern.compile("\"" + field + "\": \"([^\"]*)\"").matcher(answer);
    if (!m.find()) throw new AssertionError("no " + field + " in " + answer);
    return m.group(1);
  }

  /** Codecs of the stored batches as the bytes say, comma separated; and the producer ids. */
  record Stored(String codecs, String producerIds) {}

  static Stored stored(String topic, int partition) {
    String answer =
        ask("{\"request\":\"batches\",\"topic\":" + quote(topic) + ",\"partition\":" + partition + "}");
    return new Stored(text(answer, "codecs"), text(answer, "producer_ids"));
  }
}
