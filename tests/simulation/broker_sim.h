#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mr::sim {

/// Ways to break the system under test, or its surroundings, that the checker must notice. None is in product code.
enum class Mutation {
  none,
  lying_sync,         ///< the disk says synced and is not: an ack before the sync
  weak_flush,         ///< topics are made with flush.messages=100000: acks=all is answered before the sync
  fresh_sequences,    ///< a producer that retries under new sequences: duplicates
  lost_metadata,      ///< at a crash the metastore forgets its last commits: topics and epochs go back
  rotten_medium,      ///< stored bits flip
  lying_directories,  ///< sync_directory says ok and does nothing: names of segments get lost
};
const char* to_string(Mutation mutation);

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
