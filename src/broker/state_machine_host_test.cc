// Aim: design decision 6 holds for the smallest machine, a set of named counters in one internal topic: state equals a
// replay, effects wait for the watermark, a failed commit throws the state away. Method: real partition and log over a
// simulated disk and world.
#include "broker/state_machine_host.h"

#include <gtest/gtest.h>

#include "sim/world.h"
#include "storage/data_dir.h"

namespace mr::broker {
namespace {

struct Counters {
  using State = std::map<std::string, std::int64_t>;
  struct Volatile {
    std::size_t known_at_begin = 0;
    std::size_t decisions = 0;
  };
  struct Event {
    std::string name;
    std::int64_t add = 0;  // 0 only reads
    bool stands_alone = false;
  };
  struct Effect {
    std::int64_t value = 0;
  };
  static Result<void> check(const State& state) {
    if (state.contains("broken")) return Errc::corrupt_data;
    return {};
  }
  Volatile begin(const State& state, Moment) const { return {.known_at_begin = state.size()}; }
  static void apply(State& state, const Record& record, WallMillis) {
    std::string name(as_text(*record.key));
    if (record.value) {
      state[name] = load_be<std::int64_t>(record.value->data());
    } else {
      state.erase(name);
    }
  }
  Decision<Effect> decide(const State& state, Volatile& live, Event event, Moment) const {
    ++live.decisions;
    auto at = state.find(event.name);
    std::int64_t value = (at == state.end() ? 0 : at->second) + event.add;
    Decision<Effect> decision{.effects = {Effect{value}}, .stands_alone = event.stands_alone};
    if (event.add == 0) return decision;
    StateRecord record;
    record.key.assign(as_bytes(event.name).begin(), as_bytes(event.name).end());
    if (value != 0) {
      record.value.emplace(8);
      store_be(record.value->data(), value);
    }
    decision.records.push_back(std::move(record));
    return decision;
  }
};
using Host = StateMachineHost<Counters>;

struct Fixture {
  explicit Fixture(std::uint64_t seed)
      : world({.seed = seed}), machine(world.add_host("b")), process(&machine.start(1)) {}

  Env& env() { return process->env(ShardId{0}); }
  template <class T>
  T run(Task<T> task) {
    return world.run(*process, ShardId{0}, std::move(task));
  }
  PartitionRef open(std::int32_t epoch) {
    auto directory = storage::DataDir::open(machine.disk(), "/data");
    MR_CHECK(directory.ok() && (*directory)->claim("cluster", BrokerId{1}, Uuid{3, 4}).ok());
    storage::Log::OpenOptions options{.directory = "/data/__counters-0",
                                      .partition = {"__counters", PartitionIndex{0}},
                                      .topic_id = TopicId{Uuid{1, 2}}};
    auto log = run(offload(env(), [&] { return storage::Log::open(env().files, options); }));
    MR_CHECK(log.ok());
    MR_CHECK(run(offload(env(), [&] { return (*log)->start_epoch(LeaderEpoch{epoch}); })).ok());
    return std::make_shared<replication::Partition>(env(), options.partition, options.topic_id, std::move(*log),
                                                    LeaderEpoch{epoch}, replication::PartitionConfig{});
  }
  std::int64_t value_of(Host& host, std::string name, std::int64_t add) {
    auto effects = run(host.submit({std::move(name), add}, kForever));
    return effects.ok() ? effects->at(0).value : -1;
  }

