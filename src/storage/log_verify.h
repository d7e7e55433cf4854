#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/batch_header.h"
#include "model/ids.h"
#include "runtime/env.h"
#include "storage/text_checkpoint.h"

/// Looking at a partition's directory from outside, for `log verify` and `log dump`. Read-only: takes no lock, changes
/// nothing, needs no running broker. On a directory that is in use the newest batch may look cut.
namespace mr::storage {

struct VerifyProblem {
  enum class Kind {
    torn_tail,     ///< bad bytes at the end of the newest segment, no whole batch behind, nothing says that they were
                   ///< synced: what a crash leaves, cut at the next start
    corrupt,       ///< offsets that do not read: framing, checksum, order, another file than the seal says
    missing,       ///< a segment, or a whole partition, that something else says was there
    hole,          ///< offsets missing between batches: normal on compacted topics, a loss elsewhere
    side_file,     ///< a checkpoint, snapshot, seal or the like that is missing, does not read or does not fit
    index_wrong,   ///< an index that is missing or has entries that do not fit its log
    foreign,       ///< a file that does not belong here; it is passed over
    records_wrong  ///< the batch is as it was written, but its records do not decode
  };
  Kind kind;
  std::string file;
  std::uint64_t position = 0;  ///< in `file`
  std::optional<Offset> offset;
  std::string what;
  std::optional<Offset> next = {};  ///< of corrupt, missing and hole: offsets [offset, next) are concerned
};
std::string_view to_string(VerifyProblem::Kind kind);

/// What the files beside the partitions of a data directory say.
struct DataDirReport {
  bool closed = false;       ///< the last process stopped cleanly,
  bool closed_here = false;  ///< and was a Millrace: every segment since the first seal has one
  std::optional<OffsetCheckpoint> recovery_points, cleaned;
  /// Of an unclean life: everything below was synced in the partition's own files.
  std::map<std::pair<TopicId, PartitionIndex>, Offset> journal_ends;
  std::vector<VerifyProblem> problems;
};
/// Reads identity, marker, checkpoints and commit journals of `path`, and compares them with the partitions that lie
/// there. A path that is no data directory has no problems and says nothing. Errors: those of File.
Result<DataDirReport> verify_data_directory(FileSystem& files, const std::string& path);

struct VerifyOptions {
  bool indexes = true;  ///< compare .index and .timeindex with the log
  bool records = true;  ///< inflate each batch and walk its records
  /// Of the data directory that the partition lies in: what should be there. Without it fewer losses can be told.
  const DataDirReport* around = nullptr;
};

struct VerifyReport {
  static constexpr std::size_t kProblemsMax = 1000;

  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  Offset first{0};  ///< base offset of the first segment
  Offset next{0};   ///< offset after the last good batch
  LeaderEpoch latest_epoch = kNoLeaderEpoch;
  std::vector<VerifyProblem> problems;  ///< the first kProblemsMax
  std::uint64_t problem_count = 0;

  /// Nothing but a torn tail or holes that compaction may have made.
  bool healthy() const;
  void add(VerifyProblem problem);
};

/// Called now and then with bytes done and bytes in all; false stops the work (the answer is Errc::cancelled).
using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

/// Checks every batch of the partition in `directory`: framing, checksum, offsets, epochs; then what `options` asks.
/// Errors: cancelled, those of File; damage is no error but a problem in the report.
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
