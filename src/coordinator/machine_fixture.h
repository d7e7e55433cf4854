#pragma once
#include <gtest/gtest.h>

#include "coordinator/group_machine.h"
#include "model/batch_builder.h"

namespace mr::coordinator {

/// As it comes from the log.
inline Record as_read(const broker::StateRecord& record) {
  Record read{.key = ByteView(record.key)};
  if (record.value) read.value = ByteView(*record.value);
  return read;
}

/// One partition's machine with a clock in hand: no log, no host. Records are applied at once, as a commit that never
/// fails would; answers are kept by waiter.
struct Bench {
  explicit Bench(GroupSettings settings = {}) : machine{settings}, live(machine.begin(state, now)) {}

  /// Decides and applies; the waiter's id.
  WaiterId send(decltype(GroupEvent::what) what) {
    WaiterId waiter{++last_waiter};
    auto decision = machine.decide(state, live, {waiter, std::move(what)}, now);
    written_at.resize(log.size(), now.wall);  // a test may have torn off the log's end
    for (broker::StateRecord& record : decision.records) {
      GroupMachine::apply(state, as_read(record), now.wall);
      log.push_back(std::move(record));
      written_at.push_back(now.wall);
    }
    records_of_last = decision.records.size();
    for (GroupReply& reply : decision.effects) {
      if (reply.waiter == kNobody) {
        jobs.push_back(std::move(reply.answer));
        continue;
      }
      EXPECT_TRUE(answers.emplace(reply.waiter.v, std::move(reply.answer)).second) << "two answers to one call";
    }
    return waiter;
  }
  bool answered(WaiterId waiter) const { return answers.contains(waiter.v); }
  template <class Answer>
  Answer answer(WaiterId waiter) const {
    auto at = answers.find(waiter.v);
    if (at == answers.end()) {
      ADD_FAILURE() << "no answer yet";
      return {};
    }
    return std::get<Answer>(at->second);
  }
  template <class Answer>
  Answer ask(decltype(GroupEvent::what) what) {
    return answer<Answer>(send(std::move(what)));
  }
  void pass(Duration time) {
    // As the host does: in steps, so that what a deadline begins can end within `time`.
    const TimePoint end = now.mono + time;
    while (live.deadlines.next() <= end) {
      const Duration step = std::max(live.deadlines.next() - now.mono, Duration(0));
      now.mono += step;
      now.wall += std::chrono::duration_cast<Millis>(step).count();
      send(TickEvent{});
    }
    now.wall += std::chrono::duration_cast<Millis>(end - now.mono).count();
    now.mono = end;
  }
  void run_jobs() {
    for (GroupAnswer& job : std::exchange(jobs, {})) {
      if (auto* assign = std::get_if<AssignJob>(&job)) send(run(*assign));
      if (auto* match = std::get_if<MatchJob>(&job)) send(run(*match));
    }
  }
  GroupState replayed() const {
    GroupState fresh;
    for (std::size_t i = 0; i < log.size(); ++i)
      fresh.apply(as_read(log[i]), i < written_at.size() ? written_at[i] : now.wall);
    return fresh;
  }
  /// What a crash leaves: the log.
  void reload() {
    state = replayed();
    ASSERT_FALSE(state.broken);
    live = machine.begin(state, now);
  }
  GroupStateName state_of(std::string_view group) {
    const LiveGroup* found = live.find(group);
    return found == nullptr ? GroupStateName::dead : found->state;
  }

  // Requests in short. `fresh_id` makes ids readable: client "c", fresh "1" -> "c-1".
  JoinEvent join(std::string member, std::string fresh, std::vector<std::string> protocols = {"range"}) {
    JoinEvent event{.fresh_id = std::move(fresh)};
    event.request = {.group = "g",
                     .member = std::move(member),
                     .client_id = "c",
                     .client_host = "/10.0.0.1",
                     .session_timeout = Millis(10'000),
                     .rebalance_timeout = Millis(60'000),
                     .protocol_type = "consumer",
                     .protocols = {}};
    for (std::string& name : protocols) event.request.protocols.push_back({name, subscription({"t"})});
    return event;
  }
  JoinEvent join_static(std::string instance, std::string fresh, std::vector<std::string> protocols = {"range"}) {
    JoinEvent event = join("", std::move(fresh), std::move(protocols));
    event.request.instance = std::move(instance);
    return event;
  }
  SyncRequest sync(std::string member, int generation, std::vector<std::pair<std::string, std::string>> parts = {}) {
    SyncRequest request{.group = "g", .generation = Generation{generation}, .member = std::move(member)};
    for (auto& [to, what] : parts) request.assignments.push_back({to, Blob(as_bytes(what))});
    return request;
  }
  HeartbeatRequest heartbeat(std::string member, int generation) {
    return {.group = "g", .generation = Generation{generation}, .member = std::move(member)};
  }
  CommitRequest commit(std::string member, int generation, std::int64_t offset, std::string metadata = "") {
    CommitRequest request{.group = "g", .generation = Generation{generation}, .member = std::move(member)};
    request.offsets.push_back(
        {.topic = "t", .partition = PartitionIndex{0}, .offset = Offset{offset}, .metadata = std::move(metadata)});
    return request;
  }
  std::int64_t committed(std::string topic = "t", std::int32_t partition = 0) {
    auto answer = ask<FetchOffsetsAnswer>(FetchOffsetsRequest{
        .group = "g", .topics = std::vector<TopicPartitionsWanted>{{topic, {}, {PartitionIndex{partition}}}}});
    return answer.topics.at(0).partitions.at(0).offset.v;
  }
  /// What a consumer sends: version, topics, no user data.
  static Blob subscription(std::vector<std::string> topics) {
    std::string bytes("\0\0", 2);
    auto put = [&bytes](std::uint32_t v, int n) {
      for (int i = n - 1; i >= 0; --i) bytes.push_back(static_cast<char>(v >> (8 * i)));
    };
    put(static_cast<std::uint32_t>(topics.size()), 4);
    for (const std::string& topic : topics) {
      put(static_cast<std::uint32_t>(topic.size()), 2);
      bytes += topic;
    }
    put(0xffffffff, 4);
    return Blob(as_bytes(bytes));
  }
  /// Two dynamic members c-1 (leader) and c-2, stable in some generation, which it returns.
  int stable_pair() {
    send(join("", "1"));
    send(join("", "2"));  // begins a round; c-1 joins again
    WaiterId w = send(join("c-1", ""));
    int generation = answer<JoinAnswer>(w).generation.v;
    WaiterId follower = send(sync("c-2", generation));
    send(sync("c-1", generation, {{"c-1", "one"}, {"c-2", "two"}}));
    EXPECT_EQ(answer<SyncAnswer>(follower).assignment, Blob(as_bytes("two")));
    return generation;
  }

  GroupMachine machine;
  broker::Moment now{TimePoint(std::chrono::hours(1)), 1'700'000'000'000};
  GroupState state;
  LiveGroups live;
  std::vector<broker::StateRecord> log;
  std::vector<WallMillis> written_at;  ///< of each record of `log`
  std::map<std::uint64_t, GroupAnswer> answers;
  std::vector<GroupAnswer> jobs;  ///< for the offload pool; run_jobs() is that pool
  std::uint64_t last_waiter = 0;
  std::size_t records_of_last = 0;
};

inline std::string text(const Blob& blob) { return std::string(as_text(blob.view())); }
inline std::optional<Errc> code(const std::optional<Error>& error) {
  return error ? std::optional(error->code()) : std::nullopt;
}

}  // namespace mr::coordinator
