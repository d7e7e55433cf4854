// Aim: the real broker keeps every promise of a durable log to clients that speak Kafka, through crashes with lost and
// torn writes, disks that are full, slow, hung or failing, broken connections, clock jumps. Method: each seed is one
// history in a World; the ledger compares what clients sent, were promised and saw. Half of the seeds are new each day,
// half come from corpus.txt. Faults and rare paths are counted: one that no seed takes fails the run. Mutations show
// that the ledger would notice. Replay: broker_sim_test --seed N [--verbose].
#include "tests/simulation/broker_sim.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "base/log.h"
#include "tests/simulation/seeds.h"

namespace mr::sim {
namespace {

constexpr std::size_t kSeeds = 400;
/// From so many seeds on, every fault and every rare path must have been seen.
constexpr std::size_t kSeedsForProbes = 300;
const std::string kReadme = MR_SOURCE_DIR "/tests/simulation/README.md";
const std::string kCorpus = MR_SOURCE_DIR "/tests/simulation/corpus.txt";

struct Arguments {
  std::vector<std::uint64_t> seeds;  ///< empty: corpus and new ones
  std::uint64_t seed_base = 0;
  Mutation mutation = Mutation::none;
  bool verbose = false;
  bool grow_corpus = false;
  unsigned workers = std::clamp(std::thread::hardware_concurrency(), 1u, 2u);
};
Arguments g_arguments;

std::string replay(std::uint64_t seed) {
  std::string command = fmt::format("replay: build/dev/tests/simulation/broker_sim_test --seed {} --verbose", seed);
  if (g_arguments.mutation != Mutation::none) command += fmt::format(" --mutation {}", to_string(g_arguments.mutation));
  return command;
}

/// Faults and paths of the simulation itself that some of the seeds must take.
const std::set<std::string> kExpectedProbes = {
    // What the disk did.
    "disk.eio_read", "disk.eio_write", "disk.eio_sync", "disk.eio_sync_directory", "disk.eio_rename", "disk.eio_create",
    "disk.eio_open", "disk.eio_list", "disk.eio_truncate", "disk.eio_remove", "disk.enospc_write", "disk.enospc_create",
    "disk.emfile_open", "disk.emfile_create", "disk.short_write", "disk.short_read", "disk.slow_sync",
    "disk.slow_write", "disk.slow_read", "disk.hung_sync", "disk.hung_write", "disk.hung_read", "disk.flipped_medium",
    // What else went wrong.
    "sim.bits_flipped_back", "sim.bits_flipped_back", "sim.accept_failed", "sim.clean_restart", "sim.clock_back",
    "sim.clock_forward", "sim.crash", "sim.crash_while_starting", "sim.failed_sync",
    "sim.failing_disk_refused_the_start", "sim.full_disk_refused_a_produce", "sim.killed_then_cut",
    "sim.log_dir_failed", "sim.log_dir_failed_for_good", "sim.partition", "sim.power_cut", "sim.reset",
    "sim.started_on_failing_disk", "sim.started_on_full_disk", "sim.stutter",
    // What clients met.
    "client.corrupt_message", "client.cut_batch", "client.delete_records", "client.delete_records_beyond_watermark",
    "client.delete_records_error", "client.fetch_error", "client.list_offsets", "client.overtaken_by_retention",
    "client.partitions_added", "client.produce_error", "client.reread", "client.resend", "client.settings_changed",
    "client.settings_seen", "client.topic_deleted", "client.vandal"};

/// Probes of the product that no broker simulation can reach, and where they are tested instead.
const std::set<std::string> kTestedElsewhere = {
    "state_machine_discarded",  // state_machine_host_test: no coordinator is served yet
    "read_healed",              // read_checks_test: no seed flips bits of reads yet
    "scrub_found_damage",       // scrub_test: no history lasts a day
    "scrub_waits_for_compaction",
    // produce_test, inflating_test: no producer of the simulation sends megabytes
    "looked_into_off_the_shard",
    "recompressed_a_large_batch",
    "inflating_budget_full",
    // cleaner_test: no topic of the simulation is compacted, since its checker wants every record to stay
    "compaction_healed",
    "compaction_met_damage",
    "compaction_names_wait",
    "compaction_withdrawn",
};

/// Every `probe.hit("name")` in src, so that a new rare path cannot stay untried.
std::set<std::string> probes_in_source() {
  std::set<std::string> names;
  const std::string call = "probe.hit(\"";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(MR_SOURCE_DIR "/src")) {
    std::string path = entry.path().string();
    if (!entry.is_regular_file() || path.ends_with("_test.cc")) continue;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
      std::size_t at = line.find(call);
      if (at == std::string::npos) continue;
      std::string name = line.substr(at + call.size());
      names.insert(name.substr(0, name.find('"')));
    }
  }
  return names;
}

