#pragma once
#include "coordinator/consumer_fixture.h"
#include "coordinator/histories_fixture.h"

/// For the histories of KIP-848 groups and mixed ones.
namespace mr::coordinator::histories {

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
    const Before before = what_is_there();
    auto decision = machine.decide(state, live, {waiter, std::move(what)}, now);
    if (const std::size_t first = kept_whole(before, decision.records); first > 1)
      whole.emplace_back(log.size(), log.size() + first);
    for (broker::StateRecord& record : decision.records) {
      state.apply(as_read(record), now.wall);
      log.push_back(std::move(record));
    }
    held.push_back({log.size(), std::move(decision.effects)});
    check();
  }
  struct Before {
    std::size_t classic_members = 0;
    bool has_record = false;
    bool has_consumers = false;
  };
  Before what_is_there() {
    const LiveGroup* classic = live.find("g");
    auto durable = state.groups.find("g");
    return {.classic_members = classic == nullptr ? 0 : classic->members().size(),
            .has_record = durable != state.groups.end() && !durable->second.record.empty(),
            .has_consumers = !consumer_state(state, "g").members().empty()};
  }
  /// Records at the beginning that are one batch, since the machine keeps them small enough. Between all others a crash
  /// may come.
  std::size_t kept_whole(const Before& before, const std::vector<broker::StateRecord>& records) {
    constexpr int kGroup = 2, kMember = 5, kTarget = 7, kCurrent = 8;
    auto type = [](const broker::StateRecord& record) { return std::to_integer<int>(record.key.at(1)); };
    auto through = [&](int wanted) {
      auto at =
          std::ranges::find_if(records, [&](const auto& record) { return record.value && type(record) == wanted; });
      return static_cast<std::size_t>(at - records.begin()) + (at == records.end() ? 0 : 1);
    };
    const bool is_classic = live.find("g") != nullptr;
    if (before.classic_members > 0 && !is_classic) return (before.has_record ? 1 : 0) + 3 * before.classic_members + 2;
    if (before.has_consumers && is_classic) return through(kGroup);
    // A static member's place is taken. When it does not fit, it begins with the group's epoch.
    const bool begins_with_end =
        !records.empty() && !records[0].value &&
        (type(records[0]) == kCurrent || type(records[0]) == kTarget || type(records[0]) == kMember);
    return begins_with_end ? through(kTarget) : 0;
  }
  std::vector<GroupReply> commit() {
    committed += random.below(log.size() - committed + 1);
    for (const auto& [from, to] : whole)
      if (committed > from && committed < to) committed = from;
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
    std::erase_if(whole, [&](const auto& range) { return range.second > committed; });
    held.clear();
    jobs.clear();
    state = {};
    for (const broker::StateRecord& record : log) state.apply(as_read(record), now.wall);
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
    const LiveGroup* classic = live.find("g");
    EXPECT_TRUE(alive == nullptr || classic == nullptr) << "a group of both protocols";
    EXPECT_EQ(live.stats.members, group.members().size() + (classic == nullptr ? 0 : classic->members().size()));
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
  /// Records of `log` that are one batch.
  std::vector<std::pair<std::size_t, std::size_t>> whole;
  std::vector<std::pair<std::size_t, std::vector<GroupReply>>> held;
  std::vector<GroupAnswer> jobs;
};

}  // namespace mr::coordinator::histories
