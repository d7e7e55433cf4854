package millrace.clients;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** A driver of the client matrix: tests/clients/README.md. Argument: HOST:PORT. */
public final class Drive {
  private static String broker;
  private static Admin admin;
  private static final Map<String, Member> members = new ConcurrentHashMap<>();
  private static final Map<String, KafkaProducer<String, String>> producers = new HashMap<>();

  private Drive() {}

  static synchronized void say(String line) {
    System.out.println(line);
    System.out.flush();
  }

  static long now() {
    var t = java.time.Instant.now();
    return t.getEpochSecond() * 1_000_000 + t.getNano() / 1000;
  }

  static void event(String kind, String member, Map<String, Object> more) {
    Map<String, Object> all = new HashMap<>(more);
    all.put("e", kind);
    all.put("m", member);
    all.put("at", now());
    say(Json.write(all));
  }

  interface Work {
    void run() throws Exception;
  }

  /** A consumer in a thread of its own, as it may be used by one thread only. */
  static final class Member extends Thread implements ConsumerRebalanceListener {
    final String name;
    final String topic;
    final boolean commitEach;
    final KafkaConsumer<String, String> consumer;
    final ConcurrentLinkedQueue<Runnable> calls = new ConcurrentLinkedQueue<>();
    volatile boolean closed;

    Member(Map<String, Object> r) {
      name = (String) r.get("m");
      topic = (String) r.get("topic");
      String commit = (String) r.getOrDefault("commit", "manual");
      commitEach = commit.equals("each");
      Properties c = new Properties();
      c.put("bootstrap.servers", broker);
      c.put("auto.offset.reset", "earliest");
      c.put("enable.auto.commit", String.valueOf(commit.equals("auto")));
      c.put("auto.commit.interval.ms", "100");
      c.put("fetch.max.wait.ms", "50");
      c.put("reconnect.backoff.max.ms", "200");
      c.put("default.api.timeout.ms", "20000");
      c.put("heartbeat.interval.ms", "300");
      if (r.get("group") != null) {
        c.put("group.id", r.get("group"));
        if (r.get("instance") != null) c.put("group.instance.id", r.get("instance"));
        if ("consumer".equals(System.getenv("GROUP_PROTOCOL"))) {
          c.put("group.protocol", "consumer");
          c.remove("heartbeat.interval.ms"); // the broker's to say, as sessions and strategies
        } else {
          c.put("session.timeout.ms", r.get("session").toString());
          c.put("partition.assignment.strategy",
              ("cooperative".equals(r.get("strategy")) ? CooperativeStickyAssignor.class : RangeAssignor.class).getName());
        }
      }
      consumer = new KafkaConsumer<>(c, new StringDeserializer(), new StringDeserializer());
      if (r.get("from") != null) {
        Map<TopicPartition, Long> from = offsets(r.get("from"));
        consumer.assign(from.keySet());
        from.forEach(consumer::seek);
      } else {
        consumer.subscribe(List.of(topic), this);
      }
      setDaemon(true);
      start();
    }

    Map<TopicPartition, Long> offsets(Object given) {
      Map<TopicPartition, Long> out = new HashMap<>();
      ((Map<?, ?>) given)
          .forEach((p, o) -> out.put(new TopicPartition(topic, Integer.parseInt(p.toString())), ((Number) o).longValue()));
      return out;
    }

    @Override
    public void run() {
      try {
        while (!closed) {
          for (Runnable call; (call = calls.poll()) != null; ) call.run();
          if (!closed) poll();
        }
      } catch (Exception e) {
        event("error", name, Map.of("text", e.toString()));
      }
    }

    void poll() {
      Map<TopicPartition, Long> told = new HashMap<>();
      var records = consumer.poll(Duration.ofMillis(50));
      for (TopicPartition tp : records.partitions()) {
        List<Object> offsets = new ArrayList<>();
        List<Object> values = new ArrayList<>();
        for (var r : records.records(tp)) {
          offsets.add(r.offset());
          values.add(r.value());
          told.put(tp, r.offset() + 1);
        }
        event("records", name, Map.of("p", tp.partition(), "o", offsets, "v", values));
      }
      if (!commitEach || told.isEmpty()) return;
      try {
        commit(told);
      } catch (CommitFailedException | RebalanceInProgressException | TimeoutException e) {
        // Not told, so these may come again.
      }
    }

    void commit(Map<TopicPartition, Long> offsets) {
      Map<TopicPartition, OffsetAndMetadata> given = new HashMap<>();
      Map<String, Object> told = new HashMap<>();
      offsets.forEach((tp, o) -> {
        given.put(tp, new OffsetAndMetadata(o));
        told.put(String.valueOf(tp.partition()), o);
      });
      consumer.commitSync(given);
      event("committed", name, Map.of("o", told));
    }

