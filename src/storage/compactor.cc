#include "storage/compactor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

constexpr std::string_view kReplacedSuffixes[] = {kOffsetIndexSuffix, kTimeIndexSuffix, kSealSuffix, kLogSuffix};

}  // namespace

/// Whole batches of one segment file, each checked, and all together compared with the seal.
class Compactor::Source {
 public:
  Source(std::unique_ptr<File> file, std::optional<SegmentSeal> seal, const SegmentFacts& facts,
         std::size_t buffer_bytes)
      : file_(std::move(file)),
        seal_(std::move(seal)),
        next_offset_(facts.base),
        end_offset_(facts.end),
        end_(facts.bytes),
        buffer_bytes_(buffer_bytes) {}

  /// Empty at the end; the view is good until the next call. What is bad is read again from the device before it
  /// counts.
  Result<std::optional<BatchView>> next() {
    if (position_ >= end_) {
      if (seal_ && chain_.bytes() < seal_->bytes) return bad("shorter than its seal says");
      return std::optional<BatchView>();
    }
    auto batch = look();
    if (!batch.ok() && batch.code() == Errc::corrupt_batch) {
      file_->drop_cache();
      buffer_.clear();
      batch = look();
      if (batch.ok()) ++healed_;
    }
    if (!batch.ok()) return std::move(batch).error();
    position_ += batch->header.total_bytes();
    next_offset_ = batch->header.next_offset();
    if (seal_ && chain_.bytes() < seal_->bytes) {
      chain_.add(batch->bytes.first(BatchHeader::kBytes), position_);
      if (position_ >= seal_->bytes && (position_ != seal_->bytes || chain_.crc() != seal_->crc))
        return bad("the headers up to here are not those that were sealed");
    }
    return *batch;
  }
  bool at_end() const { return position_ >= end_; }
  std::uint64_t take_bytes_read() { return std::exchange(bytes_read_, 0); }
  std::uint64_t take_healed() { return std::exchange(healed_, 0); }

 private:
  Error bad(std::string_view why) const {
    return Error(Errc::corrupt_batch, fmt::format("at position {}: {}", position_, why));
  }
  /// The batch at position_.
  Result<BatchView> look() {
    MR_TRY(ByteView fixed, bytes(BatchHeader::kBytes));
    auto header = BatchHeader::parse(fixed);
    if (!header.ok()) return bad(header.error().detail());
    if (header->total_bytes() > end_ - position_) return bad("the batch reaches beyond the end");
    MR_TRY(ByteView whole, bytes(header->total_bytes()));
    if (!batch_crc_matches(whole)) return bad("checksum");
    if (header->base_offset < next_offset_.v || header->base_offset > end_offset_.v - 1 - header->last_offset_delta)
      return bad(fmt::format("offset {} is out of place", header->base_offset));
    return BatchView{*header, whole};
  }
  /// [position_, position_ + wanted) of the file.
  Result<ByteView> bytes(std::size_t wanted) {
    if (position_ < buffer_at_ || position_ + wanted > buffer_at_ + buffer_.size()) {
      buffer_.resize(std::min<std::uint64_t>(std::max(wanted, buffer_bytes_), end_ - position_));
      buffer_at_ = position_;
      auto got = file_->read_at(buffer_, position_);
      if (!got.ok()) {
        buffer_.clear();
        return std::move(got).error();
      }
      buffer_.resize(*got);
      bytes_read_ += *got;
    }
    std::size_t skip = position_ - buffer_at_;
    if (buffer_.size() - skip < wanted) return bad("the file ends inside the batch");
    return ByteView(buffer_).subspan(skip, wanted);
  }

  std::unique_ptr<File> file_;
  std::optional<SegmentSeal> seal_;  ///< checksums do not cover base offsets and epochs
  HeaderChain chain_;                ///< as far as the seal reaches
  Offset next_offset_, end_offset_;
  std::uint64_t position_ = 0;
  std::uint64_t end_;
  std::size_t buffer_bytes_;
  std::vector<std::byte> buffer_;
  std::uint64_t buffer_at_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t healed_ = 0;
};

Compactor::Compactor(const LogPlace& place, CompactionJob job)
    : place_(place),
      job_(std::move(job)),
      map_(job_.map_bytes_max, job_.seed),
      map_end_(job_.dirtiness.cleanable_end) {}

Compactor::~Compactor() = default;

Result<Compactor::State> Compactor::step() {
  Result<State> state = mapping_ ? step_map() : step_write();
  if (source_) counts_.bytes_read += source_->take_bytes_read();
  if (!state.ok() && state.code() == Errc::corrupt_batch) {
    bad_ = job_.sealed[at_].base;
    return in_file(segment_path(place_.directory, *bad_, kLogSuffix), std::move(state).error());
  }
  return state;
}

