#include "storage/batch_check.h"

#include <fmt/format.h>

#include "storage/batch_scanner.h"
#include "storage/segment_walk.h"

namespace mr::storage {
namespace {

/// Base offsets lie outside the checksum: where they do not grow, one of two batches lies, and neither is believed.
std::optional<Error> fall_back(const BatchScanner::Item& first, const BatchHeader& second) {
  if (second.base_offset >= first.header.next_offset().v) return std::nullopt;
  return Error(Errc::corrupt_batch, fmt::format("at position {}: offset {} before offset {}", first.position,
                                                first.header.last_offset().v, second.base_offset));
}

std::optional<Error> stray(const BatchScanner::Item& item, const BatchRange& range) {
  const BatchHeader& header = item.header;
  if (header.base_offset >= range.first.v && header.next_offset() <= range.next) return std::nullopt;
  return Error(Errc::corrupt_batch, fmt::format("at position {}: offsets {} to {} are not of this segment",
                                                item.position, header.base_offset, header.last_offset().v));
}

Result<BatchCheck> check_once(File& file, const BatchRange& range) {
  BatchCheck check{.good_end = range.position};
  BatchScanner batches(file, range.position, range.limit, BatchScanner::Depth::checksums, kCheckChunkBytes);
  std::optional<BatchScanner::Item> before;
  while (check.good_end < range.limit) {
    // Behind the range one more frame is looked at: the last offset is only as good as the next one says.
    bool behind = check.good_end >= range.end;
    if (behind && !before) break;
    BatchScanner frame(file, check.good_end, range.limit, BatchScanner::Depth::headers, BatchHeader::kBytes);
    auto item = behind ? frame.next() : batches.next();
    if (!item.ok() && item.code() != Errc::corrupt_batch) return std::move(item).error();
    if (!item.ok() && behind) break;  // found when it is read
    if (!item.ok()) {
      check.bad = std::move(item).error();
      break;
    }
    if (before) check.bad = fall_back(*before, (*item)->header);
    if (check.bad) {
      check.good_end = before->position;
      break;
    }
    if (behind) break;
    check.bad = stray(**item, range);
    if (check.bad) break;
    before = **item;
    check.good_end = before->end();
  }
  return check;
}

}  // namespace

Result<BatchCheck> check_batches(File& file, const BatchRange& range) {
  MR_TRY(BatchCheck check, check_once(file, range));
  if (!check.bad) return check;
  file.drop_cache();
  BatchRange rest = range;
  rest.position = check.good_end;
  MR_TRY(BatchCheck again, check_once(file, rest));
  again.healed = again.good_end > check.good_end || !again.bad;
  return again;
}

Result<Damage> survey_damage(File& file, const BatchRange& range) {
  WalkInput known{
      .base = range.first, .next_base = range.next, .evidence = range.next, .holes_allowed = range.holes_allowed};
  SegmentWalk walk(file, range.size, std::move(known), kCheckChunkBytes);
  for (;;) {
    MR_TRY(auto item, walk.next());
    if (!item) return walk.damage();
  }
}

}  // namespace mr::storage
