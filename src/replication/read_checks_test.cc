// Aim: nobody is sent bytes of a later life unchecked; a full memory account or a slow disk delays or skips the check
// and never the broker. Method: a real log over a simulated disk and world, written, closed, damaged, opened again.
#include "replication/read_checks.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "model/batch_builder.h"
#include "runtime/shards.h"
#include "sim/world.h"

namespace mr::replication {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  static constexpr int kBatches = 6;

  Fixture() : world({.seed = 5}), machine(world.add_host("b")), process(machine.start(1)), checks(env()) {
    set_log_level(LogLevel::off);
    open(false);
    for (int i = 0; i < kBatches; ++i) {
      BatchBuilder builder;
      std::string value(500, static_cast<char>('a' + i));
      builder.add({.timestamp = 1, .value = as_bytes(value)});
      std::vector<std::byte> batch = *builder.build();
      batch_bytes = batch.size();
      MR_CHECK(run(append(*partition, batch)).has_value());
    }
    close();
    open(true);
  }
  ~Fixture() {
    machine.disk().heal();
    close();
  }

  static Task<std::expected<Appended, AppendFailure>> append(Partition& to, std::vector<std::byte>& batch) {
    co_return to.append(batch, 1);
  }
  void open(bool clean) {
    storage::Log::OpenOptions options{.directory = "/data/t-0",
                                      .partition = {"t", PartitionIndex{0}},
                                      .topic_id = TopicId{Uuid{1, 2}},
                                      .clean_stop = clean};
    auto log = run(offload(env(), [&] { return storage::Log::open(env().files, options); }));
    MR_CHECK(log.ok());
    MR_CHECK((*log)->start_epoch(LeaderEpoch{0}).ok());
    partition = std::make_unique<Partition>(env(), options.partition, options.topic_id, std::move(*log), LeaderEpoch{0},
                                            PartitionConfig{});
  }
  void close() {
    run(partition->stop());
    (void)run(partition->close_log());
  }
  void rot(int batch) {
    machine.disk().flip_bit("/data/t-0/00000000000000000000.log", static_cast<std::uint64_t>(batch) * batch_bytes + 200,
                            3);
  }
  Env& env() { return process.env(ShardId{0}); }
  template <class T>
  T run(Task<T> task) {
    return world.run(process, ShardId{0}, std::move(task));
  }

