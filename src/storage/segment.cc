#include "storage/segment.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "storage/seal_task.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

/// One read finds the header sought for in most look-ups: the index has an entry each 4 KiB.
constexpr std::size_t kLookupChunkBytes = 4096;

/// A round that brings less may look for its own blocks.
constexpr std::uint64_t kReserveFrom = 64_KiB;

constexpr std::string_view kCleanedLogSuffix = ".log.cleaned";
constexpr std::string_view kCleanedOffsetIndexSuffix = ".index.cleaned";
constexpr std::string_view kCleanedTimeIndexSuffix = ".timeindex.cleaned";

}  // namespace

Segment::Segment(const LogPlace& place, Offset base)
    : place_(&place),
      base_(base),
      offset_index_(place, base, kOffsetIndexSuffix),
      time_index_(place, base, kTimeIndexSuffix) {}

std::string Segment::log_path() const {
  return segment_path(place_->directory, base_, cleaned_ ? kCleanedLogSuffix : kLogSuffix);
}

Result<std::unique_ptr<Segment>> Segment::create(const LogPlace& place, Offset base) {
  std::unique_ptr<Segment> segment(new Segment(place, base));
  MR_TRY(std::unique_ptr<File> file, place.files.open(segment->log_path(), OpenMode::create));
  MR_TRY(std::uint64_t size, file->size());
  if (size > 0) {
    MR_TRY_VOID(file->truncate(0));
    MR_TRY_VOID(segment->offset_index_.file().reset());
    MR_TRY_VOID(segment->time_index_.file().reset());
  }
  segment->file_ = std::move(file);
  segment->newest_ = TimeIndex::Entry{-1, base};
  segment->appended_from_ = 0;
  return segment;
}

Result<std::unique_ptr<Segment>> Segment::create_cleaned(const LogPlace& place, Offset base) {
  std::unique_ptr<Segment> segment(new Segment(place, base));
  segment->cleaned_ = true;
  segment->offset_index_.file().set_suffix(kCleanedOffsetIndexSuffix);
  segment->time_index_.file().set_suffix(kCleanedTimeIndexSuffix);
  MR_TRY(std::unique_ptr<File> file, place.files.open(segment->log_path(), OpenMode::create));
  MR_TRY_VOID(file->truncate(0));
  MR_TRY_VOID(segment->offset_index_.file().reset());
  MR_TRY_VOID(segment->time_index_.file().reset());
  segment->file_ = std::move(file);
  segment->newest_ = TimeIndex::Entry{-1, base};
  return segment;
}

void Segment::adopt_names() {
  cleaned_ = false;
  offset_index_.file().set_suffix(kOffsetIndexSuffix);
  time_index_.file().set_suffix(kTimeIndexSuffix);
}

void Segment::succeed(const Segment& old) {
  compacted_ = true;
  life_ = old.life_ + 1;
}

Result<std::unique_ptr<Segment>> Segment::load(const LogPlace& place, Offset base) {
  std::unique_ptr<Segment> segment(new Segment(place, base));
  MR_TRY(std::unique_ptr<File> file, place.files.open(segment->log_path(), OpenMode::read));
  MR_TRY(segment->size_, file->size());
  segment->size_at_reserve_ = segment->size_;
  segment->may_have_blocks_ = true;
  MR_TRY_VOID(segment->offset_index_.file().load());
  MR_TRY_VOID(segment->time_index_.file().load());
  return segment;
}

Result<std::shared_ptr<File>> Segment::file() {
  if (!file_) {
    MR_TRY(std::unique_ptr<File> opened, place_->files.open(log_path(), OpenMode::read_write));
    file_ = std::move(opened);
  }
  MR_TRY_VOID(write_waiting());
  return file_;
}

Result<std::shared_ptr<File>> Segment::readable(std::uint64_t end) {
  if (file_ && end <= size_ - waiting()) return file_;
  // Whoever syncs tries again; a read has better things to do.
  if (file_ && tail_ && tail_->no_room()) return tail_->over(file_, size_ - waiting());
  auto whole = file();
  if (whole.ok() || whole.code() != Errc::disk_full || waiting() == 0) return whole;
  return tail_->over(file_, size_ - waiting());
}

/// What of it could not be written is written again, from its beginning, by the next one.
Result<void> Segment::write_waiting() {
  if (waiting() == 0) return {};
  const std::uint64_t position = size_ - waiting();
  Result<void> written = file_->write_at(tail_->bytes(), position);
  if (written.ok()) {
    tail_->clear();
  } else if (written.code() == Errc::disk_full) {
    tail_->note_no_room();
    (void)file_->truncate(position);  // what it took is of use to somebody else
  }
  return written;
}

