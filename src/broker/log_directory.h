#pragma once
#include <memory>
#include <optional>
#include <string>

#include "runtime/env.h"
#include "storage/data_dir.h"

namespace mr::broker {

/// One entry of log.dirs as the broker sees it. Shard 0; `data` and its files() are the same for as long as the broker
/// lives, so other shards may open files there.
struct LogDirectory {
  std::string path;
  std::unique_ptr<storage::DataDir> data;  ///< null: it could not be opened at the start
  std::optional<Error> offline;            ///< why nothing in it is served; final until the next start
  std::size_t partitions = 0;
  std::uint64_t read_before_recovery = 0;  ///< bytes
  SpaceInfo space;                         ///< as of the last look (disk_space.cc)
  std::uint64_t reserve = 0;               ///< bytes to keep free
  bool low = false;                        ///< below the reserve: appends are refused

  bool online() const { return !offline; }
};

/// An entry of log.dirs that could not be opened. The others are served without it.
struct UnopenedDirectory {
  std::string path;
  Error why;
};

}  // namespace mr::broker
