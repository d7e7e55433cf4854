package millrace.clients;

import static millrace.clients.Kit.check;
import static millrace.clients.Kit.same;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** The broker goes and comes back on the same address: data is there, live clients go on. */
final class RestartScenarios {
  private RestartScenarios() {}

  static void add(Map<String, Suite.Scenario> all) {
    all.put("restart-clean", () -> restart("term", false));
    all.put("restart-kill", () -> restart("kill", false));
    all.put("restart-clean-idempotent", () -> restart("term", true));
    all.put("restart-kill-idempotent", () -> restart("kill", true));
    all.put("restart-keeps-topics", RestartScenarios::keepsTopics);
    all.put("five-kills-under-load-idempotent", RestartScenarios::killsUnderLoad);
  }

  private static void restart(String how, boolean idempotent) throws Exception {
    String topic = Kit.create("restart", 2);
    List<ProducerRecord<byte[], byte[]>> all = new ArrayList<>();
    try (var p = Kit.producer(Map.of("acks", "all", "enable.idempotence", idempotent, "compression.type", "lz4"));
        var c = Kit.consumer(Map.of())) {
      c.assign(Kit.parts(topic, 2));
      c.seekToBeginning(c.assignment());
      for (int round = 0; round < 3; round++) {
        if (round > 0) Harness.restart(how);
        var records = Kit.shapes(topic, 1, 100, round);
        var acked = Kit.send(p, records);
        all.addAll(records);
        if (!idempotent) {
          // A lost answer makes this producer send twice: what was acked is where it was said to be, no more.
          long first = acked.get(0).offset();
          int span = (int) (acked.get(99).offset() - first) + 1;
          var got = Kit.read(topic, 1, first, span);
          for (int i = 0; i < 100; i++) {
            int at = (int) (acked.get(i).offset() - first);
            Kit.compare(records.subList(i, i + 1), got.subList(at, at + 1), acked.get(i).offset());
          }
          continue;
        }
        same(round * 100L, acked.get(0).offset(), "the producer goes on where it was, round " + round);
        Kit.compare(records, Kit.poll(c, 100), round * 100L);
      }
    }
    if (!idempotent) return;
    Kit.readBack(all, topic, 1, 0);
    check(Harness.stored(topic, 1).producerIds().matches("[0-9]+"), "still one producer id");
  }

  /** kill -9 again and again while a producer sends without pause: every acked record at its offset, none twice, order kept. */
  private static void killsUnderLoad() throws Exception {
    int partitions = 3;
    String topic = Kit.create("kills", partitions);
    ConcurrentLinkedQueue<long[]> acked = new ConcurrentLinkedQueue<>(); // partition, offset, number
    AtomicReference<Exception> failed = new AtomicReference<>();
    AtomicBoolean stop = new AtomicBoolean();
    AtomicLong sent = new AtomicLong();
    Thread load = new Thread(() -> {
      try (var p = Kit.producer(Map.of("acks", "all", "enable.idempotence", true, "linger.ms", 1, "delivery.timeout.ms", 120000,
          "retry.backoff.ms", 20, "buffer.memory", 4 << 20))) {
        while (!stop.get()) {
          long number = sent.getAndIncrement();
          int partition = (int) (number % partitions);
          var record = new ProducerRecord<byte[], byte[]>(topic, partition, null, Long.toString(number).getBytes());
          p.send(record, (m, e) -> {
            if (e != null) failed.compareAndSet(null, e);
            else acked.add(new long[] {partition, m.offset(), number});
          });
          if (number % 50 == 49) LockSupport.parkNanos(2_000_000);
        }
      }
    });
    load.start();
    for (int round = 0; round < Kit.rounds; round++) {
      int before = acked.size();
      Kit.await("records are acknowledged in round " + round, () -> acked.size() > before + 500 || failed.get() != null);
      Harness.restart("kill");
    }
    int before = acked.size();
    Kit.await("records after the last kill", () -> acked.size() > before + 500 || failed.get() != null);
    stop.set(true);
    load.join(150_000);
    check(failed.get() == null, "a send failed: " + failed.get());
    same((long) acked.size(), sent.get(), "every record sent was acknowledged");
    for (int partition = 0; partition < partitions; partition++) {
      long mine = partition;
      List<long[]> here = acked.stream().filter(a -> a[0] == mine).sorted((a, b) -> Long.compare(a[1], b[1])).toList();
      var got = Kit.read(topic, partition, 0, here.size());
      same(here.size(), got.size(), "records of partition " + partition);
      try (var c = Kit.consumer(Map.of())) {
        var tp = new TopicPartition(topic, partition);
        same((long) here.size(), c.endOffsets(List.of(tp)).get(tp), "nothing but what was acknowledged, and that once");
      }
      for (int i = 0; i < here.size(); i++) {
        same((long) i, got.get(i).offset(), "offset");
        same(here.get(i)[1], got.get(i).offset(), "the acknowledged offset");
        same(Long.toString(here.get(i)[2]), new String(got.get(i).value()), "value at offset " + i);
        check(i == 0 || here.get(i)[2] > here.get(i - 1)[2], "order of partition " + partition);
      }
    }
    Kit.note = Kit.rounds + " kills, " + acked.size() + " records acknowledged and found, each once";
  }

  private static void keepsTopics() throws Exception {
    String kept = Kit.create("kept", 4, Map.of("retention.ms", "777777"));
    String gone = Kit.create("gone", 1);
    try (Admin admin = Kit.admin()) {
      var before = admin.describeTopics(List.of(kept)).allTopicNames().get().get(kept);
      String cluster = admin.describeCluster().clusterId().get();
      admin.deleteTopics(List.of(gone)).all().get();
      Harness.restart("term");
      Kit.awaitTopic(admin, kept);
      var after = admin.describeTopics(List.of(kept)).allTopicNames().get().get(kept);
      same(before.topicId(), after.topicId(), "topic id");
      same(4, after.partitions().size(), "partitions");
      same(cluster, admin.describeCluster().clusterId().get(), "cluster id");
      check(!admin.listTopics().names().get().contains(gone), "a deleted topic stays deleted");
      var r = new org.apache.kafka.common.config.ConfigResource(
          org.apache.kafka.common.config.ConfigResource.Type.TOPIC, kept);
      same("777777", admin.describeConfigs(List.of(r)).all().get().get(r).get("retention.ms").value(), "config");
    }
  }
}
