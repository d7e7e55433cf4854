#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/mutation.h"

namespace mr::sim {

struct BrokerSimOptions {
  std::uint64_t seed = 1;
  Mutation mutation = Mutation::none;
  bool verbose = false;
};

struct BrokerSimResult {
  std::vector<std::string> violations;
  std::map<std::string, std::uint64_t> probes;
  std::uint64_t trace_hash = 0;
  std::uint64_t steps = 0;
  std::uint64_t acked = 0;
  std::uint64_t fetched = 0;
  double virtual_seconds = 0;
};

/// One seed: one broker, its clients, and some misfortunes; then peace, and the last look.
BrokerSimResult run_broker_sim(const BrokerSimOptions& options);

}  // namespace mr::sim
