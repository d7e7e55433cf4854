package millrace.clients;

import static millrace.clients.Kit.check;
import static millrace.clients.Kit.failure;
import static millrace.clients.Kit.same;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;

/** Topics, cluster and configs through the AdminClient. */
final class AdminScenarios {
  private AdminScenarios() {}

  static void add(Map<String, Suite.Scenario> all) {
    all.put("describe-cluster", AdminScenarios::describeCluster);
    all.put("create-topic", AdminScenarios::createTopic);
    all.put("create-topic-configs", AdminScenarios::createWithConfigs);
    all.put("create-topic-errors", AdminScenarios::createErrors);
    all.put("create-topic-validate-only", AdminScenarios::validateOnly);
    all.put("create-many-topics", AdminScenarios::createMany);
    all.put("describe-unknown-topic", AdminScenarios::describeUnknown);
    all.put("describe-topic-configs", AdminScenarios::topicConfigs);
    all.put("delete-topic", AdminScenarios::deleteTopic);
    all.put("delete-topic-by-id", AdminScenarios::deleteById);
  }

  private static void describeCluster() throws Exception {
    try (Admin admin = Kit.admin()) {
      var cluster = admin.describeCluster();
      var nodes = cluster.nodes().get();
      same(1, nodes.size(), "nodes");
      var node = nodes.iterator().next();
      same(Kit.broker, node.host() + ":" + node.port(), "advertised address");
      check(cluster.controller().get().id() == node.id(), "the only node is the controller");
      check(!cluster.clusterId().get().isEmpty(), "cluster id");
      same(cluster.clusterId().get(), admin.describeCluster().clusterId().get(), "cluster id, asked twice");
    }
  }

  private static void createTopic() throws Exception {
    try (Admin admin = Kit.admin()) {
      String name = Kit.name("create");
      var created = admin.createTopics(List.of(new NewTopic(name, 5, (short) 1)));
      created.all().get();
      same(5, created.numPartitions(name).get(), "partitions in the answer");
      same(1, created.replicationFactor(name).get(), "factor in the answer");
      Uuid id = created.topicId(name).get();
      Kit.awaitTopic(admin, name);
      var topic = admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
      same(5, topic.partitions().size(), "partitions");
      same(id, topic.topicId(), "topic id");
      check(!topic.isInternal(), "not internal");
      for (int i = 0; i < 5; i++) {
        var p = topic.partitions().get(i);
        same(i, p.partition(), "partition");
        same(1, p.replicas().size(), "replicas");
        same(List.of(p.leader()), p.isr(), "isr");
      }
      same(topic.topicId(), admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get().get(id).topicId(),
          "described by id");
      check(admin.listTopics().names().get().contains(name), "listed");
    }
  }

  private static void createWithConfigs() throws Exception {
    String name = Kit.create("configs", 1, Map.of("retention.ms", "123456", "compression.type", "producer",
        "max.message.bytes", "2000000", "cleanup.policy", "delete"));
    try (Admin admin = Kit.admin()) {
      Config c = config(admin, name);
      same("123456", c.get("retention.ms").value(), "retention.ms");
      same("2000000", c.get("max.message.bytes").value(), "max.message.bytes");
      same(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, c.get("retention.ms").source(), "source");
    }
  }

  private static String createFailure(Admin admin, NewTopic topic) throws Exception {
    return failure(admin.createTopics(List.of(topic)).all());
  }

  private static void createErrors() throws Exception {
    String name = Kit.create("errors", 1);
    try (Admin admin = Kit.admin()) {
      same("TopicExistsException", createFailure(admin, new NewTopic(name, 1, (short) 1)), "twice");
      same("InvalidTopicException", createFailure(admin, new NewTopic("no spaces", 1, (short) 1)), "bad name");
      same("InvalidTopicException", createFailure(admin, new NewTopic("..", 1, (short) 1)), "dots");
      same("InvalidTopicException", createFailure(admin, new NewTopic("x".repeat(250), 1, (short) 1)), "long name");
      same("InvalidPartitionsException", createFailure(admin, new NewTopic(Kit.name("e"), 0, (short) 1)), "0 partitions");
      same("InvalidReplicationFactorException", createFailure(admin, new NewTopic(Kit.name("e"), 1, (short) 3)),
          "three replicas on one node");
      same("InvalidConfigurationException",
          createFailure(admin, new NewTopic(Kit.name("e"), 1, (short) 1).configs(Map.of("no.such", "1"))), "unknown config");
      same("InvalidConfigurationException",
          createFailure(admin, new NewTopic(Kit.name("e"), 1, (short) 1).configs(Map.of("retention.ms", "soon"))),
          "bad config value");
    }
  }