Result<bool> Segment::let_wait(ByteView batch, WaitingTails* tails) {
  // What a refused append may have left lies where this one goes: a crash before the tail is written would bring it
  // back.
  if (tails == nullptr || has_rest_ || batch.size() > WaitingTail::kBatchBytesMax) return false;
  if (!tail_) tail_ = tails->take();
  if (!tail_) return false;
  if (!tail_->has_room(batch.size())) MR_TRY_VOID(write_waiting());
  tail_->copy(batch);
  return true;
}

Result<void> Segment::write_at_end(ByteView batch) {
  MR_TRY_VOID(write_waiting());
  Result<void> written = file_->write_at(batch, size_);
  if (!written.ok()) has_rest_ = written.code() != Errc::disk_full || !file_->truncate(size_).ok();
  return written;
}

Result<void> Segment::append(ByteView batch, const BatchHeader& header, WallMillis max_timestamp,
                             std::uint64_t index_interval_bytes, WaitingTails* tails) {
  if (!file_) MR_TRY_VOID(file());
  if (!chain_ && !chain_unknown_) prepare_chain();
  MR_TRY(const bool waits, let_wait(batch, tails));
  if (!waits) MR_TRY_VOID(write_at_end(batch));
  std::uint64_t position = size_;
  Result<void> noted = note(header, max_timestamp, position, index_interval_bytes);
  if (!noted.ok()) {
    if (!waits) has_rest_ = !file_->truncate(size_).ok();
    return noted;
  }
  if (waits) tail_->keep(batch.size());
  if (chain_) chain_->add(batch.first(BatchHeader::kBytes), size_);
  if (!appended_from_) appended_from_ = position;
  return {};
}

void Segment::prepare_chain() {
  if (size_ == 0) {
    chain_ = std::make_unique<HeaderChain>();
    return;
  }
  auto seal = read_seal(place_->files, place_->directory, base_);
  bool fits = seal.ok() && *seal && (*seal)->bytes == size_ && (*seal)->batches > 0;
  if (fits) set_chain(HeaderChain::resume(**seal));
  chain_unknown_ = !fits;
}

std::optional<SegmentSeal> Segment::seal_facts(Offset end) const {
  if (!chain_ || chain_->bytes() != size_) return std::nullopt;
  SegmentSeal seal = chain_->seal(base_, end);
  seal.damaged = !damage_.empty();
  seal.compacted = compacted_;
  return seal;
}

Result<void> Segment::note(const BatchHeader& header, WallMillis max_timestamp, std::uint64_t position,
                           std::uint64_t index_interval_bytes) {
  if (!newest_) MR_TRY_VOID(load_newest_timestamp());
  bool indexed = bytes_since_index_ > index_interval_bytes;
  if (indexed) MR_TRY_VOID(time_index_.prepare_append());
  // From here on the batch counts, so nothing may fail that the log survives.
  if (position == 0) first_timestamp_ = max_timestamp;
  size_ = position + header.total_bytes();
  if (max_timestamp > newest_->timestamp) newest_ = {max_timestamp, header.last_offset()};
  if (indexed) {
    bytes_since_index_ = 0;
    MR_TRY_VOID(offset_index_.append(header.last_offset(), position));
    MR_TRY_VOID(time_index_.append(newest_->timestamp, newest_->offset));
  }
  bytes_since_index_ += header.total_bytes();
  return {};
}

Result<void> Segment::reset_for_rebuild() {
  size_ = 0;
  bytes_since_index_ = 0;
  newest_ = TimeIndex::Entry{-1, base_};
  first_timestamp_.reset();
  time_index_ = TimeIndex(*place_, base_, kTimeIndexSuffix);
  MR_TRY_VOID(offset_index_.file().reset());
  return time_index_.file().reset();
}

Result<void> Segment::load_newest_timestamp() {
  MR_TRY(newest_, time_index_.last());
  return {};
}

Result<Offset> Segment::resume() {
  MR_TRY_VOID(load_newest_timestamp());
  MR_TRY(auto log, file());
  MR_TRY(std::uint64_t position, offset_index_.position_for(Offset{INT64_MAX}));
  if (position >= size_) position = 0;
  Offset next = base_;
  BatchScanner scanner(*log, position, size_, BatchScanner::Depth::headers, kLookupChunkBytes);
  while (true) {
    auto item = scanner.next();
    if (!item.ok()) return in_file(log_path(), std::move(item).error());
    if (!*item) break;
    const BatchHeader& header = (*item)->header;
    if (header.base_offset < next.v) return in_file(log_path(), Error(Errc::corrupt_batch, "offsets do not grow"));
    next = header.next_offset();
    if (header.max_timestamp > newest_->timestamp) newest_ = {header.max_timestamp, header.last_offset()};
  }
  bytes_since_index_ = size_ - position;
  return next;
}

