package millrace.clients;

import static millrace.clients.Kit.check;
import static millrace.clients.Kit.same;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidRegularExpression;

/** Groups of KIP-848 (`group.protocol=consumer`): what the matrix, which runs its scenarios in them too, has not. */
final class ConsumerProtocolScenarios {
  private ConsumerProtocolScenarios() {}

  static void add(Map<String, Suite.Scenario> all) {
    all.put("consumer-protocol-static-return", ConsumerProtocolScenarios::staticReturn);
    all.put("consumer-protocol-regex", ConsumerProtocolScenarios::regex);
    all.put("consumer-protocol-admin", ConsumerProtocolScenarios::admin);
    all.put("consumer-protocol-converts", ConsumerProtocolScenarios::converts);
    all.put("consumer-protocol-rolls-eager", () -> rolls("RangeAssignor"));
    all.put("consumer-protocol-rolls-cooperative", () -> rolls("CooperativeStickyAssignor"));
  }

  /** Counts what it is told. */
  private static final class Told implements ConsumerRebalanceListener {
    int calls = 0;

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      calls++;
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      calls++;
    }
  }

  private static KafkaConsumer<byte[], byte[]> member(String group, Map<String, Object> more) {
    Map<String, Object> config = new HashMap<>(
        Map.of("group.protocol", "consumer", "group.id", group, "auto.offset.reset", "earliest"));
    config.putAll(more);
    return Kit.consumer(config);
  }

  private static Set<Integer> numbers(Collection<TopicPartition> partitions) {
    Set<Integer> out = new TreeSet<>();
    for (TopicPartition p : partitions) out.add(p.partition());
    return out;
  }

  private static void pollUntil(String what, List<KafkaConsumer<byte[], byte[]>> members, Kit.Condition holds)
      throws Exception {
    Kit.await(what, () -> {
      for (var member : members) member.poll(Duration.ofMillis(20));
      return holds.holds();
    });
  }

  private static void fill(String topic, int partitions, int each) throws Exception {
    List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
    for (int p = 0; p < partitions; p++) {
      for (int i = 0; i < each; i++) records.add(new ProducerRecord<>(topic, p, null, ("v" + i).getBytes()));
    }
    try (var producer = Kit.producer(Map.of())) {
      Kit.send(producer, records);
    }
  }

  /** A static member that closes keeps its place: it comes back to the same partitions, and nobody else notices. */
  private static void staticReturn() throws Exception {
    String topic = Kit.create("static848", 4);
    String group = Kit.name("g");
    Told told = new Told();
    try (var other = member(group, Map.of("group.instance.id", "a"))) {
      other.subscribe(List.of(topic), told);
      Set<Integer> had;
      var first = member(group, Map.of("group.instance.id", "b"));
      try (first) {
        first.subscribe(List.of(topic));
        pollUntil("both have two partitions", List.of(other, first),
            () -> other.assignment().size() == 2 && first.assignment().size() == 2);
        had = numbers(first.assignment());
      }
      int before = told.calls;
      try (var second = member(group, Map.of("group.instance.id", "b"))) {
        second.subscribe(List.of(topic));
        pollUntil("the member is back", List.of(other, second), () -> second.assignment().size() == 2);
        same(had, numbers(second.assignment()), "partitions of the returned member");
        for (int i = 0; i < 30; i++) other.poll(Duration.ofMillis(20));
        same(before, told.calls, "calls of the other member's rebalance listener");
      }
    }
  }

  /** The broker matches the pattern, today and when topics come; one that does not compile is refused. */
  private static void regex() throws Exception {
    String stem = Kit.name("re");
    String group = Kit.name("g");
    try (Admin admin = Kit.admin(); var member = member(group, Map.of())) {
      admin.createTopics(List.of(new org.apache.kafka.clients.admin.NewTopic(stem + "-one", 2, (short) 1))).all().get();
      Kit.awaitTopic(admin, stem + "-one");
      member.subscribe(new SubscriptionPattern(stem + "-(one|two)"));
      pollUntil("the topic that is there", List.of(member), () -> member.assignment().size() == 2);
      for (String more : List.of(stem + "-two", stem + "-three")) {
        admin.createTopics(List.of(new org.apache.kafka.clients.admin.NewTopic(more, 1, (short) 1))).all().get();
      }
      pollUntil("the topic that came", List.of(member), () -> member.assignment().size() == 3);
      check(member.assignment().contains(new TopicPartition(stem + "-two", 0)), "the one that matches");
    }
    try (var bad = member(group, Map.of())) {
      bad.subscribe(new SubscriptionPattern("(" + stem));
      String got = "no error";
      try {
        for (int i = 0; i < 200; i++) bad.poll(Duration.ofMillis(50));
      } catch (InvalidRegularExpression e) {
        got = "InvalidRegularExpression";
      }
      same("InvalidRegularExpression", got, "a pattern that does not compile");
    }
  }

  /** What an administrator sees and may do. */
  private static void admin() throws Exception {
    String topic = Kit.create("admin848", 3);
    String group = Kit.name("g");
    fill(topic, 3, 5);
    TopicPartition first = new TopicPartition(topic, 0);
    try (Admin admin = Kit.admin()) {
      try (var member = member(group, Map.of("client.id", "mine", "client.rack", "r1"))) {
        member.subscribe(List.of(topic));
        pollUntil("all partitions", List.of(member), () -> member.assignment().size() == 3);
        member.commitSync(Map.of(first, new OffsetAndMetadata(2, "text")));
        ConsumerGroupDescription seen = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        same(GroupType.CONSUMER, seen.type(), "type");
        same(GroupState.STABLE, seen.groupState(), "state");
        same("uniform", seen.partitionAssignor(), "assignor");
        same(1, seen.members().size(), "members");
        var only = seen.members().iterator().next();
        same("mine", only.clientId(), "client id");
        same(Set.of(0, 1, 2), numbers(only.assignment().topicPartitions()), "assignment");
        same(Set.of(0, 1, 2), numbers(only.targetAssignment().orElseThrow().topicPartitions()), "target");
        check(seen.groupEpoch().orElseThrow() >= 1, "group epoch");
        same("GroupNotEmptyException", Kit.failure(admin.deleteConsumerGroups(List.of(group)).all()), "delete with members");
        same("UnknownMemberIdException", Kit.failure(
            admin.alterConsumerGroupOffsets(group, Map.of(first, new OffsetAndMetadata(1))).all()), "alter with members");
        same("GroupSubscribedToTopicException",
            Kit.failure(admin.deleteConsumerGroupOffsets(group, Set.of(first)).partitionResult(first)), "offsets that are read");
        var listed = admin.listGroups(new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER))).all().get();
        check(listed.stream().anyMatch(g -> g.groupId().equals(group)), "listed by type");
        var classic = admin.listGroups(new ListGroupsOptions().withTypes(Set.of(GroupType.CLASSIC))).all().get();
        check(classic.stream().noneMatch(g -> g.groupId().equals(group)), "not a classic group");
      }
      Kit.await("the group is empty", () -> admin.describeConsumerGroups(List.of(group)).all().get().get(group)
          .groupState() == GroupState.EMPTY);
      admin.alterConsumerGroupOffsets(group, Map.of(first, new OffsetAndMetadata(4))).all().get();
      same(4L, admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(first).offset(), "altered");
      admin.deleteConsumerGroups(List.of(group)).all().get();
      same("GroupIdNotFoundException", Kit.failure(admin.deleteConsumerGroups(List.of(group)).all()), "deleted");
    }
  }

  /** Without members a group goes from one protocol to the other and back; offsets stay. */
  private static void converts() throws Exception {
    String topic = Kit.create("converts", 1);
    String group = Kit.name("g");
    fill(topic, 1, 9);
    TopicPartition only = new TopicPartition(topic, 0);
    long at = 0;
    for (String protocol : List.of("classic", "consumer", "classic")) {
      try (var member = member(group, Map.of("group.protocol", protocol))) {
        member.subscribe(List.of(topic));
        pollUntil("the partition, " + protocol, List.of(member), () -> member.assignment().size() == 1);
        var committed = member.committed(Set.of(only)).get(only);
        same(at, committed == null ? 0L : committed.offset(), "where the other protocol was");
        at += 3;
        member.commitSync(Map.of(only, new OffsetAndMetadata(at)));
      }
    }
  }

  /**
   * The members of a group are exchanged one by one, for such of the other protocol and back. No partition is two
   * members' at a time, and every record is read.
   */
  private static void rolls(String assignor) throws Exception {
    int partitions = 6;
    String topic = Kit.create("rolls", partitions);
    String group = Kit.name("g");
    Map<String, Object> classic = Map.of("group.protocol", "classic", "enable.auto.commit", true,
        "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor, "heartbeat.interval.ms", 300,
        "session.timeout.ms", 10000);
    Map<String, Object> modern = Map.of("enable.auto.commit", true);
    List<KafkaConsumer<byte[], byte[]>> members = new ArrayList<>();
    Set<String> read = new TreeSet<>();
    int written = 0;
    try (Admin admin = Kit.admin()) {
      for (int i = 0; i < 3; i++) members.add(begin(topic, group, classic));
      for (Map<String, Object> protocol : List.of(modern, classic)) {
        for (int i = 0; i < 3; i++) {
          readAll(members, partitions, read, written);
          members.get(i).close();
          members.set(i, begin(topic, group, protocol));
          fill(topic, partitions, 2);
          written += 2 * partitions;
        }
        readAll(members, partitions, read, written);
        GroupType type = protocol == modern ? GroupType.CONSUMER : GroupType.CLASSIC;
        var seen = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        same(type, seen.type(), "type of the group");
        same(3, seen.members().size(), "its members");
      }
    } finally {
      for (var member : members) member.close();
    }
  }

  private static KafkaConsumer<byte[], byte[]> begin(String topic, String group, Map<String, Object> protocol) {
    var member = member(group, protocol);
    member.subscribe(List.of(topic));
    return member;
  }

  /** Polls until everybody has its share and so many records were read. */
  private static void readAll(List<KafkaConsumer<byte[], byte[]>> members, int partitions, Set<String> read, int records)
      throws Exception {
    int share = partitions / members.size();
    Kit.await(records + " records by members with " + share + " partitions each", () -> {
      for (var member : members) {
        for (var record : member.poll(Duration.ofMillis(20))) read.add(record.partition() + "-" + record.offset());
        Set<TopicPartition> owned = new java.util.HashSet<>();
        for (var one : members) {
          for (TopicPartition p : one.assignment()) check(owned.add(p), p + " is two members'");
        }
      }
      return read.size() == records && members.stream().allMatch(m -> m.assignment().size() == share);
    });
  }
}