/// Those asked for, or half of the corpus kind and half new. Histories change with the program: what a corpus seed was
/// kept for it may not do any more, but it is as good as any other.
std::vector<std::uint64_t> chosen_seeds() {
  if (!g_arguments.seeds.empty()) return g_arguments.seeds;
  std::vector<std::uint64_t> seeds;
  for (const CorpusEntry& entry : read_corpus(kCorpus)) {
    if (seeds.size() < kSeeds / 2) seeds.push_back(entry.seed);
  }
  fmt::print("{} seeds of the corpus, {} new ones from --seed-base {}\n", seeds.size(), kSeeds - seeds.size(),
             g_arguments.seed_base);
  for (std::uint64_t seed = g_arguments.seed_base; seeds.size() < kSeeds; ++seed) seeds.push_back(seed);
  return seeds;
}

void grow_corpus(const std::vector<SeedOutcome>& outcomes) {
  constexpr std::size_t kTimes = 3;
  std::string text;
  std::size_t kept = 0;
  std::set<std::uint64_t> known;
  std::ifstream in(kCorpus);
  for (std::string line; std::getline(in, line);) {
    if (line.find(" reaches ") != std::string::npos) continue;
    text += line + "\n";
    if (line.empty() || line[0] == '#') continue;
    ++kept;
    known.insert(std::strtoull(line.c_str(), nullptr, 10));
  }
  in.close();
  for (const SeedOutcome& outcome : outcomes) {
    if (outcome.result.violations.empty() || !known.insert(outcome.seed).second) continue;
    std::string why = outcome.result.violations[0].substr(0, outcome.result.violations[0].find('\n'));
    text += fmt::format("{} failed: {}\n", outcome.seed, why.substr(0, 90));
    ++kept;
  }
  for (const CorpusEntry& entry : pick_rare(outcomes, kTimes, kSeeds / 2 - std::min(kSeeds / 2, kept))) {
    if (known.insert(entry.seed).second) text += fmt::format("{} {}\n", entry.seed, entry.why);
  }
  std::ofstream(kCorpus) << text;
  fmt::print("{} has {} seeds\n", kCorpus, known.size());
}

TEST(BrokerSim, KeepsItsPromises) {
  std::vector<std::uint64_t> seeds = chosen_seeds();
  std::map<std::string, std::uint64_t> probes;
  std::uint64_t acked = 0, fetched = 0, steps = 0;
  std::vector<SeedOutcome> outcomes;
  run_seeds(seeds, {.mutation = g_arguments.mutation, .verbose = g_arguments.verbose}, g_arguments.workers,
            [&](const SeedOutcome& outcome) {
              const BrokerSimResult& result = outcome.result;
              for (const std::string& violation : result.violations) {
                ADD_FAILURE() << "seed " << outcome.seed << ": " << violation << "\n" << replay(outcome.seed);
              }
              if (g_arguments.verbose) {
                fmt::print(stderr, "seed {}: {} acked, {} fetched, {} steps, {:.1f} virtual seconds, trace {:016x}\n",
                           outcome.seed, result.acked, result.fetched, result.steps, result.virtual_seconds,
                           result.trace_hash);
              }
              for (const auto& [name, count] : result.probes) probes[name] += count;
              acked += result.acked;
              fetched += result.fetched;
              steps += result.steps;
              if (g_arguments.grow_corpus) outcomes.push_back(outcome);
            });
  fmt::print("{} seeds: {} records acked, {} fetched, {} steps\n", seeds.size(), acked, fetched, steps);
  for (const auto& [name, count] : probes) fmt::print("  {:<36} {}\n", name, count);
  if (g_arguments.grow_corpus) grow_corpus(outcomes);
  if (seeds.size() < kSeedsForProbes) return;
  std::set<std::string> expected = probes_in_source();
  EXPECT_GE(expected.size(), 3u);
  for (const std::string& name : kTestedElsewhere) expected.erase(name);
  expected.insert(kExpectedProbes.begin(), kExpectedProbes.end());
  for (const std::string& name : expected) {
    EXPECT_GT(probes[name], 0u) << "no seed took the rare path " << name;
  }
}

TEST(Corpus, KeepsRarePathsAndThenRarePairs) {
  std::vector<SeedOutcome> outcomes;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    outcomes.push_back({.seed = seed, .result = {}});
    std::map<std::string, std::uint64_t>& probes = outcomes.back().result.probes;
    probes["common"] = 1;
    if (seed == 3) probes["rare"] = 1;
    if (seed % 4 == 0) probes["a"] = 1;
    if (seed % 6 == 1) probes["b"] = 1;
    if (seed == 25) probes["a"] = 1;  // and b: the only one with both
  }
  using Seeds = std::vector<std::uint64_t>;
  auto picked = [&](std::size_t times, std::size_t most) {
    Seeds seeds;
    for (const CorpusEntry& entry : pick_rare(outcomes, times, most)) seeds.push_back(entry.seed);
    return seeds;
  };
  EXPECT_EQ(picked(1, 40), (Seeds{3, 25})) << "nobody else brings a pair that these do not have";
  EXPECT_EQ(picked(2, 40), (Seeds{0, 1, 3, 25})) << "once more common with a, and with b";
  EXPECT_EQ(picked(2, 1), Seeds{3});
}

