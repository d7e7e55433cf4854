// group_commit: what one shard's group commit gives with many dirty partitions (bench/README.md). Real logs, a real
// commit journal, a real disk; no sockets, so that nothing but the commit is measured. Two sides live beside each
// other, one that carries batches in the journal and one that does not; slices of both alternate.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string_view>

#include "base/log.h"
#include "model/batch_builder.h"
#include "replication/group_commit.h"
#include "replication/partition.h"
#include "runtime/real_host.h"

namespace {

using namespace mr;
using replication::GroupCommit;
using replication::Partition;

struct Options {
  std::string directory = "group-commit-bench";
  int rounds = 3;
  double seconds = 0.7;
  int outstanding = 1000;  ///< appends that wait for their commit, over all partitions
  std::vector<int> partitions = {1, 100, 1000};
  int block_kib = 4096;  ///< what one block of the journal holds
  int half_mib = 128;    ///< what is carried before files have to be synced
  std::vector<int> record_bytes = {100, 1024, 16'000, 65'000};
};

/// What one slice did.
struct Slice {
  double batches_per_s = 0;
  double mb_per_s = 0;
  double cpu_us = 0;   ///< per batch, all threads
  double carried = 0;  ///< share of the batches
  double syncs_per_s = 0;
};

/// A journal and the logs that share it.
struct Side {
  std::shared_ptr<GroupCommit> group;
  std::vector<std::unique_ptr<Partition>> partitions;