/// Opens segment at_ and hands out its next batch; empty at its end, where it moves on to the next segment.
Result<std::optional<BatchView>> Compactor::next_batch() {
  const SegmentFacts& facts = job_.sealed[at_];
  if (!source_) {
    MR_TRY(auto file, place_.files.open(segment_path(place_.directory, facts.base, kLogSuffix), OpenMode::read));
    auto seal = read_seal(place_.files, place_.directory, facts.base);
    if (!seal.ok() && seal.code() != Errc::corrupt_data) return std::move(seal).error();
    bool says_something = seal.ok() && *seal && (*seal)->batches > 0;
    source_ = std::make_unique<Source>(std::move(file), says_something ? std::move(*seal) : std::nullopt, facts,
                                       job_.buffer_bytes);
  }
  MR_TRY(auto batch, source_->next());
  counts_.healed += source_->take_healed();
  std::uint64_t bytes = source_->take_bytes_read();
  counts_.bytes_read += bytes;
  step_bytes_ += bytes;
  if (!batch) {
    source_.reset();
    ++at_;
  }
  return batch;
}

Result<Compactor::State> Compactor::step_map() {
  step_bytes_ = 0;
  while (step_bytes_ < job_.buffer_bytes) {
    while (at_ < job_.sealed.size() &&
           (job_.sealed[at_].end <= job_.dirtiness.first_dirty || !job_.sealed[at_].readable))
      ++at_;
    if (at_ == job_.sealed.size() || job_.sealed[at_].base >= job_.dirtiness.cleanable_end) return plan_groups();
    MR_TRY(auto batch, next_batch());
    if (!batch || batch->header.last_offset() < job_.dirtiness.first_dirty) continue;
    MR_TRY(bool all, cleaner_.for_each_keyed(*batch, [&](const Record& record) {
      Offset offset{batch->header.base_offset + record.offset_delta};
      if (offset < job_.dirtiness.first_dirty || map_.put(*record.key, offset)) return true;
      map_end_ = offset;
      return false;
    }));
    if (!all) return plan_groups();
  }
  return State::working;
}

Result<Compactor::State> Compactor::plan_groups() {
  mapping_ = false;
  source_.reset();
  MR_TRY(auto entries, place_.files.list(place_.directory));
  for (const DirEntry& entry : entries) {
    // Of a pass that could not remove it. It would speak against the groups above.
    if (entry.name.ends_with(kCleanedSuffix) && parse_base_offset(entry.name))
      MR_TRY_VOID(place_.files.remove(place_.directory + "/" + entry.name));
    auto name = parse_segment_file_name(entry.name);
    if (!name || name->deleted || name->suffix != kTransactionIndexSuffix) continue;
    for (SegmentFacts& facts : job_.sealed)
      if (facts.base == name->base) facts.mergeable = false;
  }
  groups_ = group_segments(job_.sealed, map_end_, job_.limits);
  return State::working;
}

Result<Compactor::State> Compactor::step_write() {
  step_bytes_ = 0;
  while (step_bytes_ < job_.buffer_bytes) {
    if (group_ == groups_.size()) return State::done;
    const SegmentGroup& group = groups_[group_];
    if (!output_) {
      at_ = group.first;
      changed_ = group.count > 1;
      MR_TRY(output_, Segment::create_cleaned(place_, job_.sealed[at_].base));
      chain_ = {};
    }
    if (at_ == group.first + group.count) return end_group();
    bool last_segment = at_ + 1 == group.first + group.count;
    MR_TRY(auto batch, next_batch());
    if (!batch) continue;
    MR_TRY_VOID(clean_batch(*batch, last_segment && source_->at_end()));
    if (buffer_.size() >= job_.buffer_bytes) MR_TRY_VOID(write_out());
  }
  return State::working;
}

Result<void> Compactor::clean_batch(const BatchView& batch, bool last_of_group) {
  bool of_producer = batch.header.has_producer() && job_.producer_ends.contains(batch.header.last_offset());
  std::size_t at = buffer_.size();
  MR_TRY(BatchCleaner::Fate fate, cleaner_.clean(batch, rules(), last_of_group || of_producer, buffer_));
  if (fate != BatchCleaner::Fate::as_it_is) changed_ = true;
  if (fate == BatchCleaner::Fate::dropped) return {};
  if (fate == BatchCleaner::Fate::as_it_is) buffer_.insert(buffer_.end(), batch.bytes.begin(), batch.bytes.end());
  MR_TRY(BatchHeader written, BatchHeader::parse(ByteView(buffer_).subspan(at)));
  pending_.push_back(written);
  return {};
}

CleanRules Compactor::rules() const {
  bool gap_below = std::ranges::any_of(job_.sealed.begin(), job_.sealed.begin() + static_cast<std::ptrdiff_t>(at_),
                                       [](const SegmentFacts& facts) { return !facts.readable; });
  return {map_, map_end_, job_.now, job_.config.delete_retention_ms, gap_below};
}

Result<void> Compactor::write_out() {
  if (buffer_.empty()) return {};
  if (output_->size() + buffer_.size() > Segment::kBytesMax)
    return Error(Errc::too_large, output_->log_path() + ": compaction made it grow beyond 2 GiB");
  MR_TRY(auto file, output_->file());
  MR_TRY_VOID(file->write_at(ByteView(buffer_), output_->size()));
  std::size_t at = 0;
  for (const BatchHeader& header : pending_) {
    MR_TRY_VOID(output_->note(header, header.max_timestamp, output_->size(), job_.index_interval_bytes));
    chain_.add(ByteView(buffer_).subspan(at, BatchHeader::kBytes), output_->size());
    at += header.total_bytes();
    output_end_ = header.next_offset();
  }
  counts_.bytes_written += buffer_.size();
  step_bytes_ += buffer_.size();
  buffer_.clear();
  pending_.clear();
  return {};
}