TEST(BrokerSim, SameSeedSameHistory) {
  if (!g_arguments.seeds.empty()) GTEST_SKIP() << "seeds asked for";
  for (std::uint64_t seed : {3u, 4u, 5u}) {
    BrokerSimResult first = run_broker_sim({.seed = seed});
    BrokerSimResult second = run_broker_sim({.seed = seed});
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.steps, second.steps);
    EXPECT_EQ(first.acked, second.acked);
    EXPECT_EQ(first.probes, second.probes);
  }
}

/// Rows of the README's table: "| `name` | what | seeds |".
std::map<std::string, std::uint64_t> seeds_to_catch() {
  std::map<std::string, std::uint64_t> rows;
  std::ifstream in(kReadme);
  for (std::string line; std::getline(in, line);) {
    std::size_t name_end = line.find("` |"), last = line.rfind(" |"), number = line.rfind("| ");
    if (!line.starts_with("| `") || name_end == std::string::npos || last < number + 2) continue;
    rows[line.substr(3, name_end - 3)] = std::strtoull(line.c_str() + number + 2, nullptr, 10);
  }
  return rows;
}

class Mutations : public testing::TestWithParam<Mutation> {};
TEST_P(Mutations, IsCaughtWithinTheSeedsOfTheReadme) {
  if (!g_arguments.seeds.empty()) GTEST_SKIP() << "seeds asked for";
  const std::uint64_t most = seeds_to_catch()[to_string(GetParam())];
  ASSERT_GT(most, 0u) << kReadme << " does not say how many seeds it takes";
  for (std::uint64_t seed = 1; seed <= most; ++seed) {
    std::string caught;
    // In a process of its own: a broken broker may well abort.
    run_seeds({seed}, {.mutation = GetParam()}, 1, [&](const SeedOutcome& outcome) {
      if (!outcome.result.violations.empty()) caught = outcome.result.violations[0];
    });
    if (caught.empty()) continue;
    fmt::print("{}: caught by seed {}: {}\n", to_string(GetParam()), seed, caught.substr(0, caught.find('\n')));
    return;
  }
  FAIL() << to_string(GetParam()) << " is not caught by seeds 1 to " << most;
}
INSTANTIATE_TEST_SUITE_P(BrokerSim, Mutations, testing::ValuesIn(all_mutations().begin(), all_mutations().end()),
                         [](const auto& info) { return to_string(info.param); });

bool take_number(std::string_view text, std::uint64_t& into) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc() && end == text.data() + text.size();
}

bool take_range(std::string_view range, std::vector<std::uint64_t>& into) {
  std::uint64_t from = 0, to = 0;
  std::size_t dash = range.find('-');
  if (dash == std::string_view::npos || !take_number(range.substr(0, dash), from) ||
      !take_number(range.substr(dash + 1), to)) {
    return false;
  }
  for (std::uint64_t seed = from; seed <= to; ++seed) into.push_back(seed);
  return true;
}

bool parse_arguments(int argc, char** argv) {
  auto day = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()).time_since_epoch();
  g_arguments.seed_base = static_cast<std::uint64_t>(day.count()) * 1'000;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (argument == "--verbose") {
      g_arguments.verbose = true;
      continue;
    }
    if (i + 1 == argc) return false;
    std::string_view value = argv[++i];
    std::uint64_t number = 0;
    if (argument == "--seed" && take_number(value, number)) {
      g_arguments.seeds = {number};
    } else if (argument == "--seeds" || argument == "--grow-corpus") {
      if (!take_range(value, g_arguments.seeds)) return false;
      g_arguments.grow_corpus = argument == "--grow-corpus";
    } else if (argument == "--seed-base" && take_number(value, number)) {
      g_arguments.seed_base = number;
    } else if (argument == "--workers" && take_number(value, number) && number > 0) {
      g_arguments.workers = static_cast<unsigned>(number);
    } else if (argument == "--mutation" && mutation_named(value) != Mutation::none) {
      g_arguments.mutation = mutation_named(value);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace
}  // namespace mr::sim

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!mr::sim::parse_arguments(argc, argv)) {
    fmt::print(stderr,
               "usage: broker_sim_test [--seed N | --seeds FROM-TO | --seed-base N] [--mutation NAME] [--verbose]\n"
               "                       [--workers N] [--gtest_...]\n"
               "       broker_sim_test --grow-corpus FROM-TO --gtest_filter=*KeepsItsPromises\n");
    return 2;
  }
  // Refusals and torn tails are what these runs are about; their log lines would drown the report.
  mr::set_log_level(mr::sim::g_arguments.verbose ? mr::LogLevel::info : mr::LogLevel::off);
  return RUN_ALL_TESTS();
}