    private void tell(String kind, Collection<TopicPartition> partitions) {
      Map<String, Object> more = new HashMap<>();
      more.put("p", partitions.stream().map(TopicPartition::partition).toList());
      if (kind.equals("assigned")) more.put("g", consumer.groupMetadata().generationId());
      event(kind, name, more);
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      tell("assigned", partitions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      tell("revoked", partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
      tell("lost", partitions);
    }

    void call(Work work) throws Exception {
      CompletableFuture<Void> done = new CompletableFuture<>();
      calls.add(() -> {
        try {
          work.run();
          done.complete(null);
        } catch (Exception e) {
          done.completeExceptionally(e);
        }
      });
      done.get(60, TimeUnit.SECONDS);
    }
  }

  private static Object produce(Map<String, Object> r) throws Exception {
    String key = r.get("codec") + "/" + r.get("acks") + "/" + r.get("idempotent");
    KafkaProducer<String, String> p;
    synchronized (producers) {
      p = producers.computeIfAbsent(key, k -> {
        Properties c = new Properties();
        c.put("bootstrap.servers", broker);
        c.put("compression.type", r.get("codec"));
        c.put("acks", r.get("acks").toString());
        c.put("enable.idempotence", r.get("idempotent").toString());
        c.put("linger.ms", "2");
        c.put("reconnect.backoff.max.ms", "200");
        c.put("request.timeout.ms", "10000");
        c.put("delivery.timeout.ms", "60000");
        return new KafkaProducer<>(c, new StringSerializer(), new StringSerializer());
      });
    }
    List<Future<RecordMetadata>> waiting = new ArrayList<>();
    for (Object v : (List<?>) r.get("values")) {
      waiting.add(p.send(new ProducerRecord<>((String) r.get("topic"), number(r, "partition"), null, (String) v)));
    }
    p.flush();
    for (var f : waiting) f.get(60, TimeUnit.SECONDS);
    return waiting.get(0).get().hasOffset() ? waiting.get(0).get().offset() : -1L;
  }

  private static Map<String, Object> configs(String topic) throws Exception {
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    Map<String, Object> own = new HashMap<>();
    for (ConfigEntry e : admin.describeConfigs(List.of(resource)).all().get().get(resource).entries()) {
      if (e.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG) own.put(e.name(), e.value());
    }
    return own;
  }

  private static void alter(Map<String, Object> r) throws Exception {
    Collection<AlterConfigOp> edits = new ArrayList<>();
    for (var e : ((Map<?, ?>) r.get("set")).entrySet()) {
      edits.add(new AlterConfigOp(new ConfigEntry((String) e.getKey(), (String) e.getValue()), AlterConfigOp.OpType.SET));
    }
    for (Object name : (List<?>) r.get("unset")) {
      edits.add(new AlterConfigOp(new ConfigEntry((String) name, null), AlterConfigOp.OpType.DELETE));
    }
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, (String) r.get("topic"));
    admin.incrementalAlterConfigs(Map.of(resource, edits)).all().get();
  }

  private static int number(Map<String, Object> r, String field) {
    return ((Number) r.get(field)).intValue();
  }

  private static void trim(String topic, Map<?, ?> offsets) throws Exception {
    Map<TopicPartition, RecordsToDelete> before = new HashMap<>();
    offsets.forEach((p, o) -> before.put(new TopicPartition(topic, Integer.parseInt((String) p)),
        RecordsToDelete.beforeOffset(((Number) o).longValue())));
    admin.deleteRecords(before).all().get();
  }

  private static Object serve(Map<String, Object> r) throws Exception {
    Member m = r.get("m") == null ? null : members.get(r.get("m"));
    switch ((String) r.get("op")) {
      case "create" -> admin.createTopics(
          List.of(new NewTopic((String) r.get("topic"), number(r, "partitions"), (short) 1))).all().get();
      case "delete" -> admin.deleteTopics(List.of((String) r.get("topic"))).all().get();
      case "grow" -> admin.createPartitions(
          Map.of((String) r.get("topic"), NewPartitions.increaseTo(number(r, "partitions")))).all().get();
      case "trim" -> trim((String) r.get("topic"), (Map<?, ?>) r.get("offsets"));
      case "list" -> {
        return new ArrayList<>(admin.listTopics().names().get());
      }
      case "configs" -> {
        return configs((String) r.get("topic"));
      }
      case "alter" -> alter(r);
      case "produce" -> {
        return produce(r);
      }
      case "assign", "join" -> members.put((String) r.get("m"), new Member(r));
      case "commit" -> m.call(() -> m.commit(m.offsets(r.get("offsets"))));
      case "seek", "pause", "resume" -> m.call(() -> position(m, r));
      case "leave" -> m.call(() -> {
        m.closed = true;
        m.consumer.close();
        event("left", m.name, Map.of());
      });
      default -> throw new IllegalArgumentException("no such op");
    }
    return null;
  }

  private static void position(Member m, Map<String, Object> r) {
    TopicPartition tp = new TopicPartition(m.topic, number(r, "partition"));
    switch ((String) r.get("op")) {
      case "seek" -> {
        m.consumer.seek(tp, number(r, "offset"));
        event("seeked", m.name, Map.of("p", tp.partition(), "o", number(r, "offset")));
      }
      case "pause" -> {
        m.consumer.pause(List.of(tp));
        event("paused", m.name, Map.of("p", tp.partition()));
      }
      default -> {
        event("resumed", m.name, Map.of("p", tp.partition()));
        m.consumer.resume(List.of(tp));
      }
    }
  }

  private static void answer(Map<String, Object> r) {
    Map<String, Object> out = new HashMap<>();
    out.put("id", r.get("id"));
    try {
      out.put("ok", serve(r));
    } catch (Exception e) {
      e.printStackTrace();
      out.put("error", e + (e.getCause() == null ? "" : " " + e.getCause()));
    }
    say(Json.write(out));
  }

  public static void main(String[] args) throws Exception {
    broker = args[0];
    admin = Admin.create(Map.of("bootstrap.servers", broker, "reconnect.backoff.max.ms", "200"));
    say(Json.write(Map.of("e", "ready", "version", AppInfoParser.getVersion())));
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      Map<String, Object> request = Json.object(line);
      new Thread(() -> answer(request)).start();
    }
    Runtime.getRuntime().halt(0);
  }
}
