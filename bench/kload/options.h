#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/batch_header.h"

namespace mr::bench {

enum class Mode { produce, fetch, e2e, idle, create, remove };

struct Options {
  Mode mode = Mode::produce;
  std::string host = "127.0.0.1";
  std::uint16_t port = 9092;
  std::string topic = "kload";
  std::int32_t partitions = 1;
  std::vector<std::pair<std::string, std::string>> configs;  ///< create: topic configs

  std::int16_t acks = 1;
  std::uint32_t records = 100;        ///< per batch
  std::uint32_t record_bytes = 1024;  ///< value of a record
  std::uint32_t key_bytes = 0;        ///< of each record; 0: no key
  bool text = false;                  ///< values are words and numbers and not random letters
  Codec codec = Codec::none;
  std::int32_t spread = 1;  ///< produce: partitions per request, a batch for each

  std::uint32_t connections = 1;
  std::uint32_t in_flight = 5;  ///< requests per connection
  double seconds = 1;
  std::uint64_t count = 0;      ///< stop after so many requests; 0: by time
  std::uint64_t bytes_max = 0;  ///< stop issuing after so many batch bytes; 0: no limit
  double rate = 0;              ///< requests a second over all connections, open loop; 0: closed window
  double warmup = 0;            ///< seconds of the same work before anything is counted

  std::int32_t fetch_bytes = 1 << 20;
  std::int32_t min_bytes = 1;
  std::int32_t wait_ms = 500;
  bool from_end = false;       ///< fetch: start at the end (long poll) and not at the start
  bool repeat = true;          ///< fetch: go back to the start at the end of the partition; otherwise stop there
  std::uint32_t fetchers = 1;  ///< e2e: connections that read, partition after partition

  int server_pid = 0;  ///< whose CPU time is reported; 0: nobody's
};

/// Exits with 2 and a sentence when the command line is wrong.
Options parse_options(int argc, char** argv);

}  // namespace mr::bench
