#include "storage/journal_restore.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "model/batch_header.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

/// Whole valid batch at the start of `bytes`; empty when there is none.
std::optional<BatchHeader> batch_at(ByteView bytes) {
  auto header = BatchHeader::parse(bytes);
  if (!header.ok() || header->total_bytes() > bytes.size()) return std::nullopt;
  if (!batch_crc_matches(bytes.first(header->total_bytes()))) return std::nullopt;
  return *header;
}

class Restore {
 public:
  explicit Restore(const LogPlace& place) : place_(place) {}

  Result<void> put_back(const CommitEvidence::Carried& carried);
  /// Files that were written, and closes all.
  Result<void> sync();
  RestoreCounts counts;

 private:
  struct Target {
    std::unique_ptr<File> file;
    bool written = false;
  };
  Result<Target*> target_of(Offset segment);
  Result<bool> taken(Target& target, const JournalRun& run, const BatchHeader& ours, ByteView batch, std::uint64_t at);
  void conflict(const JournalRun& run, std::uint64_t at, std::string_view found);

  const LogPlace& place_;
  std::map<Offset, Target> targets_;
};

void Restore::conflict(const JournalRun& run, std::uint64_t at, std::string_view found) {
  ++counts.conflicts;
  log_error("storage", "what the commit journal carries is not put back",
            {{"file", segment_path(place_.directory, run.segment, kLogSuffix)},
             {"position", at},
             {"first_offset", run.base.v},
             {"next_offset", run.next.v},
             {"found", found}});
}

Result<Restore::Target*> Restore::target_of(Offset segment) {
  auto at = targets_.find(segment);
  if (at != targets_.end()) return &at->second;
  auto file = place_.files.open(segment_path(place_.directory, segment, kLogSuffix), OpenMode::read_write);
  if (!file.ok()) {
    if (file.code() == Errc::not_found) return nullptr;
    return std::move(file).error();
  }
  (*file)->drop_cache();  // after a failed sync the page cache may hold what the device has not
  return &targets_.emplace(segment, Target{std::move(*file)}).first->second;
}

/// Is there a batch in our batch's place that must stay?
Result<bool> Restore::taken(Target& target, const JournalRun& run, const BatchHeader& ours, ByteView batch,
                            std::uint64_t at) {
  std::vector<std::byte> there(BatchHeader::kBytes);
  MR_TRY(std::size_t got, target.file->read_at(there, at));
  there.resize(got);
  auto header = BatchHeader::parse(there);
  if (!header.ok() || header->base_offset != ours.base_offset || header->leader_epoch < ours.leader_epoch) return false;
  MR_TRY(std::uint64_t size, target.file->size());
  if (header->total_bytes() > size - at) return false;
  there.resize(header->total_bytes());
  MR_TRY(got, target.file->read_at(there, at));
  there.resize(got);
  if (!batch_at(there) || std::ranges::equal(there, batch)) return false;
  conflict(run, at, "another batch with the same offset");
  return true;
}

Result<void> Restore::put_back(const CommitEvidence::Carried& carried) {
  const JournalRun& run = carried.run;
  MR_TRY(Target * target, target_of(run.segment));
  if (target == nullptr) {
    conflict(run, run.position, "no such segment");
    return {};
  }
  std::vector<std::byte> there(carried.frames.size());
  MR_TRY(std::size_t got, target->file->read_at(there, run.position));
  ByteView rest(carried.frames), old(ByteView(there).first(got));
  std::int64_t next = run.base.v;
  for (std::uint64_t at = run.position; !rest.empty();) {
    auto ours = batch_at(rest);
    if (!ours || ours->base_offset < next || ours->next_offset() > run.next) {
      conflict(run, at, "the journal carries no whole batch");
      return {};
    }
    std::size_t bytes = ours->total_bytes();
    ByteView batch = rest.first(bytes);
    if (old.size() < bytes || !std::ranges::equal(batch, old.first(bytes))) {
      MR_TRY(bool occupied, taken(*target, run, *ours, batch, at));
      if (occupied) return {};
      MR_TRY_VOID(target->file->write_at(batch, at));
      target->written = true;
      ++counts.batches;
    }
    at += bytes;
    next = ours->next_offset().v;
    rest = rest.subspan(bytes);
    old = old.subspan(std::min(bytes, old.size()));
  }
  return {};
}

Result<void> Restore::sync() {
  for (auto& [segment, target] : targets_)
    if (target.written) MR_TRY_VOID(target.file->sync());
  return {};
}

}  // namespace

bool spoke_before_compaction(const std::map<Offset, SegmentSeal>& seals, const JournalRun& run) {
  auto above = seals.upper_bound(run.segment);
  if (above == seals.begin()) return false;
  const SegmentSeal& seal = std::prev(above)->second;
  return seal.compacted && run.next <= seal.end;
}

Result<RestoreCounts> restore_carried(const LogPlace& place, const CommitEvidence& evidence, Offset snapshot,
                                      Offset first_segment, const std::map<Offset, SegmentSeal>& seals) {
  Restore restore(place);
  for (const CommitEvidence::Carried& carried : evidence.carried)
    if (carried.run.next > snapshot && carried.run.segment >= first_segment &&
        !spoke_before_compaction(seals, carried.run))
      MR_TRY_VOID(restore.put_back(carried));
  MR_TRY_VOID(restore.sync());
  if (restore.counts.batches > 0)
    log_info("storage", "put back from the commit journal what the log had lost",
             {{"directory", place.directory}, {"batches", restore.counts.batches}});
  return restore.counts;
}

}  // namespace mr::storage
