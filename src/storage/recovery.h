#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/epoch_table.h"
#include "storage/log.h"
#include "storage/producer_table.h"
#include "storage/segment.h"

/// Opening a partition's directory. What counts as damage:
///
/// *Evidence* is the offset below which everything is known to be on disk: the highest of a valid producer snapshot
/// (N is written only after all below N has been synced: seal_task.h, close()), a seal, what the commit journal says,
/// and after a clean stop the recovery point of the checkpoint.
/// - After a clean stop nothing is scanned but the batches behind the last index entry, and segments that look odd from
///   outside. After a crash everything from the segment with the newest snapshot on is.
/// - Seals (segment_seal.h) say what was in a segment: one that does not fit its file, or that says "damaged", has the
///   segment scanned at any start. A file whose name lies inside a sealed segment is none of ours.
/// - Below the evidence nothing is ever cut. What does not read there becomes a damaged range (damage.h,
///   segment_walk.h): reads of its offsets answer corrupt_batch, those before and behind are served. So do offsets that
///   are missing where no compaction was at work. The newest segment stays as it is when it has damage, and the log
///   goes on in a new one; it never ends below the evidence.
/// - The first bad batch at or above the evidence is a torn tail: it and all behind it go, later segments too.
namespace mr::storage {

struct RecoveredLog {
  std::vector<std::unique_ptr<Segment>> segments;  ///< never empty
  EpochTable epochs;
  ProducerTable producers;
  Offset log_start{0};
  Offset log_end{0};
  Offset snapshot{0};  ///< of the newest valid producer snapshot; 0 without one
  RecoveryCounts counts;
};

/// Pool. On return everything is synced. Errors: see Log::open.
Result<RecoveredLog> recover_log(const LogPlace& place, const Log::OpenOptions& options);

}  // namespace mr::storage