  sim::World world;
  sim::Host& machine;
  sim::Process* process;
};

TEST(StateMachineHost, StateSurvivesAPowerCutExactlyAsAnswered) {
  Fixture f(1);
  PartitionRef partition = f.open(0);
  {
    Host host(f.env(), partition);
    ASSERT_TRUE(f.run(host.load()).ok());
    for (int i = 1; i <= 20; ++i) EXPECT_EQ(f.value_of(host, "a", 2), 2 * i);
    EXPECT_EQ(f.value_of(host, "b", 5), 5);
    EXPECT_EQ(f.value_of(host, "b", -5), 0);  // a tombstone
    EXPECT_EQ(f.value_of(host, "a", 0), 40);
  }
  f.machine.crash(sim::CrashMode::lose_unsynced);
  f.run(partition->stop());
  partition.reset();
  f.process = &f.machine.start(1);
  partition = f.open(1);
  {
    Host host(f.env(), partition);
    ASSERT_TRUE(f.run(host.load()).ok());
    EXPECT_EQ(host.state(), (Counters::State{{"a", 40}}));
  }
  f.run(partition->stop());
}

TEST(StateMachineHost, NoAnswerBeforeTheSync) {
  Fixture f(2);
  PartitionRef partition = f.open(0);
  Host host(f.env(), partition);
  ASSERT_TRUE(f.run(host.load()).ok());
  std::optional<Result<std::vector<Counters::Effect>>> write_answer, read_answer;
  auto submit = [](Host& h, Counters::Event event, auto& into) -> Task<void> {
    into.emplace(co_await h.submit(std::move(event), kForever));
  };
  f.process->spawn(ShardId{0}, "write", submit(host, {"a", 1}, write_answer));
  f.process->spawn(ShardId{0}, "read", submit(host, {"a", 0}, read_answer));
  bool early = false;
  f.world.run_until(
      [&] {
        bool durable = partition->log().durable_end() >= Offset{1};
        early = early || (!durable && (write_answer || read_answer));
        return write_answer && read_answer;
      },
      std::chrono::seconds(10));
  EXPECT_FALSE(early) << "an answer, even to a read, depended on a record that was not synced";
  ASSERT_TRUE(write_answer && write_answer->ok() && read_answer && read_answer->ok());
  EXPECT_EQ((**read_answer)[0].value, 1);
  f.run(partition->stop());
}

TEST(StateMachineHost, AFailedSyncThrowsTheStateAway) {
  Fixture f(3);
  PartitionRef partition = f.open(0);
  Host host(f.env(), partition);
  ASSERT_TRUE(f.run(host.load()).ok());
  EXPECT_EQ(f.value_of(host, "a", 1), 1);
  f.machine.disk().add_fault({.kind = sim::Fault::Kind::fail, .op = sim::DiskOp::sync});
  auto answer = f.run(host.submit({"a", 1}, kForever));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.code(), Errc::disk_failed);
  EXPECT_FALSE(host.loaded());
  EXPECT_EQ(f.run(host.submit({"a", 0}, kForever)).code(), Errc::coordinator_loading);
  f.run(partition->stop());
}

TEST(StateMachineHost, TheVolatileHalfBeginsAnewWithEveryLoad) {
  Fixture f(4);
  PartitionRef partition = f.open(0);
  Host host(f.env(), partition);
  ASSERT_TRUE(f.run(host.load()).ok());
  EXPECT_EQ(f.value_of(host, "a", 1), 1);
  EXPECT_EQ(f.value_of(host, "b", 1), 1);
  EXPECT_EQ(host.live().known_at_begin, 0u);
  EXPECT_EQ(host.live().decisions, 2u);
  ASSERT_TRUE(f.run(host.load()).ok());
  EXPECT_EQ(host.live().known_at_begin, 2u);
  EXPECT_EQ(host.live().decisions, 0u);
  EXPECT_EQ(f.value_of(host, "broken", 1), 1);
  EXPECT_EQ(f.run(host.load()).code(), Errc::corrupt_data);
  EXPECT_FALSE(host.loaded());
  f.run(partition->stop());
}

// An append that is refused leaves nothing behind; whether the volatile half can live with that the decision says.
TEST(StateMachineHost, OnlyDecisionsThatNeedTheirRecordsThrowTheStateAway) {
  Fixture f(5);
  PartitionRef partition = f.open(0);
  Host host(f.env(), partition);
  ASSERT_TRUE(f.run(host.load()).ok());
  EXPECT_EQ(f.value_of(host, "a", 1), 1);
  replication::AppendGate gate{.closed = true};
  partition->set_gate(gate);
  EXPECT_EQ(f.run(host.submit({"a", 1, true}, kForever)).code(), Errc::disk_full);
  ASSERT_TRUE(host.loaded());
  EXPECT_EQ(host.live().decisions, 2u);
  EXPECT_EQ(f.run(host.submit({"a", 1, false}, kForever)).code(), Errc::disk_full);
  EXPECT_FALSE(host.loaded());
  gate.closed = false;
  ASSERT_TRUE(f.run(host.load()).ok());
  EXPECT_EQ(host.state(), (Counters::State{{"a", 1}}));
  f.run(partition->stop());
}

}  // namespace
}  // namespace mr::broker
