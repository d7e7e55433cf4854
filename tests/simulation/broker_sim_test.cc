// Aim: the real broker keeps every promise of a durable log to clients that speak Kafka, through crashes with lost and
// torn writes, full and slow disks, failed syncs, broken connections, clock jumps. Method: each seed is one history in
// a World; the ledger compares what clients sent, were promised and saw. Rare paths are counted: one that no seed takes
// fails the run. Mutations show that the ledger would notice. Replay: broker_sim_test --seed N [--verbose].
#include "tests/simulation/broker_sim.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/log.h"

namespace mr::sim {
namespace {

struct Range {
  std::uint64_t from = 1;
  std::uint64_t to = 100;
};
Range g_seeds;
bool g_single = false;
bool g_verbose = false;
Mutation g_mutation = Mutation::none;

std::string replay(std::uint64_t seed) {
  return fmt::format("replay: build/dev/tests/simulation/broker_sim_test --seed {} --verbose", seed);
}

/// Paths that some of a hundred seeds must take.
const std::set<std::string> kExpectedProbes = {
    "client.cut_batch",
    "client.list_offsets",
    "client.produce_error",
    "client.reread",
    "client.resend",
    "client.topic_deleted",
    "sim.clean_restart",
    "sim.clock_jump",
    "sim.crash",
    "sim.crash_while_starting",
    "sim.full_disk_refused_a_produce",
    "sim.partition",
    "sim.power_cut",
    "sim.reset",
    "sim.slow_sync",
    "sim.sync_failed",
    "sim.write_failed",
    "sim.accept_failed",
    "client.overtaken_by_retention",
    "sim.started_on_full_disk",
    "client.vandal",
    "sim.hung_sync",
};

/// Probes of the product that no broker simulation can reach, and where they are tested instead.
const std::set<std::string> kTestedElsewhere = {
    "state_machine_discarded",             // state_machine_host_test: no coordinator is served yet
    "journal_kept_for_offline_partition",  // journal_life_test: nobody writes a journal yet
    "read_healed",                         // read_checks_test: no seed flips bits of reads yet
    "read_found_damage",                   // read_checks_test, and the mutation rotten_medium
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

TEST(BrokerSim, KeepsItsPromises) {
  std::map<std::string, std::uint64_t> probes;
  std::uint64_t acked = 0, fetched = 0, steps = 0;
  for (std::uint64_t seed = g_seeds.from; seed <= g_seeds.to; ++seed) {
    BrokerSimResult result = run_broker_sim({.seed = seed, .mutation = g_mutation, .verbose = g_verbose});
    for (const std::string& violation : result.violations) {
      ADD_FAILURE() << "seed " << seed << ": " << violation << "\n" << replay(seed);
    }
    if (g_verbose) {
      fmt::print(stderr, "seed {}: {} acked, {} fetched, {} steps, {:.1f} virtual seconds, trace {:016x}\n", seed,
                 result.acked, result.fetched, result.steps, result.virtual_seconds, result.trace_hash);
    }
    for (const auto& [name, count] : result.probes) probes[name] += count;
    acked += result.acked;
    fetched += result.fetched;
    steps += result.steps;
  }
  fmt::print("seeds {} to {}: {} records acked, {} fetched, {} steps\n", g_seeds.from, g_seeds.to, acked, fetched,
             steps);
  for (const auto& [name, count] : probes) fmt::print("  {:<36} {}\n", name, count);
  if (g_seeds.to - g_seeds.from + 1 < 100) return;
  std::set<std::string> expected = probes_in_source();
  EXPECT_GE(expected.size(), 3u);
  for (const std::string& name : kTestedElsewhere) expected.erase(name);
  expected.insert(kExpectedProbes.begin(), kExpectedProbes.end());
  for (const std::string& name : expected) {
    EXPECT_GT(probes[name], 0u) << "no seed took the rare path " << name;
  }
}

TEST(BrokerSim, SameSeedSameHistory) {
  if (g_single) GTEST_SKIP() << "one seed asked for";
  for (std::uint64_t seed : {3u, 4u}) {
    BrokerSimResult first = run_broker_sim({.seed = seed});
    BrokerSimResult second = run_broker_sim({.seed = seed});
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.steps, second.steps);
    EXPECT_EQ(first.acked, second.acked);
  }
}

/// The smallest number of seeds from 1 on that shows the mutation; `most` + 1 when none does.
std::uint64_t seeds_to_catch(Mutation mutation, std::uint64_t most) {
  for (std::uint64_t seed = 1; seed <= most; ++seed) {
    BrokerSimResult result = run_broker_sim({.seed = seed, .mutation = mutation});
    if (result.violations.empty()) continue;
    fmt::print("{}: caught by seed {}: {}\n", to_string(mutation), seed,
               result.violations[0].substr(0, result.violations[0].find('\n')));
    return seed;
  }
  return most + 1;
}

constexpr Mutation kMutations[] = {Mutation::lying_sync,    Mutation::weak_flush,    Mutation::fresh_sequences,
                                   Mutation::lost_metadata, Mutation::rotten_medium, Mutation::lying_directories};

class Mutations : public testing::TestWithParam<Mutation> {};
TEST_P(Mutations, IsCaughtWithinTenSeeds) {
  if (g_single) GTEST_SKIP() << "one seed asked for";
  EXPECT_LE(seeds_to_catch(GetParam(), 10), 10u) << to_string(GetParam());
}
INSTANTIATE_TEST_SUITE_P(BrokerSim, Mutations,
                         testing::Values(Mutation::lying_sync, Mutation::weak_flush, Mutation::fresh_sequences,
                                         Mutation::lost_metadata, Mutation::rotten_medium, Mutation::lying_directories),
                         [](const auto& info) { return to_string(info.param); });

bool take_number(std::string_view text, std::uint64_t& into) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_arguments(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (argument == "--verbose") {
      g_verbose = true;
    } else if (argument == "--seed" && i + 1 < argc) {
      if (!take_number(argv[++i], g_seeds.from)) return false;
      g_seeds.to = g_seeds.from;
      g_single = true;
    } else if (argument == "--seeds" && i + 1 < argc) {
      std::string_view range = argv[++i];
      std::size_t dash = range.find('-');
      if (dash == std::string_view::npos || !take_number(range.substr(0, dash), g_seeds.from) ||
          !take_number(range.substr(dash + 1), g_seeds.to)) {
        return false;
      }
      g_single = true;
    } else if (argument == "--mutation" && i + 1 < argc) {
      ++i;
      for (Mutation m : kMutations) {
        if (to_string(m) == std::string_view(argv[i])) g_mutation = m;
      }
      if (g_mutation == Mutation::none) return false;
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
               "usage: broker_sim_test [--seed N | --seeds FROM-TO] [--mutation NAME] [--verbose] [--gtest_...]\n");
    return 2;
  }
  // Refusals and torn tails are what these runs are about; their log lines would drown the report.
  mr::set_log_level(mr::sim::g_verbose ? mr::LogLevel::info : mr::LogLevel::off);
  return RUN_ALL_TESTS();
}
