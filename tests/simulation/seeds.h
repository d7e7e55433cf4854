#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/simulation/broker_sim.h"

namespace mr::sim {

/// One line of corpus.txt: a seed and why it is kept.
struct CorpusEntry {
  std::uint64_t seed = 0;
  std::string why;
};
/// Lines "SEED why"; empty ones and those that begin with # are left out.
std::vector<CorpusEntry> read_corpus(const std::string& path);

struct SeedOutcome {
  std::uint64_t seed = 0;
  BrokerSimResult result;  ///< a process that died is a violation, too
};

/// Runs histories in up to `workers` processes of their own, so that one that aborts names its seed and takes nobody
/// along. `on_outcome` is called here, in the order in which they end.
void run_seeds(const std::vector<std::uint64_t>& seeds, const BrokerSimOptions& options, unsigned workers,
               const std::function<void(const SeedOutcome&)>& on_outcome);

/// Of `outcomes`, at most `most`: seeds that reach probes which few reach, until each of those is reached `times` times
/// (or by all that do), then those that bring the most pairs of probes in one history which fewer than `times` before
/// have.
std::vector<CorpusEntry> pick_rare(const std::vector<SeedOutcome>& outcomes, std::size_t times, std::size_t most);

}  // namespace mr::sim
