#pragma once
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/env.h"
#include "storage/batch_scanner.h"
#include "storage/segment.h"

/// What an interrupted compaction leaves in a partition's directory, and what becomes of it at the next start.
///
/// Compaction writes N.log.cleaned (and its indexes), syncs it, and renames it to N.log.swap: once that name is durable
/// the new segment stands for the old ones from N up to the end of its last batch, which compaction therefore always
/// keeps, if need be without records. Then the old files are given up, and only when that is durable too the new ones
/// get their final names. So N.log with an index of another life of N never comes about.
/// - `.cleaned` never counted. A `.swap` at or above one (Kafka's splitting, or a rename that the crash took back)
///   neither: the old files are all there.
/// - any other N.log.swap is the segment. Its indexes come along; an index that does not is made again.
namespace mr::storage {

/// The entries say that compaction left something.
bool has_unfinished_compaction(const std::vector<DirEntry>& entries);

/// Pool. Finishes or takes back each replacement; on return no `.cleaned` or `.swap` is left and that is durable.
Result<void> settle_compaction(const LogPlace& place, const std::vector<DirEntry>& entries);

/// Offset behind the last batch of a segment file. Errors: corrupt_batch, those of File.
Result<Offset> end_of_segment_file(FileSystem& files, const std::string& path, BatchScanner::Depth depth);

/// Of the given-up bases those that retention gave up: the others lie inside a segment of `live` (sorted), which has
/// replaced them.
Result<std::set<Offset>> given_up_by_retention(const LogPlace& place, const std::vector<Offset>& live,
                                               const std::set<Offset>& given_up);

}  // namespace mr::storage
