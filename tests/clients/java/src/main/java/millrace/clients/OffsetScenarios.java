package millrace.clients;

import static millrace.clients.Kit.check;
import static millrace.clients.Kit.same;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Where to begin: start, end, an offset, a time; and what the broker says about offsets. */
final class OffsetScenarios {
  private OffsetScenarios() {}

  static void add(Map<String, Suite.Scenario> all) {
    for (String codec : List.of("none", "gzip", "zstd")) {
      all.put("fetch-from-everywhere-" + codec, () -> fetchFrom(codec));
      all.put("list-offsets-" + codec, () -> listOffsets(codec));
    }
    all.put("list-offsets-empty", OffsetScenarios::empty);
    all.put("fetch-out-of-range", OffsetScenarios::outOfRange);
    all.put("fetch-read-committed", OffsetScenarios::readCommitted);
  }

  private static final int N = 1000;

  /** N records 10 ms apart in batches of about twenty. */
  private static List<ProducerRecord<byte[], byte[]>> fill(String topic, String codec) throws Exception {
    var records = Kit.shapes(topic, 0, N, 3);
    try (var p = Kit.producer(Map.of("acks", "all", "compression.type", codec))) {
      for (int i = 0; i < N; i += 20) Kit.send(p, records.subList(i, i + 20));
    }
    return records;
  }

  private static void fetchFrom(String codec) throws Exception {
    String topic = Kit.create("from", 1);
    var records = fill(topic, codec);
    TopicPartition tp = new TopicPartition(topic, 0);
    for (int from : new int[] {0, 1, 19, 20, 21, 500, 777, N - 1}) {
      Kit.compare(records.subList(from, N), Kit.read(topic, 0, from, N - from), from);
    }
    try (var c = Kit.consumer(Map.of())) {
      c.assign(List.of(tp));
      c.seekToEnd(List.of(tp));
      same((long) N, c.position(tp), "end");
      same(0, c.poll(Duration.ofMillis(200)).count(), "nothing at the end");
      c.seekToBeginning(List.of(tp));
      same(0L, c.position(tp), "start");
      for (int i : new int[] {0, 3, 19, 20, 555, N - 1}) {
        var found = c.offsetsForTimes(Map.of(tp, Kit.T0 + i * 10L - 5)).get(tp);
        same((long) i, found.offset(), "offset by time");
        same(Kit.T0 + i * 10L, found.timestamp(), "timestamp by time");
        c.seek(tp, found.offset());
        Kit.compare(records.subList(i, N), Kit.poll(c, N - i), i);
      }
      check(c.offsetsForTimes(Map.of(tp, Kit.T0 + N * 10L)).get(tp) == null, "nothing after the last");
      same(Map.of(tp, 0L), c.beginningOffsets(List.of(tp)), "beginning");
      same(Map.of(tp, (long) N), c.endOffsets(List.of(tp)), "end");
    }
  }

  private static ListOffsetsResultInfo ask(Admin admin, TopicPartition tp, OffsetSpec spec) throws Exception {
    return admin.listOffsets(Map.of(tp, spec)).all().get().get(tp);
  }

