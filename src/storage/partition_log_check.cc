// What of the log this process knows to be good, and what to be bad.
#include "base/log.h"
#include "storage/partition_log.h"

namespace mr::storage {

Segment* PartitionLog::find_segment(const SegmentRef& ref) {
  Segment* segment = segments_[segment_for(ref.base)].get();
  return segment->base() == ref.base && segment->life() == ref.life ? segment : nullptr;
}

std::optional<BatchRange> PartitionLog::range_to_check(const Fragment& fragment, bool all) const {
  std::size_t index = segment_for(fragment.segment.base);
  const Segment& segment = *segments_[index];
  if (segment.base() != fragment.segment.base || segment.life() != fragment.segment.life) return std::nullopt;
  return BatchRange{.position = fragment.position + (all ? 0 : fragment.checked),
                    .end = fragment.position + fragment.length,
                    .limit = segment.readable_until(fragment.position),
                    .size = segment.size(),
                    .first = segment.base(),
                    .next = segment_end(index),
                    .holes_allowed = !dense(segment)};
}

void PartitionLog::note_check(const SegmentRef& ref, const BatchRange& range, const Result<BatchCheck>& outcome) {
  if (failed_ || closed_) return;
  if (!outcome.ok()) {
    if (outcome.code() == Errc::disk_failed) (void)fail(outcome.error());
    return;
  }
  Segment* segment = find_segment(ref);
  if (segment == nullptr) return;
  segment->note_checked(range.position, outcome->good_end);
  if (outcome->healed)
    log_warn("storage", "a batch was bad, and good when it was read again from the device",
             {{"file", segment->log_path()}, {"position", outcome->good_end}});
}

std::size_t PartitionLog::note_damage(const SegmentRef& ref, Damage damage) {
  Segment* segment = failed_ || closed_ ? nullptr : find_segment(ref);
  if (segment == nullptr) return 0;
  std::erase_if(damage, [&](const DamagedRange& found) {
    const DamagedRange* known = find_damage(segment->damage(), found.first);
    return known != nullptr && found.next <= known->next;
  });
  for (const DamagedRange& range : damage)
    log_error("storage", "damaged; reads of these offsets answer CORRUPT_MESSAGE",
              {{"partition", partition_.to_string()},
               {"file", segment->log_path()},
               {"position", range.position},
               {"bytes", range.bytes()},
               {"first_offset", range.first.v},
               {"next_offset", range.next.v},
               {"found", range.why}});
  std::size_t found = damage.size();
  segment->add_damage(std::move(damage));
  return found;
}

void PartitionLog::forget_dropped() {
  auto [from, to] = written_->take_dropped();
  if (from == to) return;
  for (std::size_t i = segment_for(from.segment); i < segments_.size() && segments_[i]->base() <= to.segment; ++i) {
    Segment& segment = *segments_[i];
    segment.note_dropped(segment.base() == from.segment ? from.at : 0,
                         segment.base() == to.segment ? to.at : segment.size());
  }
}

void PartitionLog::forget_checks() {
  for (auto& segment : segments_) segment->forget_checks();
}

}  // namespace mr::storage
