// Aim: whatever members of a KIP-848 group do and whenever the coordinator dies, no partition is read by two of them at
// a time, and when the trouble ends everything is read by somebody who asked for it. Method: the machine behind a log
// whose tail is lost in a crash, answers held back until their records are committed and lost at random; members that
// only see their own answers and keep to the protocol: they let go when told, and of everything when they could not be
// heard for a session. What is watched is what they read, not what the machine says.
#include "coordinator/consumer_fixture.h"
#include "coordinator/histories_fixture.h"

namespace mr::coordinator::histories {
namespace {

constexpr Millis kRebalance{20'000};

/// As StateMachineHost and GroupPartition do it.
struct ConsumerHost {
  explicit ConsumerHost(sim::Random& random) : random(random) {
    machine.settings = consumer_settings();
    if (random.below(3) == 0) machine.settings.assign_on_shard_max = 0;
    if (random.below(3) == 0) machine.settings.consumer_times.assignment_interval_ms = 0;
    live = machine.begin(state, now);
    grow("t", 1, 1 + random.below(5));
  }
  void send(WaiterId waiter, decltype(GroupEvent::what) what) {
    auto decision = machine.decide(state, live, {waiter, std::move(what)}, now);
    for (broker::StateRecord& record : decision.records) {
      apply(state, record);
      log.push_back(std::move(record));
    }
    held.push_back({log.size(), std::move(decision.effects)});
    check();
  }
  static void apply(GroupState& to, const broker::StateRecord& record) {
    Record seen{.key = ByteView(record.key)};
    if (record.value) seen.value = ByteView(*record.value);
    to.apply(seen);
  }
  std::vector<GroupReply> commit() {
    committed += random.below(log.size() - committed + 1);
    std::vector<GroupReply> out;
    while (!held.empty() && held.front().first <= committed) {
      for (GroupReply& reply : held.front().second) {
        if (reply.waiter == kNobody) {
          jobs.push_back(std::move(reply.answer));
        } else {
          out.push_back(std::move(reply));
        }
      }
      held.erase(held.begin());
    }
    return out;
  }
  /// The offload pool: any job, at any time.
  void work() {
    if (jobs.empty()) return;
    const std::size_t at = random.below(jobs.size());
    GroupAnswer job = std::move(jobs[at]);
    jobs.erase(jobs.begin() + static_cast<std::ptrdiff_t>(at));
    if (auto* assign = std::get_if<AssignJob>(&job)) send(kNobody, run(*assign));
    if (auto* match = std::get_if<MatchJob>(&job)) send(kNobody, run(*match));
  }
  void crash() {
    log.resize(committed);
    held.clear();
    jobs.clear();
    state = {};
    for (const broker::StateRecord& record : log) apply(state, record);
    ASSERT_FALSE(state.broken);
    live = machine.begin(state, now);
    send(kNobody, TopicsChangedEvent{topics, {}});
  }
  void pass(Duration time) {
    now.mono += time;
    now.wall += std::chrono::duration_cast<Millis>(time).count();
    while (live.deadlines.next() <= now.mono) send({}, TickEvent{});
  }
  void grow(std::string name, std::uint64_t id, std::size_t partitions) {
    topics = with_topic(topics, name, id, partitions);
    send(kNobody, TopicsChangedEvent{topics, std::move(name)});
  }
  void check() {
    const ConsumerGroupState& group = consumer_state(state, "g");
    LiveConsumerGroup* alive = live.find_consumer("g");
    EXPECT_EQ(alive == nullptr ? 0 : alive->sessions.size(), group.members().size());
    EXPECT_EQ(live.stats.members, group.members().size());
    EXPECT_LE(group.target_epoch(), group.epoch());
    const GroupStateName name = consumer_group_state(group);
    if (alive != nullptr && (name == GroupStateName::stable || name == GroupStateName::empty))
      EXPECT_EQ(alive->history.under_way(), nullptr) << "nothing is left to do";
    std::map<std::pair<TopicId, std::int32_t>, std::string> owner;
    auto take = [&](TopicId topic, std::int32_t partition, const std::string& member) {
      auto [at, first] = owner.emplace(std::pair(topic, partition), member);
      EXPECT_TRUE(first) << "partition " << partition << " is " << at->second << "'s and " << member << "'s";
      EXPECT_FALSE(group.is_free(topic, partition));
    };
    for (const auto& [id, current] : group.currents()) {
      EXPECT_LE(current.epoch, group.target_epoch());
      for (const auto& [topic, partitions] : current.assigned)
        for (const auto& [partition, epoch] : partitions) take(topic, partition, id);
      for (const auto& [topic, partitions] : current.revoking)
        for (std::int32_t partition : partitions) take(topic, partition, id);
    }
  }

  sim::Random& random;
  GroupMachine machine{};
  broker::Moment now{TimePoint(std::chrono::hours(1)), 1'700'000'000'000};
  GroupState state;
  LiveGroups live;
  std::shared_ptr<const broker::TopicTable> topics = std::make_shared<const broker::TopicTable>();
  std::vector<broker::StateRecord> log;
  std::size_t committed = 0;
  std::vector<std::pair<std::size_t, std::vector<GroupReply>>> held;
  std::vector<GroupAnswer> jobs;
};

using Reads = std::set<std::pair<TopicId, std::int32_t>>;

struct Reader {
  std::string instance;  // empty: dynamic
  std::string id;
  std::int32_t epoch = 0;
  std::vector<std::string> topics;
  std::string regex;
  Reads reading;
  std::optional<PartitionSet> told;  ///< the last assignment; what is not in it shall go
  TimePoint revoke_by = kForever;
  TimePoint unsure_by = kForever;  ///< an answer was lost, which may have told it to let go of something
  TimePoint heard_at{};            ///< when the last call that was answered was sent
  bool full = true;                ///< the next call says everything
  std::optional<WaiterId> waits;
  TimePoint sent_at{};
  std::int32_t sent_epoch = 0;
  bool let_go = false;       ///< of all that it was told to
  bool sent_let_go = false;  ///< and the call on its way says so

  void forget() {
    reading.clear();
    told.reset();
    let_go = false;
    revoke_by = unsure_by = kForever;
    epoch = 0;
    full = true;
  }
  bool wants(const std::string& topic) const {
    return std::ranges::find(topics, topic) != topics.end() || (!regex.empty() && topic.starts_with(regex[0]));
  }
};

struct ConsumerWorld {
  explicit ConsumerWorld(std::uint64_t seed) : random(seed), host(random), readers(1 + random.below(4)) {
    for (std::size_t i = 0; i < readers.size(); ++i) {
      readers[i].id = "m" + std::to_string(++last_id);
      if (random.below(3) == 0) readers[i].instance = "i" + std::to_string(i);
      choose(readers[i]);
    }
  }
  void choose(Reader& reader) {
    reader.full = true;
    reader.regex = random.below(5) == 0 ? "u.*" : "";
    reader.topics = random.below(3) == 0 ? std::vector<std::string>{"t", "u"} : std::vector<std::string>{"t"};
  }
  void step() {
    const auto dice = random.below(100);
    Reader& reader = readers[random.below(readers.size())];
    if (dice < 55) {
      act(reader);
    } else if (dice < 63) {
      let_go(reader);
    } else if (dice < 75) {
      pass(std::chrono::milliseconds(random.below(3000)));
    } else if (dice < 77) {
      pass(std::chrono::seconds(random.below(60)));
    } else if (dice < 80) {
      vanish(reader);
    } else if (dice < 82) {
      host.crash();
      for (Reader& one : readers) lose(one);
    } else if (dice < 84) {
      leave(reader);
    } else if (dice < 86 && grown < 6) {
      ++grown;
      const bool t = random.below(2) == 0;
      const broker::TopicRef before = host.topics->find(t ? "t" : "u");
      host.grow(t ? "t" : "u", t ? 1 : 2, 1 + (before == nullptr ? 0 : before->partitions.size()));
    } else if (dice < 88) {
      choose(reader);
    } else if (dice < 91) {
      lose(reader);
    } else {
      host.work();
    }
    deliver();
  }
  void deliver() {
    for (GroupReply& reply : host.commit())
      for (Reader& reader : readers)
        if (reader.waits == reply.waiter) {
          reader.waits.reset();
          take(reader, std::get<ConsumerHeartbeatAnswer>(reply.answer));
        }
    check();
  }
  /// Its call or the answer is lost; it says everything again.
  void lose(Reader& reader) {
    if (!reader.waits) return;
    reader.waits.reset();
    reader.full = true;
    if (reader.epoch != 0) reader.unsure_by = std::min(reader.unsure_by, reader.sent_at + kRebalance);
  }
  void vanish(Reader& reader) {
    reader.waits.reset();
    reader.forget();
    reader.id = "m" + std::to_string(++last_id);
  }
  void leave(Reader& reader) {
    if (reader.waits || reader.epoch == 0) return;
    ConsumerHeartbeatRequest request =
        ConsumerBench::beat(reader.id, reader.instance.empty() || random.below(2) ? -1 : -2);
    if (!reader.instance.empty()) request.instance = reader.instance;
    host.send(WaiterId{++last_waiter}, std::move(request));
    vanish(reader);
  }
  void act(Reader& reader) {
    if (reader.waits) return;
    ConsumerHeartbeatRequest request = ConsumerBench::beat(reader.id, reader.epoch);
    if (!reader.instance.empty()) request.instance = reader.instance;
    if (reader.full || reader.epoch == 0) {
      request.rebalance_timeout = kRebalance;
      request.topics = reader.topics;
      request.regex = reader.regex;
    }
    if (reader.full || reader.epoch == 0 || random.below(2) == 0) {
      request.owned.emplace();
      for (const auto& [topic, partition] : reader.reading) (*request.owned)[topic].push_back(partition);
    }
    reader.waits = WaiterId{++last_waiter};
    reader.sent_at = host.now.mono;
    reader.sent_epoch = reader.epoch;
    reader.sent_let_go = reader.let_go && request.owned;
    reader.full = false;  // again when this is lost
    host.send(*reader.waits, std::move(request));
  }
  void take(Reader& reader, const ConsumerHeartbeatAnswer& answer) {
    if (answer.error) {
      const Errc why = answer.error->code();
      if (why == Errc::unreleased_instance_id) return;  // later again
      if (why == Errc::fenced_instance_id) return vanish(reader);
      EXPECT_TRUE(why == Errc::fenced_member_epoch || why == Errc::unknown_member || why == Errc::group_not_found)
          << answer.error->message();
      return reader.forget();
    }
    if (reader.epoch != reader.sent_epoch) return;  // it began anew meanwhile
    // As old as a timeout of the group: it may have been given up since. Clients wait less for an answer.
    if (host.now.mono >= reader.sent_at + kRebalance) return reader.forget();
    reader.heard_at = reader.sent_at;
    EXPECT_GE(answer.epoch, 1);
    reader.epoch = answer.epoch;
    if (reader.sent_let_go) {
      reader.revoke_by = kForever;
      reader.let_go = false;
    }
    if (!answer.assignment) return;
    ++assignments;
    reader.told = answer.assignment;
    Reads told;
    for (const auto& [topic, partitions] : *reader.told)
      for (std::int32_t partition : partitions) told.emplace(topic, partition);
    const bool revoked = !std::ranges::includes(told, reader.reading);
    const TimePoint by = std::min(reader.unsure_by, reader.sent_at + kRebalance);
    if (revoked) reader.let_go = false;
    if (revoked || reader.revoke_by != kForever) reader.revoke_by = std::min(reader.revoke_by, by);
    reader.unsure_by = kForever;
    for (const auto& one : told) reader.reading.insert(one);
  }
  /// Of what it was told to.
  void let_go(Reader& reader) {
    if (!reader.told || reader.revoke_by == kForever) return;
    std::erase_if(reader.reading, [&](const auto& one) {
      auto at = reader.told->find(one.first);
      return at == reader.told->end() || !std::ranges::binary_search(at->second, one.second);
    });
    reader.let_go = true;
    reader.full = true;
  }
  /// Nobody reads on past the time at which the group may have given up on it.
  void pass(Duration time) {
    const TimePoint then = host.now.mono + time;
    for (Reader& reader : readers) {
      const bool silent = reader.epoch != 0 &&
                          then >= reader.heard_at + Millis(host.machine.settings.consumer_times.session_timeout_ms);
      if (!silent && then < std::min(reader.revoke_by, reader.unsure_by)) continue;
      reader.waits.reset();
      reader.forget();
    }
    host.pass(time);
  }
  void check() {
    std::map<std::pair<TopicId, std::int32_t>, std::string> by;
    for (const Reader& reader : readers)
      for (const auto& one : reader.reading) {
        auto [at, first] = by.emplace(one, reader.id);
        EXPECT_TRUE(first) << "partition " << one.second << " is read by " << at->second << " and " << reader.id;
      }
  }
  /// No more trouble: everybody calls, is answered and does what it is told.
  void calm_down() {
    for (int second = 0; second < 200 && !testing::Test::HasFailure(); ++second) {
      for (Reader& reader : readers) {
        let_go(reader);
        act(reader);
      }
      host.committed = host.log.size();
      deliver();
      while (!host.jobs.empty()) host.work();
      host.committed = host.log.size();
      deliver();
      pass(std::chrono::seconds(1));
    }
    EXPECT_EQ(group_state_name(consumer_group_state(consumer_state(host.state, "g"))), "Stable");
    for (const auto& [name, topic] : host.topics->topics())
      for (std::size_t p = 0; p < topic->partitions.size(); ++p) {
        const auto one = std::pair(topic->id, static_cast<std::int32_t>(p));
        const auto wanted = std::ranges::count_if(readers, [&](const Reader& r) { return r.wants(name); });
        const auto read =
            std::ranges::count_if(readers, [&](const Reader& r) { return r.wants(name) && r.reading.contains(one); });
        EXPECT_EQ(read, wanted == 0 ? 0 : 1) << name << " " << p;
      }
  }

  sim::Random random;
  ConsumerHost host;
  std::vector<Reader> readers;
  int grown = 0;
  std::uint64_t last_waiter = 0;
  std::uint64_t assignments = 0;
  int last_id = 0;
};

TEST(ConsumerHistories, NeverTwoReadersAndAllIsReadInTheEnd) {
  const auto [first, count] = seeds(400);
  std::uint64_t assignments = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    ConsumerWorld world(seed);
    for (int i = 0; i < 300 && !HasFailure(); ++i) world.step();
    if (!HasFailure()) world.calm_down();
    ASSERT_FALSE(HasFailure()) << "MR_SEED=" << seed;
    assignments += world.assignments;
    // Everybody goes: time alone ends the group.
    for (int minute = 0; minute < 5; ++minute) world.host.pass(std::chrono::minutes(1));
    EXPECT_TRUE(consumer_state(world.host.state, "g").members().empty()) << "MR_SEED=" << seed;
  }
  if (count >= 40) EXPECT_GT(assignments, count * 10);
}

}  // namespace
}  // namespace mr::coordinator::histories
