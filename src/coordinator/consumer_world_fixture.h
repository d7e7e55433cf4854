#pragma once
#include "coordinator/consumer_host_fixture.h"

namespace mr::coordinator::histories {

inline constexpr Millis kRebalance{20'000};

using Reads = std::set<std::pair<TopicId, std::int32_t>>;

/// A client that speaks KIP-848, with one call at a time.
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

/// Such clients at random; MixedWorld has others as well.
struct ConsumerWorld {
  virtual ~ConsumerWorld() = default;
  explicit ConsumerWorld(std::uint64_t seed) : random(seed), host(random), readers(1 + random.below(4)) {
    for (std::size_t i = 0; i < readers.size(); ++i) {
      readers[i].id = "m" + std::to_string(++last_id);
      if (random.below(3) == 0) readers[i].instance = "i" + std::to_string(i);
      choose(readers[i]);
    }
  }
  virtual void choose(Reader& reader) {
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
          take_any(reader, reply.answer);
        }
    check();
  }
  virtual void take_any(Reader& reader, const GroupAnswer& answer) {
    take(reader, std::get<ConsumerHeartbeatAnswer>(answer));
  }
  /// Its call or the answer is lost; it says everything again.
  virtual void lose(Reader& reader) {
    if (!reader.waits) return;
    reader.waits.reset();
    reader.full = true;
    if (reader.epoch != 0) reader.unsure_by = std::min(reader.unsure_by, reader.sent_at + kRebalance);
  }
  virtual void vanish(Reader& reader) {
    reader.waits.reset();
    reader.forget();
    reader.id = "m" + std::to_string(++last_id);
  }
  virtual void leave(Reader& reader) {
    if (reader.waits || reader.epoch == 0) return;
    ConsumerHeartbeatRequest request =
        ConsumerBench::beat(reader.id, reader.instance.empty() || random.below(2) ? -1 : -2);
    if (!reader.instance.empty()) request.instance = reader.instance;
    host.send(WaiterId{++last_waiter}, std::move(request));
    vanish(reader);
  }
  virtual void act(Reader& reader) {
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
  /// By then the group may have given up on it.
  virtual bool may_be_out(const Reader& reader, TimePoint then) {
    const Millis session(host.machine.settings.consumer_times.session_timeout_ms);
    const bool silent = reader.epoch != 0 && then >= reader.heard_at + session;
    return silent || then >= std::min(reader.revoke_by, reader.unsure_by);
  }
  virtual void forget(Reader& reader) { reader.forget(); }
  /// Nobody reads on past that time.
  void pass(Duration time) {
    const TimePoint then = host.now.mono + time;
    for (Reader& reader : readers) {
      if (!may_be_out(reader, then)) continue;
      reader.waits.reset();
      forget(reader);
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
    const LiveGroup* classic = host.live.find("g");
    EXPECT_EQ(
        group_state_name(classic != nullptr ? classic->state : consumer_group_state(consumer_state(host.state, "g"))),
        "Stable");
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

}  // namespace mr::coordinator::histories
