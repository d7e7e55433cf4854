// Aim: while clients are exchanged one by one, from the classic protocol (eager or cooperative) to KIP-848 and back,
// and whenever the coordinator dies, no partition is read by two of them at a time, and in the end all are read.
// Method: the world of consumer_histories_test.cc, whose clients speak either protocol; the classic ones assign among
// themselves while the group is theirs.
#include "coordinator/consumer_world_fixture.h"
#include "coordinator/migration_fixture.h"

namespace mr::coordinator::histories {
namespace {

constexpr Millis kSession{10'000};

/// What a reader is when it speaks the classic protocol.
struct Classic {
  enum class Speaks { consumer, eager, cooperative } speaks = Speaks::consumer;
  enum class Stage { joins, syncs, reads } stage = Stage::joins;
  std::int32_t generation = -1;
  JoinAnswer joined;
  TimePoint fine_at{};           ///< when the last call was sent whose answer told of no change
  std::size_t assigned_for = 0;  ///< partitions there were when it assigned as leader
  bool unsure = false;           ///< an answer was lost, which may have begun the time in which it shall let go
};

struct MixedWorld : ConsumerWorld {
  explicit MixedWorld(std::uint64_t seed) : ConsumerWorld(seed), classics(readers.size()) {
    if (random.below(4) == 0) host.machine.settings.migration = MigrationPolicy::upgrade;
    for (Reader& reader : readers) vanish(reader);
  }
  Classic& of(const Reader& reader) { return classics[static_cast<std::size_t>(&reader - readers.data())]; }
  bool is_classic(const Reader& reader) { return of(reader).speaks != Classic::Speaks::consumer; }
  std::size_t partitions() const {
    std::size_t sum = 0;
    for (const auto& [name, topic] : host.topics->topics()) sum += topic->partitions.size();
    return sum;
  }

  void choose(Reader& reader) override {
    ConsumerWorld::choose(reader);
    reader.regex.clear();
    of(reader).stage = Classic::Stage::joins;
  }
  /// Its successor may speak something else.
  void vanish(Reader& reader) override {
    ConsumerWorld::vanish(reader);
    of(reader) = Classic{.speaks = static_cast<Classic::Speaks>(random.below(3))};
    if (is_classic(reader)) reader.id.clear();
    choose(reader);
    // In a classic group a static member's successor begins no round, whatever it asks for. (Kafka's rule)
    if (is_classic(reader) && said.contains(reader.instance)) reader.topics = said[reader.instance];
  }
  void forget(Reader& reader) override {
    reader.forget();
    of(reader).generation = -1;
    of(reader).stage = Classic::Stage::joins;
    of(reader).unsure = false;
  }
  void lose(Reader& reader) override {
    if (!is_classic(reader)) return ConsumerWorld::lose(reader);
    of(reader).unsure |= reader.waits && of(reader).stage == Classic::Stage::joins;
    reader.waits.reset();
  }
  void leave(Reader& reader) override {
    if (!is_classic(reader)) return ConsumerWorld::leave(reader);
    if (reader.waits || reader.id.empty()) return;
    LeavingMember leaving{.member = reader.id};
    if (!reader.instance.empty()) leaving.instance = reader.instance;
    host.send(WaiterId{++last_waiter}, LeaveRequest{.group = "g", .members = {leaving}});
    vanish(reader);
  }
  bool may_be_out(const Reader& reader, TimePoint then) override {
    if (!is_classic(reader)) return ConsumerWorld::may_be_out(reader, then);
    return !reader.reading.empty() && (then >= reader.heard_at + kSession || then >= of(reader).fine_at + kRebalance);
  }

  void act(Reader& reader) override {
    if (!is_classic(reader)) return ConsumerWorld::act(reader);
    if (reader.waits) return;
    Classic& classic = of(reader);
    const bool leads = classic.joined.leader == reader.id && classic.generation >= 0;
    const bool assigns_again = leads && classic.assigned_for != partitions();
    if (classic.stage == Classic::Stage::reads && (assigns_again || reader.full)) classic.stage = Classic::Stage::joins;
    reader.waits = WaiterId{++last_waiter};
    reader.sent_at = host.now.mono;
    const std::optional<std::string> instance = reader.instance.empty() ? std::nullopt : std::optional(reader.instance);
    const Generation generation{classic.generation};
    if (classic.stage == Classic::Stage::joins) {
      host.send(*reader.waits, join(reader));
    } else if (classic.stage == Classic::Stage::syncs) {
      SyncRequest sync{.group = "g", .generation = generation, .member = reader.id, .instance = instance};
      if (leads && !classic.joined.skip_assignment) {
        sync.assignments = assign(classic.joined.members);
        classic.assigned_for = partitions();
      }
      host.send(*reader.waits, std::move(sync));
    } else if (random.below(3) != 0 || host.now.mono >= reader.heard_at + kSession / 2) {
      // A commit does not prolong a session of a mixed group, so a client that is alive says so in time.
      host.send(*reader.waits, HeartbeatRequest{"g", generation, reader.id, instance});
    } else {
      CommitRequest commit{.group = "g", .generation = generation, .member = reader.id, .instance = instance};
      commit.offsets.push_back({.topic = "t", .partition = PartitionIndex{0}, .offset = Offset{1}});
      host.send(*reader.waits, std::move(commit));
    }
  }
  JoinEvent join(Reader& reader) {
    Classic& classic = of(reader);
    const bool eager = classic.speaks == Classic::Speaks::eager;
    if (eager) reader.reading.clear();
    reader.full = false;  // what it wants to read is said
    if (!reader.instance.empty()) said[reader.instance] = reader.topics;
    Subscribed says{.topics = reader.topics, .generation = classic.generation};
    for (const auto& [topic, partition] : reader.reading)
      (topic == topic_id(1) ? says.owned : says.owned_u).push_back(partition);
    JoinEvent event{.fresh_id = std::to_string(++last_id)};
    event.request = {.group = "g",
                     .member = reader.id,
                     .client_id = "c",
                     .client_host = "/h",
                     .session_timeout = kSession,
                     .rebalance_timeout = kRebalance,
                     .protocol_type = "consumer",
                     .member_id_required = random.below(2) == 0,
                     .skip_assignment_known = true};
    if (!reader.instance.empty()) event.request.instance = reader.instance;
    // Both by everybody: the record of a group keeps the chosen one only, which may not shut anybody out.
    event.request.protocols = {{"range", subscribes(says)}, {"cooperative-sticky", subscribes(says)}};
    if (!eager) std::ranges::reverse(event.request.protocols);
    return event;
  }
  /// Evenly; what another member still has is nobody's in this round.
  std::vector<MemberAssignment> assign(const std::vector<JoinedMember>& members) {
    std::vector<wire::ConsumerSubscription> says;
    for (const JoinedMember& member : members) says.push_back(*wire::read_subscription(member.metadata.view()));
    std::vector<std::vector<TopicPartition>> given(members.size());
    for (const auto& [name, topic] : host.topics->topics()) {
      std::vector<std::size_t> want;
      for (std::size_t m = 0; m < members.size(); ++m)
        if (std::ranges::find(says[m].topics, name) != says[m].topics.end()) want.push_back(m);
      for (std::size_t p = 0; !want.empty() && p < topic->partitions.size(); ++p) {
        const TopicPartition one{name, PartitionIndex{static_cast<std::int32_t>(p)}};
        const std::size_t to = want[p % want.size()];
        bool free = true;
        for (std::size_t m = 0; m < members.size(); ++m)
          free = free && (m == to || !std::ranges::binary_search(says[m].owned, one));
        if (free) given[to].push_back(one);
      }
    }
    std::vector<MemberAssignment> all;
    for (std::size_t m = 0; m < members.size(); ++m)
      all.push_back({members[m].member, Blob(wire::write_assignment(2, given[m]))});
    return all;
  }

  void take_any(Reader& reader, const GroupAnswer& answer) override {
    if (!is_classic(reader)) return ConsumerWorld::take_any(reader, answer);
    if (const auto* joined = std::get_if<JoinAnswer>(&answer)) return joins(reader, *joined);
    if (const auto* synced = std::get_if<SyncAnswer>(&answer)) return syncs(reader, *synced);
    if (const auto* beat = std::get_if<HeartbeatAnswer>(&answer)) {
      // Of all refusals only a heartbeat's lets the session go on.
      if (beat->error && beat->error->code() == Errc::rebalance_in_progress) reader.heard_at = reader.sent_at;
      if (beat->error) return fails(reader, *beat->error);
      fine(reader);
    } else if (const auto& commit = std::get<CommitAnswer>(answer); commit.error) {
      fails(reader, *commit.error);
    }
  }
  void fine(Reader& reader) {
    reader.heard_at = of(reader).fine_at = reader.sent_at;
    of(reader).unsure = false;
  }
  void fails(Reader& reader, const Error& why) {
    switch (why.code()) {
      case Errc::rebalance_in_progress:
        of(reader).stage = Classic::Stage::joins;
        return;
      case Errc::illegal_generation:
        return forget(reader);
      case Errc::unknown_member:
        forget(reader);
        reader.id.clear();
        return;
      case Errc::fenced_instance_id:
        return vanish(reader);
      default:
        ADD_FAILURE() << why.message();
    }
  }
  void joins(Reader& reader, const JoinAnswer& answer) {
    if (answer.error && answer.error->code() == Errc::member_id_required) {
      reader.id = answer.member;
      return;
    }
    if (answer.error) return fails(reader, *answer.error);
    Classic& classic = of(reader);
    // The same generation in a mixed group: it has not let go yet, and the time for that runs since an earlier join.
    const bool waits = answer.leader.empty() && answer.generation.v == classic.generation;
    reader.id = answer.member;
    classic.generation = answer.generation.v;
    classic.joined = answer;
    classic.assigned_for = 0;
    classic.stage = Classic::Stage::syncs;
    in_mixed_groups += answer.leader.empty();
    reader.heard_at = reader.sent_at;
    if (!waits && !classic.unsure) fine(reader);
  }
  void syncs(Reader& reader, const SyncAnswer& answer) {
    if (answer.error) return fails(reader, *answer.error);
    // A sync that finds a classic group stable does not let the session go on: the join did.
    if (host.now.mono >= reader.heard_at + kSession) return forget(reader);
    auto told = wire::assigned_partitions(answer.assignment.view());
    ASSERT_TRUE(told.ok());
    Reads reads;
    for (const TopicPartition& one : *told) reads.emplace(host.topics->find(one.topic)->id, one.partition.v);
    const bool lets_go = !std::ranges::includes(reads, reader.reading);
    reader.reading = std::move(reads);
    of(reader).stage = lets_go ? Classic::Stage::joins : Classic::Stage::reads;
    if (lets_go) return;  // the time to say so runs since the join
    of(reader).fine_at = reader.sent_at;
    of(reader).unsure = false;
  }

  std::vector<Classic> classics;
  std::map<std::string, std::vector<std::string>> said;  ///< by instance: the topics of its last classic join
  std::uint64_t in_mixed_groups = 0;
};

TEST(MixedHistories, NeverTwoReadersAndAllIsReadInTheEnd) {
  const auto [first, count] = seeds(400);
  std::uint64_t in_mixed_groups = 0;
  std::uint64_t ended_classic = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    MixedWorld world(seed);
    for (int i = 0; i < 400 && !HasFailure(); ++i) world.step();
    if (!HasFailure()) world.calm_down();
    ASSERT_FALSE(HasFailure()) << "MR_SEED=" << seed;
    in_mixed_groups += world.in_mixed_groups;
    ended_classic += world.host.live.find("g") != nullptr;
    // Everybody goes: time alone ends the group.
    for (int minute = 0; minute < 5; ++minute) world.host.pass(std::chrono::minutes(1));
    EXPECT_EQ(world.host.live.stats.members, 0u) << "MR_SEED=" << seed;
    EXPECT_EQ(world.host.live.waiting, 0u) << "MR_SEED=" << seed;
  }
  if (count < 40) return;
  EXPECT_GT(in_mixed_groups, count * 3);
  EXPECT_GT(ended_classic, count / 20);
}

}  // namespace
}  // namespace mr::coordinator::histories
