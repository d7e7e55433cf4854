package millrace.clients;

import static millrace.clients.Kit.check;
import static millrace.clients.Kit.same;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** What is sent comes back: codecs, acks, idempotence, sizes, headers, nulls, timestamps. */
final class RecordScenarios {
  private RecordScenarios() {}

  static void add(Map<String, Suite.Scenario> all) {
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      for (String acks : List.of("0", "1", "all")) {
        all.put("produce-" + codec + "-acks-" + acks, () -> produce(codec, acks));
      }
      all.put("produce-" + codec + "-idempotent", () -> idempotent(codec));
    }
    all.put("value-sizes", RecordScenarios::valueSizes);
    all.put("value-too-large", RecordScenarios::tooLarge);
    all.put("one-mebibyte-compressed", RecordScenarios::largeCompressed);
    all.put("keyed-partitioning", RecordScenarios::keyed);
    all.put("timestamps", RecordScenarios::timestamps);
    all.put("log-append-time", RecordScenarios::logAppendTime);
    all.put("many-small-requests", RecordScenarios::manySmall);
    all.put("unknown-topic", RecordScenarios::unknownTopic);
    all.put("auto-created-topic", RecordScenarios::autoCreated);
    all.put("ten-megabytes", RecordScenarios::tenMegabytes);
    all.put("long-poll", RecordScenarios::longPoll);
  }

  private static void produce(String codec, String acks) throws Exception {
    String topic = Kit.create("produce", 3);
    try (var p = Kit.producer(Map.of("compression.type", codec, "acks", acks, "linger.ms", 5))) {
      for (int partition = 0; partition < 3; partition++) {
        for (int round = 0; round < 3; round++) {
          var records = Kit.shapes(topic, partition, 100, partition * 10 + round);
          var acked = Kit.send(p, records);
          long base = round * 100L;
          for (int i = 0; i < acked.size() && !acks.equals("0"); i++) same(base + i, acked.get(i).offset(), "acked offset");
          Kit.readBack(records, topic, partition, base);
        }
        same(codec, Harness.stored(topic, partition).codecs(), "stored codec");
      }
    }
  }

  private static void idempotent(String codec) throws Exception {
    String topic = Kit.create("idempotent", 2);
    List<ProducerRecord<byte[], byte[]>> all = new ArrayList<>();
    try (var p = Kit.producer(Map.of("compression.type", codec, "acks", "all", "enable.idempotence", true))) {
      for (int round = 0; round < 10; round++) {
        var records = Kit.shapes(topic, 1, 40, round);
        Kit.send(p, records);
        all.addAll(records);
      }
    }
    Kit.readBack(all, topic, 1, 0);
    var stored = Harness.stored(topic, 1);
    same(codec, stored.codecs(), "stored codec");
    check(stored.producerIds().matches("[0-9]+"), "one producer id: " + stored.producerIds());
  }

  private static List<ProducerRecord<byte[], byte[]>> sized(String topic, int... sizes) {
    Random random = new Random(5);
    List<ProducerRecord<byte[], byte[]>> out = new ArrayList<>();
    for (int size : sizes) {
      byte[] value = new byte[size];
      random.nextBytes(value);
      out.add(new ProducerRecord<>(topic, 0, Kit.T0 + size, "k".getBytes(), value));
    }
    return out;
  }

  // The limit of a batch is 1 MiB + 12 bytes. A lone record with a one-byte key and no headers adds 73 to its value: 61 of
  // the batch, 3 of the record's length, 3 single bytes, key length and key, 3 of the value's length, 1 of the headers.
  private static final int OVERHEAD = 61 + 3 + 3 + 2 + 3 + 1;
  private static final int LARGEST = (1 << 20) + 12 - OVERHEAD;

  private static void valueSizes() throws Exception {
    String topic = Kit.create("sizes", 1);
    int[] sizes = {1, 2, 63, 64, 127, 128, 1000, 4095, 4096, 4097, 8191, 8192, 16383, 16384, 65535, 65536, 131072, 262144,
        524288, 1000000, (1 << 20) - OVERHEAD, LARGEST};
    for (String codec : List.of("none", "lz4")) {
      var records = sized(topic, sizes);
      if (codec.equals("lz4")) records = records.subList(0, records.size() - 2); // random bytes grow a little
      try (var p = Kit.producer(Map.of("acks", "all", "compression.type", codec))) {
        long base = Kit.send(p, records).get(0).offset();
        Kit.readBack(records, topic, 0, base);
      }
    }
  }

  private static void tooLarge() throws Exception {
    String topic = Kit.create("large", 1);
    try (var p = Kit.producer(Map.of("acks", "all"))) {
      same("RecordTooLargeException", Kit.failure(p.send(sized(topic, LARGEST + 1).get(0))), "one byte more");
      var small = sized(topic, 10);
      same(0L, Kit.send(p, small).get(0).offset(), "nothing was stored of it");
    }
  }

  private static void largeCompressed() throws Exception {
    String topic = Kit.create("large-zstd", 1);
    byte[] value = new byte[1 << 20];
    Arrays.fill(value, (byte) 'x');
    var records = List.of(new ProducerRecord<byte[], byte[]>(topic, 0, Kit.T0, null, value));
    for (String codec : List.of("gzip", "snappy", "lz4", "zstd")) {
      try (var p = Kit.producer(Map.of("acks", "all", "compression.type", codec))) {
        long base = Kit.send(p, records).get(0).offset();
        Kit.readBack(records, topic, 0, base);
      }
    }
  }

  private static void keyed() throws Exception {
    String topic = Kit.create("keyed", 12);
    Map<String, List<String>> sent = new HashMap<>();
    List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
    for (int i = 0; i < 2000; i++) {
      String key = "user-" + i % 50;
      sent.computeIfAbsent(key, k -> new ArrayList<>()).add("" + i);
      records.add(new ProducerRecord<>(topic, key.getBytes(), ("" + i).getBytes()));
    }
    try (var p = Kit.producer(Map.of("acks", "all", "enable.idempotence", true))) {
      Kit.send(p, records);
    }
    Map<String, List<String>> got = new HashMap<>();
    try (var c = Kit.consumer(Map.of("max.poll.records", 100))) {
      c.assign(Kit.parts(topic, 12));
      c.seekToBeginning(c.assignment());
      Map<Integer, Long> next = new HashMap<>();
      for (ConsumerRecord<byte[], byte[]> r : Kit.poll(c, 2000)) {
        same(next.getOrDefault(r.partition(), 0L), r.offset(), "dense offsets in " + r.partition());
        next.put(r.partition(), r.offset() + 1);
        got.computeIfAbsent(new String(r.key()), k -> new ArrayList<>()).add(new String(r.value()));
      }
    }
    same(sent, got, "order of each key");
  }

  private static void timestamps() throws Exception {
    String topic = Kit.create("times", 1);
    long now = System.currentTimeMillis();
    List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
    for (long t : new long[] {0, 1, 1_000_000_000_000L, now - 86_400_000, now, now + 60_000, 5}) {
      records.add(new ProducerRecord<>(topic, 0, t, null, ("" + t).getBytes()));
    }
    try (var p = Kit.producer(Map.of("acks", "all"))) {
      Kit.send(p, records);
      Kit.readBack(records, topic, 0, 0);
      same("InvalidTimestampException", Kit.failure(p.send(new ProducerRecord<>(topic, 0, now + 2 * 3_600_000, null, new byte[1]))),
          "two hours ahead");
    }
  }

  private static void logAppendTime() throws Exception {
    String topic = Kit.create("append-time", 1, Map.of("message.timestamp.type", "LogAppendTime"));
    long before = System.currentTimeMillis();
    for (String codec : List.of("none", "zstd")) {
      try (var p = Kit.producer(Map.of("acks", "all", "compression.type", codec))) {
        var m = Kit.send(p, List.of(new ProducerRecord<>(topic, 0, 1000L, null, "late".getBytes()))).get(0);
        check(m.timestamp() >= before && m.timestamp() <= System.currentTimeMillis(), "append time in the answer: " + m.timestamp());
        same(m.timestamp(), Kit.read(topic, 0, m.offset(), 1).get(0).timestamp(), "append time in the record");
      }
    }
  }

  private static void manySmall() throws Exception {
    String topic = Kit.create("small", 1);
    var records = Kit.shapes(topic, 0, 1500, 9);
    try (var p = Kit.producer(Map.of("acks", "all", "batch.size", 0, "linger.ms", 0, "enable.idempotence", true))) {
      var acked = Kit.send(p, records);
      for (int i = 0; i < acked.size(); i++) same((long) i, acked.get(i).offset(), "pipelined order");
    }
    Kit.readBack(records, topic, 0, 0);
  }

  private static void unknownTopic() throws Exception {
    try (var p = Kit.producer(Map.of("acks", "all", "max.block.ms", 1500))) {
      same("InvalidTopicException", Kit.failure(p.send(new ProducerRecord<>("not a name", 0, null, new byte[1]))), "bad name");
    }
    String topic = Kit.create("two", 2);
    try (var p = Kit.producer(Map.of("acks", "all", "max.block.ms", 1500))) {
      same("TimeoutException", Kit.failure(p.send(new ProducerRecord<>(topic, 7, null, new byte[1]))), "partition 7 of 2");
    }
  }

  private static void autoCreated() throws Exception {
    String topic = Kit.name("auto");
    try (var p = Kit.producer(Map.of("acks", "all"))) {
      var record = new ProducerRecord<>(topic, "k".getBytes(), "v".getBytes());
      same(0L, p.send(record).get(30, TimeUnit.SECONDS).offset(), "first record of an auto-created topic");
    }
    same("v", new String(Kit.read(topic, 0, 0, 1).get(0).value()), "value");
  }

  private static void tenMegabytes() throws Exception {
    String topic = Kit.create("bulk", 1);
    Random random = new Random(1);
    List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
    for (int i = 0; i < 10_000; i++) {
      byte[] value = new byte[1024];
      random.nextBytes(value);
      records.add(new ProducerRecord<>(topic, 0, Kit.T0 + i, ("k" + i).getBytes(), value));
    }
    try (var p = Kit.producer(Map.of("acks", "all", "batch.size", 200_000, "linger.ms", 10, "enable.idempotence", true))) {
      Kit.send(p, records);
    }
    Kit.readBack(records, topic, 0, 0);
    // Tiny limits: the first batch still comes whole, so the reader gets through.
    try (var c = Kit.consumer(Map.of("fetch.max.bytes", 1000, "max.partition.fetch.bytes", 1000))) {
      TopicPartition tp = new TopicPartition(topic, 0);
      c.assign(List.of(tp));
      c.seek(tp, 0);
      Kit.compare(records, Kit.poll(c, records.size()), 0);
    }
  }

  private static void longPoll() throws Exception {
    String topic = Kit.create("poll", 1);
    TopicPartition tp = new TopicPartition(topic, 0);
    try (var p = Kit.producer(Map.of("acks", "all", "linger.ms", 0)); var c = Kit.consumer(Map.of("fetch.max.wait.ms", 4000))) {
      c.assign(List.of(tp));
      c.seek(tp, 0);
      same(0, c.poll(Duration.ofMillis(300)).count(), "nothing yet");
      for (int i = 0; i < 20; i++) {
        p.send(new ProducerRecord<>(topic, 0, null, ("" + i).getBytes())).get();
        long sent = System.nanoTime();
        var got = Kit.poll(c, 1);
        same("" + i, new String(got.get(0).value()), "value");
        long ms = (System.nanoTime() - sent) / 1_000_000;
        check(ms < 2000, "a waiting fetch is woken by the record, not by its 4 s timeout: " + ms + " ms");
      }
    }
  }
}
