#pragma once
#include <map>

#include "storage/index_file.h"
#include "storage/log.h"
#include "storage/segment_seal.h"

namespace mr::storage {

/// What putting back did.
struct RestoreCounts {
  std::uint64_t batches = 0;    ///< written, because the file did not have them
  std::uint64_t conflicts = 0;  ///< left as they are: the file holds somebody else's, or does not exist any more
};

/// What the run says was true of a file that compaction has replaced since: a later one holds all that it promised.
/// `seals`: by base offset.
bool spoke_before_compaction(const std::map<Offset, SegmentSeal>& seals, const JournalRun& run);

/// Puts the carried runs of `evidence` back into the segment files that do not have their bytes, and syncs those files.
/// Only what lies above `snapshot` (the newest producer snapshot): what is below is in its own file, which compaction
/// may have replaced since; should that snapshot have rotted, `seals` tell. Runs of segments below `first_segment` are
/// gone by retention. Never overwrites a whole,
/// valid batch with the same base offset, an epoch at or above ours and other contents: an event says so.
/// Pool, before the log is opened. May be repeated. Errors: those of File (disk_full: try again when there is room).
Result<RestoreCounts> restore_carried(const LogPlace& place, const CommitEvidence& evidence, Offset snapshot,
                                      Offset first_segment, const std::map<Offset, SegmentSeal>& seals = {});

}  // namespace mr::storage
