import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Load by Apache Kafka's Java client as it is published; see bench/README.md. client_load.cc does the same with librdkafka. */
public final class ClientLoad {
  static final Set<String> NAMES = Set.of("--bootstrap", "--topic", "--records", "--size", "--key-bytes", "--producers", "--groups",
      "--rate", "--warmup", "--server-pid");

  /** What the command line says; a number that is not given is 0, but for one producer. */
  record Options(Map<String, String> text, Map<String, Object> client) {
    static Options parse(String[] args) {
      var text = new HashMap<String, String>(Map.of("--producers", "1"));
      var client = new HashMap<String, Object>();
      for (int i = 0; i < args.length; i += 2) {
        if (i + 1 < args.length && args[i].equals("--client") && args[i + 1].contains("=")) {
          var setting = args[i + 1].split("=", 2);
          client.put(setting[0], setting[1]);
        } else if (i + 1 < args.length && NAMES.contains(args[i])) {
          text.put(args[i], args[i + 1]);
        } else {
          throw new IllegalArgumentException("unknown option, or one without its value: " + args[i]);
        }
      }
      var options = new Options(text, client);
      if (!text.keySet().containsAll(Set.of("--bootstrap", "--topic")) || options.number("--records") <= 0
          || options.number("--producers") <= 0) {
        throw new IllegalArgumentException("bootstrap, topic, records and a producer are needed");
      }
      return options;
    }

    int number(String name) {
      return Integer.parseInt(text.getOrDefault(name, "0"));
    }
  }

  static final Duration LIMIT = Duration.ofSeconds(150);
  static final int KEYS = 1_000_000;
  static final int HEAD = Long.BYTES + 1; // of a value: when it was to be sent, and in which phase

  final Options options;
  final int size;
  final int keyBytes;
  final List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
  final List<Reader> readers = new ArrayList<>();
  final AtomicReference<Throwable> failed = new AtomicReference<>();
  long sent = 0; // in all phases, for keys that differ between them