Result<Compactor::State> Compactor::end_group() {
  MR_TRY_VOID(write_out());
  if (!changed_) {
    MR_TRY_VOID(remove_output());  // what stays behind would speak against the groups above
    ++group_;
    return State::working;
  }
  MR_TRY(auto files, output_->seal());
  for (auto& file : files) MR_TRY_VOID(file->sync());
  MR_TRY_VOID(write_cleaned_seal());
  MR_TRY_VOID(place_.files.sync_directory(place_.directory));
  return State::group_ready;
}

Result<void> Compactor::write_cleaned_seal() {
  SegmentSeal seal = chain_.seal(output_->base(), output_end_);
  seal.compacted = true;
  std::string path = segment_path(place_.directory, seal.base, kSealSuffix) + std::string(kCleanedSuffix);
  MR_TRY(auto file, place_.files.open(path, OpenMode::create));
  MR_TRY_VOID(file->truncate(0));
  MR_TRY_VOID(file->write_at(seal.encode(), 0));
  return file->sync();
}

CleanedGroup Compactor::take_group() {
  MR_CHECK(output_ && group_ < groups_.size());
  const SegmentGroup& group = groups_[group_++];
  return {job_.sealed[group.first].base, job_.sealed[group.first + group.count - 1].end, std::move(output_)};
}

Result<void> Compactor::remove_output() {
  buffer_.clear();
  pending_.clear();
  if (!output_) return {};
  Offset base = output_->base();
  output_.reset();
  Result<void> outcome;
  for (std::string_view suffix : kReplacedSuffixes) {
    auto removed = place_.files.remove(segment_path(place_.directory, base, suffix) + std::string(kCleanedSuffix));
    if (!removed.ok() && removed.code() != Errc::not_found) outcome = std::move(removed);
  }
  return outcome;
}

CompactionCounts Compactor::counts() const {
  CompactionCounts counts = counts_;
  counts.records_in = cleaner_.counts().records_in;
  counts.records_out = cleaner_.counts().records_out;
  return counts;
}

Result<void> SegmentReplacement::rename_all(std::string_view from, std::string_view to) {
  for (std::string_view suffix : kReplacedSuffixes) {  // the log last
    std::string path = segment_path(place_.directory, first_, suffix);
    auto renamed = place_.files.rename(path + std::string(from), path + std::string(to));
    if (!renamed.ok() && renamed.code() != Errc::not_found) return renamed;
  }
  return {};
}

Result<void> SegmentReplacement::publish() {
  MR_TRY_VOID(rename_all(kCleanedSuffix, kSwapSuffix));
  return place_.files.sync_directory(place_.directory);
}

Result<void> SegmentReplacement::withdraw() {
  for (std::string_view suffix : kReplacedSuffixes) {
    for (std::string_view stage : {kCleanedSuffix, kSwapSuffix}) {
      auto removed = place_.files.remove(segment_path(place_.directory, first_, suffix) + std::string(stage));
      if (!removed.ok() && removed.code() != Errc::not_found) return removed;
    }
  }
  return place_.files.sync_directory(place_.directory);
}

/// All files of the old segments, also those that other rooms of this directory know (seals). Snapshots are evidence:
/// the one at the base stays, the others go once there is a newer one. The transaction index stays, unmerged.
Result<void> SegmentReplacement::give_up_old() {
  MR_TRY(auto entries, place_.files.list(place_.directory));
  bool newer_snapshot = std::ranges::any_of(entries, [&](const DirEntry& entry) {
    auto name = parse_segment_file_name(entry.name);
    return name && !name->deleted && name->suffix == kSnapshotSuffix && name->base >= end_;
  });
  for (const DirEntry& entry : entries) {
    auto base = parse_base_offset(entry.name);
    if (!base || *base < first_ || *base >= end_) continue;
    if (entry.name.ends_with(kDeletedSuffix) || entry.name.ends_with(kSwapSuffix)) continue;
    if (entry.name.ends_with(kSnapshotSuffix) && (*base == first_ || !newer_snapshot)) continue;
    if (entry.name.ends_with(kTransactionIndexSuffix) && *base == first_) continue;
    std::string path = place_.directory + "/" + entry.name;
    MR_TRY_VOID(place_.files.rename(path, path + std::string(kDeletedSuffix)));
    deleted_.push_back(path + std::string(kDeletedSuffix));
  }
  MR_TRY_VOID(place_.files.sync_directory(place_.directory));
  old_given_up_ = true;
  return {};
}

Result<void> SegmentReplacement::finish() {
  if (!old_given_up_) MR_TRY_VOID(give_up_old());
  MR_TRY_VOID(rename_all(kSwapSuffix, ""));
  return place_.files.sync_directory(place_.directory);
}

}  // namespace mr::storage
