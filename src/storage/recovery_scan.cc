// Reading one segment at a start: what is damage, what a torn tail, and what its seal shall say.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "storage/journal_restore.h"
#include "storage/recovery_run.h"
#include "storage/segment_verify.h"
#include "storage/segment_walk.h"
#include "storage/small_file.h"

namespace mr::storage {

namespace {
constexpr std::size_t kScanChunkBytes = 256u << 10;
}  // namespace

std::vector<HeaderFact> Recovery::facts_of(Offset base) const {
  std::vector<HeaderFact> facts;
  auto add = [&](const JournalRun& run) {
    // Below the snapshot compaction may have replaced the file since.
    if (run.segment == base && run.bytes > 0 && (run.base >= holes_end() || run.next > snapshot_) &&
        !spoke_before_compaction(seals_, run))
      facts.push_back({.position = run.position, .end = run.end(), .crc = run.headers_crc, .base = run.base});
  };
  for (const JournalRun& run : options_.evidence.durable) add(run);
  for (const CommitEvidence::Carried& one : options_.evidence.carried) add(one.run);
  if (auto seal = seals_.find(base); seal != seals_.end())
    std::ranges::copy(seal->second.facts(), std::back_inserter(facts));
  std::ranges::sort(facts, {}, &HeaderFact::position);
  return facts;
}

Result<Recovery::ScanEnd> Recovery::scan(std::size_t index) {
  Segment& segment = *log_.segments[index];
  MR_TRY(auto file, segment.file());
  std::uint64_t file_bytes = segment.size();
  // After a failed sync the page cache may hold what the device has not: look past it.
  file->drop_cache();
  WalkInput input{.base = segment.base(),
                  .evidence = evidence_,
                  .holes_allowed = may_be_compacted(index),
                  .holes_end = holes_end(segment.base()),
                  .epoch = scanned_epoch_,
                  .epochs = scan_all_ ? nullptr : &known_epochs_,
                  .facts = facts_of(segment.base())};
  // A name above the evidence says nothing for sure: it may be left over from what a crash took.
  if (index + 1 < bases_.size() && bases_[index + 1] <= evidence_) input.next_base = bases_[index + 1];
  MR_TRY(input.anchors, indexed_positions(place_.files, place_.directory, segment.base()));
  MR_TRY_VOID(segment.reset_for_rebuild());
  SegmentWalk walk(*file, std::min(file_bytes, Segment::kBytesMax), std::move(input), kScanChunkBytes);
  HeaderChain chain;
  while (true) {
    auto item = walk.next();
    if (!item.ok()) return in_file(segment.log_path(), std::move(item).error());
    if (!*item) break;
    const BatchHeader& header = (*item)->header;
    MR_TRY_VOID(segment.note(header, header.max_timestamp, (*item)->position, options_.config.index_interval_bytes));
    if (header.base_offset >= snapshot_.v) log_.producers.note(header, options_.now);
    log_.epochs.assign(LeaderEpoch{header.leader_epoch}, Offset{header.base_offset});
    chain.add(walk.header_bytes(), (*item)->end());
  }
  scanned_epoch_ = walk.epoch();
  ScanEnd end{walk.next_offset(), walk.position(), walk.torn()};
  // Not where more is known to follow: then the rest is damage, as the walk says.
  bool last = index + 1 == bases_.size() || bases_[index + 1] > evidence_;
  if (!end.torn && file_bytes > Segment::kBytesMax && last && end.next >= evidence_)
    end = {end.next, Segment::kBytesMax, "longer than 2 GiB"};
  segment.set_damage(walk.damage(), end.torn ? end.position : file_bytes);
  note_seal(segment, std::move(chain), end.next);
  log_.counts.damaged_ranges += segment.damage().size();
  for (const DamagedRange& range : segment.damage()) {
    log_error("storage", "damaged; nothing is cut, reads of these offsets answer corrupt_batch",
              {{"file", segment.log_path()},
               {"position", range.position},
               {"end", range.end},
               {"first_offset", range.first.v},
               {"next_offset", range.next.v},
               {"found", range.why}});
  }
  if (end.torn) {
    log_warn("storage", "cutting a torn tail",
             {{"file", segment.log_path()},
              {"position", end.position},
              {"bytes", file_bytes - end.position},
              {"next_offset", end.next.v},
              {"found", *end.torn}});
    MR_TRY_VOID(segment.cut(end.position));
    ++log_.counts.tails_cut;
    log_.counts.bytes_cut += file_bytes - end.position;
  }
  return end;
}

/// What the seal of a scanned segment shall say. Of a damaged one an earlier seal still knows what was there.
void Recovery::note_seal(Segment& segment, HeaderChain chain, Offset end) {
  SegmentSeal seal{.base = segment.base(), .end = end, .bytes = segment.size()};
  auto known = seals_.find(segment.base());
  if (segment.damage().empty()) {
    seal = chain.seal(segment.base(), end);
    segment.set_chain(std::move(chain));
  } else if (known != seals_.end()) {
    seal = known->second;
    seal.end = std::max(seal.end, end);
  }
  seal.damaged = !segment.damage().empty();
  seal.compacted = segment.compacted();
  if (known == seals_.end() || known->second != seal) new_seals_[segment.base()] = std::move(seal);
}

Result<void> Recovery::drop_segments_from(std::size_t index) {
  if (index < bases_.size() && bases_[index] < evidence_)
    return Error(Errc::corrupt_data,
                 fmt::format("{}: what lies before {} does not lead up to it, but everything below {} had "
                             "been synced; nothing is removed",
                             place_.directory, bases_[index].v, evidence_.v));
  for (std::size_t i = index; i < bases_.size(); ++i) {
    log_warn("storage", "dropping a segment behind a torn tail",
             {{"file", segment_path(place_.directory, bases_[i], kLogSuffix)}});
    for (std::string_view suffix : kSegmentSuffixes) {
      auto removed = place_.files.remove(segment_path(place_.directory, bases_[i], suffix));
      if (!removed.ok() && removed.code() != Errc::not_found) return removed;
    }
  }
  log_.counts.segments_dropped += bases_.size() - index;
  bases_.resize(index);
  look_.resize(index);
  log_.segments.resize(std::min(index, log_.segments.size()));
  new_seals_.erase(index < 1 ? new_seals_.begin() : new_seals_.upper_bound(bases_.back()), new_seals_.end());
  return {};
}

Result<void> Recovery::recover_segment(std::size_t index) {
  MR_TRY_VOID(load_segments(index + 1));
  MR_TRY(ScanEnd end, scan(index));
  // A compacted topic may have holes between segments; elsewhere a hole that the evidence does not cover is a lost
  // tail, and what follows was never answered for.
  bool ends_here = end.torn.has_value();
  if (!ends_here && index + 1 < bases_.size()) {
    Offset next_base = bases_[index + 1];
    bool hole = next_base > end.next;
    ends_here = next_base < end.next || (hole && next_base > evidence_ && end.next >= holes_end(bases_[index]));
  }
  if (ends_here) MR_TRY_VOID(drop_segments_from(index + 1));
  if (index + 1 == bases_.size()) log_.log_end = end.next;
  return {};
}

/// A damaged segment stays as it is: the log goes on in a new one.
Result<void> Recovery::leave_damaged_segment() {
  if (log_.segments.back()->damage().empty()) return {};
  MR_TRY(auto segment, Segment::create(place_, log_.log_end));
  log_.segments.push_back(std::move(segment));
  bases_.push_back(log_.log_end);
  return {};
}

}  // namespace mr::storage