  ClientLoad(Options options) {
    this.options = options;
    size = Math.max(options.number("--size"), HEAD);
    keyBytes = options.number("--key-bytes");
    var settings = new HashMap<String, Object>(options.client());
    settings.put("bootstrap.servers", options.text().get("--bootstrap"));
    for (int i = 0; i < options.number("--producers"); ++i) {
      producers.add(new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer()));
    }
    for (int i = 0; i < options.number("--groups"); ++i) readers.add(new Reader(i));
  }

  /** A consumer group of one member, with the client's defaults but for where it begins. */
  final class Reader extends Thread {
    final KafkaConsumer<byte[], byte[]> consumer;
    volatile CountDownLatch done = new CountDownLatch(0);
    volatile int expected = 0;
    volatile long[] took = new long[0];

    Reader(int group) {
      consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", options.text().get("--bootstrap"), "auto.offset.reset", "earliest",
          "group.id", options.text().get("--topic") + "-" + group), new ByteArrayDeserializer(), new ByteArrayDeserializer());
      setDaemon(true); // after a failure nothing waits for it
      start();
    }

    void expect(int records) {
      took = new long[records];
      done = new CountDownLatch(1);
      expected = records;
    }

    @Override
    public void run() {
      int received = 0;
      byte current = 0;
      try (consumer) {
        consumer.subscribe(Set.of(options.text().get("--topic")));
        while (true) {
          var polled = consumer.poll(Duration.ofMillis(200));
          long now = System.nanoTime();
          for (var record : polled) {
            if (record.value().length != size) continue; // what the topic was tried with
            var head = ByteBuffer.wrap(record.value());
            long due = head.getLong();
            byte of = head.get();
            if (of != current) {
              current = of;
              received = 0;
            }
            if (received == expected) throw new IllegalStateException("more records came than were sent");
            took[received++] = now - due;
            if (received == expected) done.countDown();
          }
        }
      } catch (WakeupException e) {
        // stopped
      } catch (Throwable e) {
        fail(e);
      }
    }
  }

  void fail(Throwable e) {
    failed.compareAndSet(null, e);
    for (var reader : readers) reader.done.countDown();
  }

  /** Digits, or null where records have no keys. */
  byte[] key(int number) {
    if (keyBytes == 0) return null;
    var key = new byte[keyBytes];
    for (int at = keyBytes; at-- > 0; number /= 10) key[at] = (byte) ('0' + number % 10);
    return key;
  }

  void send(int producer, byte phase, int records, long began, double rate) {
    var random = new SplittableRandom(sent + producer);
    for (int i = producer; i < records && failed.get() == null; i += producers.size()) {
      long due = System.nanoTime();
      if (rate > 0) {
        due = began + (long) (i * 1e9 / rate);
        for (long wait; (wait = due - System.nanoTime()) > 0;) LockSupport.parkNanos(wait);
      }
      var value = ByteBuffer.allocate(size).putLong(due).put(phase).array();
      producers.get(producer).send(new ProducerRecord<>(options.text().get("--topic"), key(random.nextInt(KEYS)), value), (where, e) -> {
        if (e != null) fail(e);
      });
    }
    producers.get(producer).flush();
  }

  /** Sends so many records; returns when all are acknowledged and each group has all. Nanoseconds. */
  long phase(byte phase, int records, double rate) throws Exception {
    for (var reader : readers) reader.expect(records);
    if (failed.get() != null) throw new IllegalStateException(failed.get()); // before anybody could be told
    long began = System.nanoTime();
    var threads = new ArrayList<Thread>();
    for (int p = 0; p < producers.size(); ++p) {
      int producer = p;
      threads.add(new Thread(() -> {
        try {
          send(producer, phase, records, began, rate);
        } catch (Throwable e) { // no memory for buffers, too
          fail(e);
        }
      }));
    }
    for (var thread : threads) thread.start();
    for (var thread : threads) thread.join();
    for (var reader : readers) {
      if (!reader.done.await(LIMIT.toSeconds(), TimeUnit.SECONDS)) fail(new IllegalStateException("a group did not receive all"));
    }
    if (failed.get() != null) throw new IllegalStateException(failed.get());
    sent += records;
    return System.nanoTime() - began;
  }

  /** User and system time of the broker, of all its threads. Seconds, in steps of 10 ms: proc(5). */
  double serverCpu() throws Exception {
    int pid = options.number("--server-pid");
    if (pid == 0) return 0;
    var line = Files.readString(Path.of("/proc/" + pid + "/stat"));
    var fields = line.substring(line.lastIndexOf(')') + 2).split(" ");
    return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0;
  }

  String measure() throws Exception {
    double rate = options.number("--rate");
    int records = options.number("--records");
    phase((byte) 1, Math.max(1, options.number("--warmup")), rate);
    double cpu = serverCpu();
    long nanos = phase((byte) 2, records, rate);
    cpu = serverCpu() - cpu;
    var text = new StringBuilder(String.format(Locale.ROOT, "{\"messages\":%d,\"bytes\":%d,\"seconds\":%.6f,\"server_cpu_s\":%.3f",
        records, (long) records * (size + keyBytes), nanos / 1e9, cpu));
    if (!readers.isEmpty()) {
      long[] took = readers.stream().flatMapToLong(r -> Arrays.stream(r.took)).sorted().toArray(); // the nearest rank's
      for (var share : List.of(500, 900, 990, 999)) {
        text.append(String.format(Locale.ROOT, ",\"p%s_ms\":%.4f", share % 10 == 0 ? share / 10 : share,
            took[(int) (((long) took.length * share + 999) / 1000) - 1] / 1e6));
      }
    }
    return text.append('}').toString();
  }

  void close() throws InterruptedException {
    for (var reader : readers) reader.consumer.wakeup();
    for (var reader : readers) reader.join();
    for (var producer : producers) producer.close();
  }

  public static void main(String[] args) {
    try {
      var load = new ClientLoad(Options.parse(args));
      var figures = load.measure();
      load.close();
      System.out.println(figures);
    } catch (IllegalArgumentException e) {
      System.err.println("ClientLoad: " + e.getMessage());
      System.exit(2);
    } catch (Exception e) {
      System.err.println("ClientLoad: " + e);
      System.exit(1); // without waiting for what did not end
    }
  }
}
