import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Apache Kafka's console tools one after the other in one JVM, as their scripts would each in one of its own.
 *
 * <p>A request is lines of text: class name, number of arguments, the arguments, number of input lines, the input. The answer is
 * a line with the exit code and the number of bytes of output, and the output (stdout and stderr).
 */
public final class Tools {
  /** How a tool ended: by exit(), wherever it called that, or by returning. */
  private static volatile CompletableFuture<Integer> ended;

  private static List<String> lines(BufferedReader in) throws Exception {
    List<String> out = new ArrayList<>();
    for (int n = Integer.parseInt(in.readLine()); n > 0; n--) out.add(in.readLine());
    return out;
  }

  private static int run(String tool, List<String> args) throws Exception {
    CompletableFuture<Integer> end = new CompletableFuture<>();
    ended = end;
    Thread thread = new Thread(() -> {
      try {
        Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) args.toArray(new String[0]));
        end.complete(0);
      } catch (Throwable e) {
        e.printStackTrace();
        end.complete(1);
      }
    });
    thread.setDaemon(true);
    thread.start();
    return end.get();
  }

  public static void main(String[] unused) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = System.out;
    Exit.setExitProcedure((code, message) -> {
      ended.complete(code);
      while (true) LockSupport.park(); // as after the real one, nothing more is run here
    });
    for (String tool; (tool = in.readLine()) != null; ) {
      List<String> args = lines(in);
      List<String> input = lines(in);
      input.add("");
      System.setIn(new ByteArrayInputStream(String.join("\n", input).getBytes(StandardCharsets.UTF_8)));
      ByteArrayOutputStream told = new ByteArrayOutputStream();
      PrintStream both = new PrintStream(told, true, StandardCharsets.UTF_8);
      System.setOut(both);
      System.setErr(both);
      int code = run(tool, args);
      both.flush();
      out.println(code + " " + told.size());
      told.writeTo(out);
      out.flush();
    }
    Runtime.getRuntime().halt(0);
  }
}