  struct Answer {
    Result<void> outcome;
    bool wanted = false;
    std::string values;  ///< first letter of each whole record, as a reader would get them
  };
  static Task<Answer> read(Fixture& f, ReadChecks& checks, std::int64_t from, MemoryAccount* memory) {
    Answer answer;
    auto read = f.partition->read(Offset{from}, f.partition->high_watermark(), 100'000, true);
    MR_CHECK(read.ok());
    answer.wanted = checks.wanted(*read);
    if (answer.wanted) answer.outcome = co_await checks.check(*f.partition, *read, memory, f.env().now() + 1s);
    for (const storage::Fragment& fragment : read->fragments) {
      std::vector<std::byte> bytes(fragment.memory.begin(), fragment.memory.end());
      if (fragment.file != nullptr) {
        bytes.resize(fragment.length);
        MR_CHECK(*fragment.file->read_at(bytes, fragment.position) == fragment.length);
      }
      MR_CHECK(bytes.size() == fragment.length && bytes.size() % f.batch_bytes == 0);
      for (std::size_t at = 0; at < bytes.size(); at += f.batch_bytes)
        answer.values += static_cast<char>(bytes[at + f.batch_bytes / 2]);
    }
    co_return answer;
  }
  Answer read(std::int64_t from, MemoryAccount* memory = nullptr) { return run(read(*this, checks, from, memory)); }

  sim::World world;
  sim::Host& machine;
  sim::Process& process;
  ReadChecks checks;
  std::unique_ptr<Partition> partition;
  std::size_t batch_bytes = 0;
};

TEST(ReadChecks, ALaterLifeChecksOnce) {
  Fixture f;
  auto answer = f.read(0);
  EXPECT_TRUE(answer.wanted);
  ASSERT_TRUE(answer.outcome.ok());
  EXPECT_EQ(answer.values, "abcdef");
  EXPECT_EQ(f.checks.stats().cold, 1u);
  EXPECT_EQ(f.checks.stats().checked_bytes, 6 * f.batch_bytes);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(f.read(0).values, "abcdef");
  EXPECT_EQ(f.checks.stats().cold, 1u);
}

TEST(ReadChecks, WhatIsInFrontOfDamageIsServedAndWhatIsBehindIt) {
  Fixture f;
  f.rot(2);
  EXPECT_EQ(f.read(0).values, "ab");
  EXPECT_EQ(f.read(3).values, "def");
  auto bad = f.partition->read(Offset{2}, Offset{6}, 100'000, true);
  EXPECT_EQ(bad.code(), Errc::corrupt_batch) << "remembered";
  EXPECT_EQ(f.checks.stats().corrupt_ranges, 1u);
}

TEST(ReadChecks, DamageRightAtTheOffsetIsAnError) {
  Fixture f;
  f.rot(2);
  auto answer = f.read(2);
  EXPECT_EQ(answer.outcome.code(), Errc::corrupt_batch);
  EXPECT_EQ(answer.values, "");
}

// What the check saw is what goes out, though the disk says something else to whoever asks next.
TEST(ReadChecks, TheBytesThatWereCheckedAreSent) {
  Fixture f;
  f.machine.disk().add_fault({.kind = sim::Fault::Kind::flip_bit,
                              .op = sim::DiskOp::read,
                              .path_contains = ".log",
                              .after = 1,  // of the check's two readings of a bad batch the second is good
                              .times = 1});
  auto answer = f.read(1);
  ASSERT_TRUE(answer.outcome.ok());
  EXPECT_EQ(answer.values, "bcdef");
  EXPECT_EQ(f.checks.stats().healed, 1u);
}

TEST(ReadChecks, ASampleOfTheOthersIsChecked) {
  Fixture f;
  ReadChecks every(f.env(), 1);
  (void)f.read(0);
  f.rot(4);
  EXPECT_EQ(f.read(0).values.size(), 6u) << "believed";
  EXPECT_EQ(f.run(Fixture::read(f, every, 0, nullptr)).values, "abcd");
  EXPECT_EQ(every.stats().sampled, 1u);
  EXPECT_EQ(every.stats().corrupt_ranges, 1u);
}

TEST(ReadChecks, WithoutMemoryTheReaderIsServedAndTheRangeStaysUnchecked) {
  Fixture f;
  MemoryAccount none("requests", 100);
  auto answer = f.read(0, &none);
  EXPECT_TRUE(answer.outcome.ok());
  EXPECT_EQ(answer.values, "abcdef");
  EXPECT_EQ(f.checks.stats().without_memory, 1u);
  EXPECT_TRUE(f.read(0).wanted);
  MemoryAccount enough("requests", 100'000);
  f.partition->log().forget_checks();
  f.partition->log().forget_checks();
  EXPECT_TRUE(f.read(0, &enough).outcome.ok());
  EXPECT_EQ(enough.used(), 0u);
}

TEST(ReadChecks, AHungDiskKeepsLaterReadersWaitingNoLongerThanTheySaid) {
  Fixture f;
  f.machine.disk().add_fault(
      {.kind = sim::Fault::Kind::hang, .op = sim::DiskOp::read, .path_contains = ".log", .times = sim::Fault::kAlways});
  std::vector<std::optional<Fixture::Answer>> answers(ReadChecks::kAtOnce + 1);
  auto one = [](Fixture& f, std::optional<Fixture::Answer>& into) -> Task<void> {
    into = co_await Fixture::read(f, f.checks, 0, nullptr);
  };
  for (auto& answer : answers) f.process.spawn(ShardId{0}, "reader", one(f, answer));
  f.world.run_until([&] { return std::ranges::any_of(answers, [](auto& a) { return a.has_value(); }); }, 5s);
  auto late = std::ranges::find_if(answers, [](auto& a) { return a.has_value(); });
  ASSERT_TRUE(late != answers.end() && !(*late)->outcome.ok());
  EXPECT_EQ((*late)->outcome.code(), Errc::timed_out);
  f.machine.disk().heal();
  f.world.run_until([&] { return std::ranges::all_of(answers, [](auto& a) { return a.has_value(); }); }, 5s);
  EXPECT_TRUE(std::ranges::all_of(answers, [](auto& a) { return a.has_value(); }));
}

}  // namespace
}  // namespace mr::replication