  private static void validateOnly() throws Exception {
    try (Admin admin = Kit.admin()) {
      String name = Kit.name("dry");
      admin.createTopics(List.of(new NewTopic(name, 2, (short) 1)), new CreateTopicsOptions().validateOnly(true)).all().get();
      check(!admin.listTopics().names().get().contains(name), "not created");
    }
  }

  private static void createMany() throws Exception {
    try (Admin admin = Kit.admin()) {
      List<NewTopic> topics = new java.util.ArrayList<>();
      for (int i = 0; i < 20; i++) topics.add(new NewTopic(Kit.name("many"), 1 + i % 4, (short) 1));
      admin.createTopics(topics).all().get();
      for (NewTopic t : topics) Kit.awaitTopic(admin, t.name());
      Set<String> names = admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get();
      for (NewTopic t : topics) {
        check(names.contains(t.name()), "listed " + t.name());
        same(t.numPartitions(), admin.describeTopics(List.of(t.name())).allTopicNames().get().get(t.name()).partitions().size(),
            "partitions");
      }
      admin.deleteTopics(topics.stream().map(NewTopic::name).toList()).all().get();
    }
  }

  private static void describeUnknown() throws Exception {
    try (Admin admin = Kit.admin()) {
      same("UnknownTopicOrPartitionException", failure(admin.describeTopics(List.of(Kit.name("none"))).allTopicNames()),
          "by name");
      same("UnknownTopicIdException",
          failure(admin.describeTopics(TopicCollection.ofTopicIds(List.of(Uuid.randomUuid()))).allTopicIds()), "by id");
      same("UnknownTopicOrPartitionException", failure(admin.deleteTopics(List.of(Kit.name("none"))).all()), "delete");
    }
  }

  private static Config config(Admin admin, String topic) throws Exception {
    ConfigResource r = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    return admin.describeConfigs(List.of(r)).all().get().get(r);
  }

  private static void topicConfigs() throws Exception {
    String name = Kit.create("describe", 1);
    try (Admin admin = Kit.admin()) {
      Config c = config(admin, name);
      for (String key : List.of("cleanup.policy", "compression.type", "retention.ms", "retention.bytes", "segment.bytes",
          "max.message.bytes", "min.insync.replicas", "message.timestamp.type", "flush.messages", "flush.ms")) {
        check(c.get(key) != null, key + " is described");
      }
      same("delete", c.get("cleanup.policy").value(), "cleanup.policy");
      same("1048588", c.get("max.message.bytes").value(), "max.message.bytes");
      same("producer", c.get("compression.type").value(), "compression.type");
      check(c.get("retention.ms").source() != ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "retention.ms is a default");
      ConfigResource none = new ConfigResource(ConfigResource.Type.TOPIC, Kit.name("none"));
      same("UnknownTopicOrPartitionException", failure(admin.describeConfigs(List.of(none)).all()), "unknown topic");
    }
  }

  private static void deleteTopic() throws Exception {
    String name = Kit.create("delete", 2);
    try (var p = Kit.producer(Map.of("acks", "all"))) {
      Kit.send(p, Kit.shapes(name, 0, 50, 1));
    }
    try (Admin admin = Kit.admin()) {
      Uuid before = admin.describeTopics(List.of(name)).allTopicNames().get().get(name).topicId();
      admin.deleteTopics(List.of(name)).all().get();
      Kit.await("gone", () -> !admin.listTopics().names().get().contains(name));
      // The same name again is another topic: new id, nothing in it.
      Kit.await("created again", () -> failure(admin.createTopics(List.of(new NewTopic(name, 1, (short) 1))).all())
          .equals("no error"));
      Kit.awaitTopic(admin, name);
      check(!before.equals(admin.describeTopics(List.of(name)).allTopicNames().get().get(name).topicId()), "new id");
    }
    try (var p = Kit.producer(Map.of("acks", "all"))) {
      var records = Kit.shapes(name, 0, 5, 2);
      same(0L, Kit.send(p, records).get(0).offset(), "first offset of the new topic");
      Kit.readBack(records, name, 0, 0);
    }
  }

  private static void deleteById() throws Exception {
    String name = Kit.create("delete-id", 1);
    try (Admin admin = Kit.admin()) {
      Uuid id = admin.describeTopics(List.of(name)).allTopicNames().get().get(name).topicId();
      admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get();
      Kit.await("gone", () -> !admin.listTopics().names().get().contains(name));
    }
  }
}
