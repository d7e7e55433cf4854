#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/batch_header.h"
#include "model/ids.h"
#include "runtime/env.h"

/// Looking at a partition's directory from outside, for `log verify` and `log dump`. Read-only: takes no lock, changes
/// nothing, needs no running broker. On a directory that is in use the newest batch may look cut.
namespace mr::storage {

struct VerifyOptions {
  bool indexes = true;  ///< compare .index and .timeindex with the log
  bool records = true;  ///< inflate each batch and walk its records
};

struct VerifyProblem {
  enum class Kind {
    torn_tail,  ///< bad bytes at the end of the last segment, no whole batch behind: what a crash leaves, cut at the
                ///< start
    corrupt,    ///< a batch that fails framing, checksum, order of offsets or epochs; or a side file that does not read
    hole,       ///< offsets missing between batches: normal on compacted topics, a loss elsewhere
    index_wrong,   ///< an index entry that does not fit its log; indexes can be made again
    records_wrong  ///< the batch is as it was written, but its records do not decode
  };
  Kind kind;
  std::string file;
  std::uint64_t position = 0;  ///< in `file`
  std::optional<Offset> offset;
  std::string what;
};
std::string_view to_string(VerifyProblem::Kind kind);

struct VerifyReport {
  static constexpr std::size_t kProblemsMax = 1000;

  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  Offset first{-1};  ///< base offset of the first segment
  Offset next{-1};   ///< offset after the last good batch
  LeaderEpoch latest_epoch = kNoLeaderEpoch;
  std::vector<VerifyProblem> problems;  ///< the first kProblemsMax
  std::uint64_t problem_count = 0;

  /// Nothing but a torn tail or holes: every batch that is there reads.
  bool healthy() const;
  void add(VerifyProblem problem);
};

/// Called now and then with bytes done and bytes in all; false stops the work (the answer is Errc::cancelled).
using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

/// Checks every batch of the partition in `directory`: framing, checksum, offsets, epochs; then what `options` asks.
/// Errors: not_found (no segment there), cancelled, those of File; damage is no error but a problem in the report.
Result<VerifyReport> verify_partition(FileSystem& files, const std::string& directory, VerifyOptions options = {},
                                      const Progress& progress = {});

/// One batch as dump_segment() shows it.
struct DumpedBatch {
  BatchHeader header;
  std::uint64_t position = 0;
  bool crc_matches = false;
  ByteView bytes;  ///< the whole batch, valid during the call
};
/// Gives the batches of one .log file to `visit` until it returns false. Errors: corrupt_batch at bytes that are no
/// batch (everything before was visited), those of File.
Result<void> dump_segment(FileSystem& files, const std::string& path,
                          const std::function<bool(const DumpedBatch&)>& visit);

/// Any other file of a partition's directory (.index, .timeindex, .snapshot, checkpoints, partition.metadata) as lines.
/// Errors: invalid_argument (no such kind of file), corrupt_data, those of File.
Result<std::vector<std::string>> dump_side_file(FileSystem& files, const std::string& path);

/// Directories of partitions below `path`; `path` itself when it is one.
Result<std::vector<std::string>> partition_directories(FileSystem& files, const std::string& path);

}  // namespace mr::storage
