package millrace.clients;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Clients with the settings of the tests, and the comparison of every record sent with every record read. */
final class Kit {
  static String broker;
  /** Of the scenario that kills again and again. */
  static int rounds = 5;
  /** What a scenario has to say beside having passed. */
  static String note = "";
  private static int topics = 0;

  private Kit() {}

  static String name(String stem) {
    return "java-" + stem + "-" + ProcessHandle.current().pid() + "-" + (++topics);
  }

  static Admin admin() {
    return Admin.create(Map.of("bootstrap.servers", broker, "default.api.timeout.ms", 30000, "request.timeout.ms", 15000));
  }

  static String create(String stem, int partitions, Map<String, String> configs) throws Exception {
    String name = name(stem);
    try (Admin admin = admin()) {
      admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(configs))).all().get();
      awaitTopic(admin, name);
    }
    return name;
  }

  static String create(String stem, int partitions) throws Exception {
    return create(stem, partitions, Map.of());
  }

  /** Until its partitions answer: Apache Kafka names a leader before that leads, and an idempotent producer whose first
   * batch is refused while its second is taken does not recover. */
  static void awaitTopic(Admin admin, String name) throws Exception {
    await("topic " + name, () -> {
      try {
        return admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().stream()
            .allMatch(p -> p.leader() != null);
      } catch (ExecutionException e) {
        return false;
      }
    });
    Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
    for (var p : admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions())
      ends.put(new TopicPartition(name, p.partition()), OffsetSpec.latest());
    admin.listOffsets(ends).all().get();
  }

  interface Condition {
    boolean holds() throws Exception;
  }

  static void await(String what, Condition c) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!c.holds()) {
      check(System.nanoTime() < deadline, what + ": not within 20 s");
      Thread.sleep(20);
    }
  }

  static KafkaProducer<byte[], byte[]> producer(Map<String, Object> extra) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", broker);
    config.put("enable.idempotence", false);
    config.put("delivery.timeout.ms", 60000);
    config.put("request.timeout.ms", 10000);
    config.put("max.block.ms", 30000);
    config.put("max.request.size", 4 << 20);
    config.put("reconnect.backoff.max.ms", 200);
    config.putAll(extra);
    return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
  }

  static KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> extra) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", broker);
    config.put("auto.offset.reset", "none");
    config.put("enable.auto.commit", false);
    config.put("default.api.timeout.ms", 30000);
    config.put("check.crcs", true);
    config.put("fetch.max.wait.ms", 50); // close() waits for the open fetch
    config.put("reconnect.backoff.max.ms", 200);
    config.putAll(extra);
    return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  static void check(boolean holds, String what) {
    if (!holds) throw new AssertionError(what);
  }

  static void same(Object expected, Object got, String what) {
    check(Objects.equals(expected, got), what + ": expected " + expected + ", got " + got);
  }

  /** Runs `f` and returns the class name of what it failed with, unwrapped. */
  static String failure(Future<?> f) throws Exception {
    try {
      f.get(40, TimeUnit.SECONDS);
      return "no error";
    } catch (ExecutionException e) {
      return e.getCause().getClass().getSimpleName();
    }
  }

  static final long T0 = System.currentTimeMillis() - 600_000;

  /** Records of every shape: keys and values null, empty, short, longer; headers none, several, repeated, null. */
  static List<ProducerRecord<byte[], byte[]>> shapes(String topic, int partition, int n, long seed) {
    Random random = new Random(seed);
    List<ProducerRecord<byte[], byte[]>> out = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      byte[] key = i % 5 == 0 ? null : i % 5 == 1 ? new byte[0] : ("key-" + i % 17).getBytes();
      byte[] value = i % 11 == 3 ? null : new byte[i % 7 == 0 ? 0 : random.nextInt(300)];
      if (value != null && i % 2 == 0) random.nextBytes(value);
      else if (value != null) Arrays.fill(value, (byte) ('a' + i % 26));
      ProducerRecord<byte[], byte[]> r = new ProducerRecord<>(topic, partition, T0 + i * 10L, key, value);
      for (int h = 0; h < i % 4; h++) {
        r.headers().add(h == 2 ? "h0" : "h" + h, h == 1 ? null : ("v" + i).getBytes());
      }
      if (i % 13 == 0) r.headers().add("größe-尺寸", new byte[0]);
      out.add(r);
    }
    return out;
  }

  static List<RecordMetadata> send(KafkaProducer<byte[], byte[]> p, List<ProducerRecord<byte[], byte[]>> records)
      throws Exception {
    List<Future<RecordMetadata>> waiting = new ArrayList<>();
    for (var r : records) waiting.add(p.send(r));
    p.flush();
    List<RecordMetadata> out = new ArrayList<>();
    for (var f : waiting) out.add(f.get(60, TimeUnit.SECONDS));
    return out;
  }

  /** Reads `n` records of a partition from `from`; fails when they take more than 30 s. */
  static List<ConsumerRecord<byte[], byte[]>> read(String topic, int partition, long from, int n) {
    try (var c = consumer(Map.of())) {
      TopicPartition tp = new TopicPartition(topic, partition);
      c.assign(List.of(tp));
      c.seek(tp, from);
      return poll(c, n);
    }
  }

  static List<ConsumerRecord<byte[], byte[]>> poll(KafkaConsumer<byte[], byte[]> c, int n) {
    List<ConsumerRecord<byte[], byte[]>> out = new ArrayList<>();
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (out.size() < n) {
      check(System.nanoTime() < deadline, "only " + out.size() + " of " + n + " records came within 30 s");
      for (var r : c.poll(Duration.ofMillis(500))) out.add(r);
    }
    return out;
  }

  static void compare(List<ProducerRecord<byte[], byte[]>> sent, List<ConsumerRecord<byte[], byte[]>> got, long base) {
    same(sent.size(), got.size(), "records");
    for (int i = 0; i < sent.size(); i++) {
      var s = sent.get(i);
      var g = got.get(i);
      String at = "record " + i;
      same(base + i, g.offset(), at + " offset");
      check(Arrays.equals(s.key(), g.key()), at + " key");
      check(Arrays.equals(s.value(), g.value()), at + " value");
      if (s.timestamp() != null) same(s.timestamp(), g.timestamp(), at + " timestamp");
      Header[] a = s.headers().toArray();
      Header[] b = g.headers().toArray();
      same(a.length, b.length, at + " headers");
      for (int h = 0; h < a.length; h++) {
        same(a[h].key(), b[h].key(), at + " header " + h);
        check(Arrays.equals(a[h].value(), b[h].value()), at + " header value " + h);
      }
    }
  }

  static void readBack(List<ProducerRecord<byte[], byte[]>> sent, String topic, int partition, long base) {
    compare(sent, read(topic, partition, base, sent.size()), base);
  }

  static Collection<TopicPartition> parts(String topic, int n) {
    List<TopicPartition> out = new ArrayList<>();
    for (int i = 0; i < n; i++) out.add(new TopicPartition(topic, i));
    return out;
  }
}