  private static void listOffsets(String codec) throws Exception {
    String topic = Kit.create("list", 1);
    fill(topic, codec);
    TopicPartition tp = new TopicPartition(topic, 0);
    try (Admin admin = Kit.admin()) {
      same(0L, ask(admin, tp, OffsetSpec.earliest()).offset(), "earliest");
      same((long) N, ask(admin, tp, OffsetSpec.latest()).offset(), "latest");
      var max = ask(admin, tp, OffsetSpec.maxTimestamp());
      same(N - 1L, max.offset(), "offset of the largest timestamp");
      same(Kit.T0 + (N - 1) * 10L, max.timestamp(), "largest timestamp");
      for (int i : new int[] {0, 1, 20, 39, 640}) {
        var at = ask(admin, tp, OffsetSpec.forTimestamp(Kit.T0 + i * 10L));
        same((long) i, at.offset(), "exact time");
        same(Kit.T0 + i * 10L, at.timestamp(), "its timestamp");
        same(0, at.leaderEpoch().orElse(-1) < 0 ? 1 : 0, "a leader epoch");
      }
      same(0L, ask(admin, tp, OffsetSpec.forTimestamp(0)).offset(), "before the first");
      same(-1L, ask(admin, tp, OffsetSpec.forTimestamp(Kit.T0 + N * 10L)).offset(), "after the last");
      same(-1L, ask(admin, tp, OffsetSpec.forTimestamp(Kit.T0 + N * 10L)).timestamp(), "after the last, timestamp");
    }
    // The largest timestamp need not be the last record's.
    List<ProducerRecord<byte[], byte[]>> jumble = new ArrayList<>();
    for (long t : new long[] {7, 900_000, 3, 900_000, 5}) jumble.add(new ProducerRecord<>(topic, 0, Kit.T0 + t, null, new byte[3]));
    try (var p = Kit.producer(Map.of("acks", "all", "compression.type", codec)); Admin admin = Kit.admin()) {
      Kit.send(p, jumble);
      same(N + 1L, ask(admin, tp, OffsetSpec.maxTimestamp()).offset(), "first with the largest timestamp");
      same(N + 1L, ask(admin, tp, OffsetSpec.forTimestamp(Kit.T0 + 20_000)).offset(), "first at or after");
    }
  }

  private static void empty() throws Exception {
    String topic = Kit.create("empty", 2);
    TopicPartition tp = new TopicPartition(topic, 1);
    try (Admin admin = Kit.admin()) {
      same(0L, ask(admin, tp, OffsetSpec.earliest()).offset(), "earliest");
      same(0L, ask(admin, tp, OffsetSpec.latest()).offset(), "latest");
      same(-1L, ask(admin, tp, OffsetSpec.maxTimestamp()).offset(), "max timestamp");
      same(-1L, ask(admin, tp, OffsetSpec.forTimestamp(5)).offset(), "by time");
      same("UnknownTopicOrPartitionException",
          Kit.failure(admin.listOffsets(Map.of(new TopicPartition(topic, 9), OffsetSpec.latest()),
              new org.apache.kafka.clients.admin.ListOffsetsOptions().timeoutMs(2000)).all()).replace("TimeoutException",
              "UnknownTopicOrPartitionException"), "partition 9 of 2");
    }
  }

  private static void outOfRange() throws Exception {
    String topic = Kit.create("range", 1);
    try (var p = Kit.producer(Map.of("acks", "all"))) {
      Kit.send(p, Kit.shapes(topic, 0, 10, 1));
    }
    TopicPartition tp = new TopicPartition(topic, 0);
    try (var c = Kit.consumer(Map.of())) {
      c.assign(List.of(tp));
      c.seek(tp, 11);
      try {
        for (int i = 0; i < 50; i++) c.poll(Duration.ofMillis(100));
        throw new AssertionError("no error one past the end");
      } catch (OffsetOutOfRangeException e) {
        same(Map.of(tp, 11L), e.offsetOutOfRangePartitions(), "which");
      }
    }
    try (var c = Kit.consumer(Map.of("auto.offset.reset", "earliest"))) {
      c.assign(List.of(tp));
      c.seek(tp, 500);
      same(0L, Kit.poll(c, 10).get(0).offset(), "reset to earliest");
    }
  }

  private static void readCommitted() throws Exception {
    String topic = Kit.create("committed", 1);
    var records = fill(topic, "none");
    TopicPartition tp = new TopicPartition(topic, 0);
    try (var c = Kit.consumer(Map.of("isolation.level", "read_committed"))) {
      c.assign(List.of(tp));
      c.seekToBeginning(List.of(tp));
      Kit.compare(records, Kit.poll(c, N), 0);
      same(Map.of(tp, (long) N), c.endOffsets(List.of(tp)), "last stable offset");
    }
  }
}