  std::uint64_t syncs() const {
    std::uint64_t all = group->stats().syncs;
    for (const auto& partition : partitions) all += partition->stats().syncs;
    return all;
  }
};

double seconds_of(Duration d) { return std::chrono::duration<double>(d).count(); }
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

Task<std::unique_ptr<Side>> make_side(Env& env, std::string directory, bool carries, const Options& o) {
  auto side = std::make_unique<Side>();
  auto made = co_await offload(env, [&] { return env.files.make_directories(directory); });
  MR_CHECK(made.ok());
  storage::CommitJournal::Options journal{.directory = directory,
                                          .session = Uuid::from_random(env.rng.next(), env.rng.next()),
                                          .half_bytes = std::uint64_t(o.half_mib) << 20,
                                          .block_bytes_max = std::uint64_t(o.block_kib) << 10};
  side->group =
      std::make_shared<GroupCommit>(env, std::make_unique<storage::CommitJournal>(env.files, std::move(journal)),
                                    GroupCommit::Options{.carry_bytes_max = carries ? std::size_t{1} << 20 : 0});
  for (int p = 0; p < o.partitions.back(); ++p) {
    TopicPartition name{"t", PartitionIndex{p}};
    TopicId topic{Uuid{1, 2}};
    storage::Log::OpenOptions options{
        .directory = directory + "/" + name.to_string(), .partition = name, .topic_id = topic};
    auto log = co_await offload(env, [&] { return storage::Log::open(env.files, options); });
    MR_CHECK(log.ok());
    MR_CHECK((*log)->start_epoch(LeaderEpoch{0}).ok());
    side->partitions.push_back(std::make_unique<Partition>(env, name, topic, std::move(*log), LeaderEpoch{0},
                                                           replication::PartitionConfig{}, side->group));
  }
  co_return side;
}

Task<void> end_side(Env& env, std::unique_ptr<Side> side, std::string directory) {
  for (auto& partition : side->partitions) {
    co_await partition->stop();
    partition->forget_carried();  // the directory goes as well
    partition.reset();
  }
  co_await side->group->stop();
  auto removed = co_await offload(env, [&] { return env.files.remove_all(directory); });
  MR_CHECK(removed.ok());
}

/// One client of one partition: the next batch when the last is answered.
Task<void> produce(Env& env, Partition& partition, MutableBytes batch, TimePoint until, std::uint64_t& committed) {
  while (env.now() < until) {
    patch_batch(batch, Offset{0}, kNoLeaderEpoch);  // as a client sends it; append copies, so all share one buffer
    auto appended = partition.append(batch, env.clock.wall());
    MR_CHECK(appended.has_value());
    auto waited = co_await partition.wait_committed(appended->end, kForever);
    MR_CHECK(waited.ok());
    ++committed;
  }
}

Task<Slice> run_slice(Env& env, Side& side, int partitions, int outstanding, int record_bytes, double seconds) {
  std::vector<std::byte> value(static_cast<std::size_t>(record_bytes), std::byte{'v'});
  BatchBuilder builder;
  builder.add({.timestamp = env.clock.wall(), .value = value});
  std::vector<std::byte> batch = *builder.build();
  std::uint64_t committed = 0;
  std::uint64_t carried = side.group->stats().carried_batches, syncs = side.syncs();
  double cpu = cpu_seconds();
  TimePoint began = env.now();
  TimePoint until = began + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  Scope clients(env.executor);
  for (int c = 0; c < outstanding; ++c) {
    Partition& partition = *side.partitions[static_cast<std::size_t>(c % partitions)];
    clients.spawn("client", produce(env, partition, batch, until, committed));
  }
  co_await clients.drained();
  double elapsed = seconds_of(env.now() - began);
  auto batches = static_cast<double>(committed);
  co_return Slice{.batches_per_s = batches / elapsed,
                  .mb_per_s = batches * static_cast<double>(batch.size()) / 1e6 / elapsed,
                  .cpu_us = (cpu_seconds() - cpu) * 1e6 / batches,
                  .carried = static_cast<double>(side.group->stats().carried_batches - carried) / batches,
                  .syncs_per_s = static_cast<double>(side.syncs() - syncs) / elapsed};
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

struct Cell {
  std::vector<Slice> sides[2];  ///< own files, carried; by round
  double of(int side, double Slice::* what) const {
    std::vector<double> values;
    for (const Slice& slice : sides[side]) values.push_back(slice.*what);
    return median(std::move(values));
  }
};
using Cells = std::map<std::pair<int, int>, Cell>;  // by record bytes and partitions

/// Both halves of the journal have been used: from here on it overwrites.
Task<void> warm(Env& env, Side& side, const Options& o) {
  int partitions = std::min(100, o.partitions.back());
  for (int i = 0; i < 20 && side.group->stats().carried_bytes < std::uint64_t(o.half_mib) * 5 / 2 << 20; ++i)
    (void)co_await run_slice(env, side, partitions, o.outstanding, 4000, 0.2);
}

Task<void> run_round(Env& env, const Options& o, int round, Cells& cells) {
  const std::string directories[2] = {o.directory + "/own", o.directory + "/carried"};
  std::unique_ptr<Side> sides[2];
  for (int s = 0; s < 2; ++s) sides[s] = co_await make_side(env, directories[s], s == 1, o);
  co_await warm(env, *sides[1], o);
  int turn = round;
  for (int bytes : o.record_bytes) {
    for (int partitions : o.partitions) {
      for (int i = 0; i < 2; ++i) {
        int s = (turn + i) % 2;
        Slice slice = co_await run_slice(env, *sides[s], partitions, o.outstanding, bytes, o.seconds);
        cells[{bytes, partitions}].sides[s].push_back(slice);
      }
      ++turn;
    }
  }
  for (int s = 0; s < 2; ++s) co_await end_side(env, std::move(sides[s]), directories[s]);
}

void print(const Options& o, const Cells& cells) {
  fmt::print(
      "{} rounds, slices of {} s, {} appends under way, blocks of {} KiB, halves of {} MiB; medians; batches of one "
      "record\n\n",
      o.rounds, o.seconds, o.outstanding, o.block_kib, o.half_mib);
  fmt::print(
      "| record | partitions | own files: batches/s | MB/s | us CPU | syncs/s | in the journal: batches/s | MB/s | us "
      "CPU "
      "| syncs/s | carried | of one partition's rate |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | "
      "--- | "
      "--- |\n");
  for (const auto& [key, cell] : cells) {
    fmt::print("| {} B | {} |", key.first, key.second);
    for (int s = 0; s < 2; ++s)
      fmt::print(" {:.0f} | {:.1f} | {:.1f} | {:.0f} |", cell.of(s, &Slice::batches_per_s),
                 cell.of(s, &Slice::mb_per_s), cell.of(s, &Slice::cpu_us), cell.of(s, &Slice::syncs_per_s));
    const Cell& one = cells.at({key.first, o.partitions.front()});
    fmt::print(" {:.0f} % | {:.0f} % |\n", 100 * cell.of(1, &Slice::carried),
               100 * cell.of(1, &Slice::batches_per_s) / one.of(1, &Slice::batches_per_s));
  }
}

Task<int> bench(RealHost& host, Options o) {
  Env& env = host.env(ShardId{0});
  Cells cells;
  for (int round = 0; round < o.rounds; ++round) co_await run_round(env, o, round, cells);
  print(o, cells);
  co_return 0;
}

std::vector<int> numbers(std::string_view text) {
  std::vector<int> all;
  for (const char* at = text.data(); *at != 0;) {
    char* end = nullptr;
    all.push_back(static_cast<int>(std::strtol(at, &end, 10)));
    if (end == at || all.back() <= 0) return {};
    at = *end == ',' ? end + 1 : end;
  }
  std::ranges::sort(all);
  return all;
}

bool parse(int argc, char** argv, Options& o) {
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string_view name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--dir") {
      o.directory = value;
    } else if (name == "--rounds") {
      o.rounds = std::atoi(value);
    } else if (name == "--seconds") {
      o.seconds = std::atof(value);
    } else if (name == "--outstanding") {
      o.outstanding = std::atoi(value);
    } else if (name == "--block-kib") {
      o.block_kib = std::atoi(value);
    } else if (name == "--half-mib") {
      o.half_mib = std::atoi(value);
    } else if (name == "--partitions") {
      o.partitions = numbers(value);
    } else if (name == "--record-bytes") {
      o.record_bytes = numbers(value);
    } else {
      return false;
    }
  }
  return argc % 2 == 1 && o.rounds > 0 && o.seconds > 0 && o.outstanding > 0 && o.block_kib > 0 && o.half_mib > 0 &&
         !o.partitions.empty() && !o.record_bytes.empty();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    fmt::print(
        stderr,
        "usage: group_commit [--dir NEW] [--rounds N] [--seconds S] [--outstanding N] [--block-kib N] [--half-mib N] "
        "[--partitions N,N] [--record-bytes N,N]\n");
    return 2;
  }
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
  set_log_level(LogLevel::error);
  RealHost host({.shards = 1});
  return host.run([&](RealHost& h) { return bench(h, options); });
}