std::shared_ptr<File> Segment::reserve(std::uint64_t step, std::uint64_t bytes_max) {
  const std::uint64_t since = size_ - std::min(size_, std::exchange(size_at_reserve_, size_));
  const std::uint64_t from = std::max(size_, reserved_), to = std::min(size_ + step, bytes_max);
  if (since < kReserveFrom || size_ + step / 2 < reserved_ || to <= from) return nullptr;
  reserved_ = to;
  may_have_blocks_ = true;
  return std::make_shared<ReserveTask>(*place_, file_, from, to);
}

Result<std::vector<std::shared_ptr<File>>> Segment::seal() {
  if (!newest_) MR_TRY_VOID(load_newest_timestamp());
  MR_TRY(auto log, file());
  tail_.reset();
  MR_TRY_VOID(time_index_.append(newest_->timestamp, newest_->offset));
  if (has_rest_) {
    MR_TRY_VOID(log->truncate(size_));
    has_rest_ = false;
  }
  MR_TRY(auto offsets, offset_index_.file().flushed_file());
  MR_TRY(auto times, time_index_.file().flushed_file());
  std::vector<std::shared_ptr<File>> synced;
  if (may_have_blocks_) {
    synced.push_back(std::make_shared<GiveBackTask>(std::move(log), size_));
  } else {
    synced.push_back(std::move(log));
  }
  synced.push_back(std::move(offsets));
  synced.push_back(std::move(times));
  reserved_ = 0;
  return synced;
}

void Segment::set_damage(Damage damage, std::uint64_t file_bytes) {
  damage_ = std::move(damage);
  size_ = file_bytes;
}

std::uint64_t Segment::readable_until(std::uint64_t position) const {
  for (const DamagedRange& range : damage_)
    if (range.position > position || (range.position == position && range.end > position)) return range.position;
  return size_;
}

bool Segment::reads_to_end(std::uint64_t position) const {
  return std::ranges::none_of(
      damage_, [&](const DamagedRange& range) { return range.position >= position && range.first < range.next; });
}

Error Segment::unreadable(const DamagedRange& range) const {
  return Error(Errc::corrupt_batch, fmt::format("{}: offsets {} to {} do not read: {}", log_path(), range.first.v,
                                                range.next.v - 1, range.why));
}

template <class Visit>
Result<void> Segment::walk(std::uint64_t position, Visit visit) {
  MR_TRY(auto log, readable(size_));
  while (true) {
    for (const DamagedRange& range : damage_)
      if (range.position <= position && position < range.end) position = range.end;
    if (position >= size_) return {};
    std::uint64_t until = readable_until(position);
    BatchScanner scanner(*log, position, until, BatchScanner::Depth::headers, kLookupChunkBytes);
    while (true) {
      auto item = scanner.next();
      if (!item.ok()) return in_file(log_path(), std::move(item).error());
      if (!*item) break;
      if (visit(**item)) return {};
    }
    position = until;
  }
}

/// From a place that an index names; from the start when that place proves wrong: slow, but right.
template <class Visit>
Result<void> Segment::walk_indexed(std::uint64_t position, Visit visit) {
  if (position >= size_) position = 0;
  Result<void> walked = walk(position, visit);
  if (walked.ok() || walked.code() != Errc::corrupt_batch || position == 0) return walked;
  log_warn("storage", "an index entry leads to no batch", {{"file", log_path()}, {"position", position}});
  return walk(0, visit);
}

Result<std::optional<BatchScanner::Item>> Segment::locate(Offset offset) {
  std::optional<BatchScanner::Item> found;
  if (const DamagedRange* range = find_damage(damage_, offset)) return unreadable(*range);
  if (size_ == 0) return found;
  MR_TRY(std::uint64_t position, offset_index_.position_for(offset));
  std::uint64_t looked_at = 0;
  auto holds = [&](const BatchScanner::Item& item) {
    ++looked_at;
    if (item.header.last_offset() < offset) return false;
    found = item;
    return true;
  };
  MR_TRY_VOID(walk_indexed(position, holds));
  // The entry's own batch lies at or below `offset`, so what the first batch says shows whether the entry is right.
  bool index_wrong = found && looked_at == 1 && found->header.base_offset > offset.v;
  if (position == 0 || !index_wrong) return found;
  found.reset();
  MR_TRY_VOID(walk(0, holds));
  return found;
}

