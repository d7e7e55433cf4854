#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace mr::bench {

struct GroupOptions {
  std::vector<std::string> works;
  std::string host = "127.0.0.1";
  std::uint16_t port = 9092;
  std::string name;  ///< groups and topics begin with it; one that is free unless given
  int server_pid = 0;

  std::size_t connections = 50;
  std::size_t in_flight = 8;  ///< per connection
  double seconds = 5;
  std::uint64_t count = 0;  ///< operations; 0: by time
  double rate = 0;          ///< operations a second, open loop; 0: closed window
  double warmup = 0;
  bool half = false;  ///< after a closed window a second run at half its rate

  std::size_t groups = 1000;
  std::size_t members = 5;
  std::size_t topics = 10;
  std::int32_t partitions = 100;  ///< of each topic
  std::int32_t commit_partitions = 1;
  std::uint64_t offsets = 1'000'000;  ///< setup
  std::size_t large_members = 1000;   ///< setup: of the one large group
  std::size_t added_members = 100;    ///< added: of the group that one more joins
};

/// Exits with 2 and a sentence when the command line is wrong.
GroupOptions parse_group_options(int argc, char** argv);

}  // namespace mr::bench
