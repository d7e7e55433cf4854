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
/// *Evidence* is the offset below which everything is known to be on disk: the recovery point of the checkpoint, or a
/// valid producer snapshot, whichever is higher. A snapshot N is written only after all below N has been synced
/// (seal_task.h, close()).
/// - After a clean stop nothing is scanned but the batches behind the last index entry.
/// - After a crash everything from the segment with the evidence on is scanned: framing, checksum, offsets dense
///   (below the evidence and on compacted topics: growing), epochs not falling, no hole between two segments.
/// - The first bad batch at or above the evidence is a torn tail: it and all behind it go.
/// - One below the evidence is corruption: nothing is cut. In a sealed segment the log opens and reads of the range
///   answer corrupt_batch; in the active one, which we could not continue, open fails with corrupt_data.
/// The commit journal (design section 5 rule 2) will sharpen the evidence to the last answered frame; it enters here.
namespace mr::storage {

struct RecoveredLog {
  std::vector<std::unique_ptr<Segment>> segments;  ///< never empty
  EpochTable epochs;
  ProducerTable producers;
  Offset log_start{0};
  Offset log_end{0};
};

/// Pool. On return everything is synced. Errors: see Log::open.
Result<RecoveredLog> recover_log(const LogPlace& place, const Log::OpenOptions& options);

}  // namespace mr::storage