Result<std::optional<BatchScanner::Item>> Segment::locate_timestamp(WallMillis timestamp, Offset end, Offset start) {
  std::optional<BatchScanner::Item> found;
  MR_TRY(WallMillis largest, largest_timestamp());
  if (size_ == 0 || largest < timestamp) return found;
  MR_TRY(TimeIndex::Entry before, time_index_.last_before(timestamp));
  MR_TRY(std::uint64_t position, offset_index_.position_for(before.offset));
  MR_TRY_VOID(walk_indexed(position, [&](const BatchScanner::Item& item) {
    if (item.header.base_offset >= end.v) return true;
    if (item.header.records_count == 0) return false;  // emptied by compaction, which leaves it the time it had
    if (item.header.max_timestamp < timestamp || item.header.last_offset() < start) return false;
    found = item;
    return true;
  }));
  return found;
}

Result<std::optional<BatchScanner::Item>> Segment::locate_max_timestamp(Offset end, Offset start) {
  std::optional<BatchScanner::Item> best;
  if (size_ == 0) return best;
  // The newest time index entry below `end` names the largest timestamp up to its offset; what follows is looked at.
  MR_TRY(TimeIndex::Entry known, time_index_.last_below(end));
  MR_TRY(std::uint64_t position, offset_index_.position_for(std::max(known.offset, start)));
  bool emptied = false;
  auto look = [&](const BatchScanner::Item& item) {
    if (item.header.base_offset >= end.v) return true;
    if (item.header.last_offset() < start) return false;
    emptied = emptied || item.header.records_count == 0;
    if (item.header.records_count == 0) return false;
    if (!best || item.header.max_timestamp > best->header.max_timestamp) best = item;
    return false;
  };
  MR_TRY_VOID(walk_indexed(position, look));
  if (emptied && position > 0) {  // the batch that the entry names may have lost its records: then look before it
    best.reset();
    MR_TRY_VOID(walk(0, look));
  }
  return best;
}

Result<WallMillis> Segment::largest_timestamp() {
  if (!newest_) MR_TRY_VOID(load_newest_timestamp());
  return newest_->timestamp;
}

Result<std::optional<WallMillis>> Segment::first_timestamp() {
  if (size_ > 0 && !first_timestamp_) {
    MR_TRY(auto log, readable(BatchHeader::kBytes));
    BatchScanner scanner(*log, 0, size_, BatchScanner::Depth::headers, BatchHeader::kBytes);
    MR_TRY(auto first, scanner.next());
    first_timestamp_ = first->header.max_timestamp;
  }
  return size_ > 0 ? first_timestamp_ : std::nullopt;
}

bool Segment::index_full(std::uint64_t index_bytes_max) {
  return (offset_index_.file().entries() + 1) * OffsetIndex::kEntryBytes > index_bytes_max ||
         (time_index_.file().entries() + 1) * TimeIndex::kEntryBytes > index_bytes_max;
}

void Segment::add_damage(Damage more) {
  std::ranges::move(more, std::back_inserter(damage_));
  damage_ = normalized(std::move(damage_));
}

std::uint64_t Segment::checked_to(std::uint64_t position) const {
  std::uint64_t appended = appended_from_.value_or(size_);
  if (position < appended) position = checked_.covered_to(position);
  return position >= appended ? size_ : position;
}

void Segment::note_dropped(std::uint64_t from, std::uint64_t to) {
  checked_.remove(from, to);
  if (appended_from_) appended_from_ = std::max(*appended_from_, to);
}

void Segment::forget_checks() {
  if (read_since_) {
    checked_.add(appended_from_.value_or(old_size_), old_size_);
  } else {
    checked_.clear();
  }
  if (appended_from_) appended_from_ = std::max(*appended_from_, old_size_);
  old_size_ = size_;
  read_since_ = false;
}

void Segment::close_files() {
  if (cleaned_) return;
  if (waiting() == 0) tail_.reset();
  if (reserved_ > size_ && waiting() == 0) (void)file_->truncate(size_);
  reserved_ = 0;
  file_.reset();
  offset_index_.file().close_file();
  time_index_.file().close_file();
}

std::size_t Segment::memory_bytes() const {
  return sizeof *this + (tail_ ? sizeof *tail_ : 0) +
         (chain_ ? sizeof *chain_ + HeaderChain::kMarks * sizeof(SegmentSeal::Mark) : 0) +
         damage_.capacity() * sizeof(DamagedRange) + checked_.memory_bytes() + offset_index_.file().memory_bytes() +
         time_index_.file().memory_bytes();
}

Result<void> Segment::cut(std::uint64_t position) {
  MR_TRY(auto log, file());
  MR_TRY_VOID(log->truncate(position));
  size_ = position;
  has_rest_ = false;
  if (chain_ && chain_->bytes() != size_) {
    chain_.reset();
    chain_unknown_ = true;
  }
  return {};
}

}  // namespace mr::storage
