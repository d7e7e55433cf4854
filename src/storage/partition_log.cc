#include "storage/partition_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "storage/partition_metadata.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {

namespace {
/// Heals: nothing was written that counts, and another try may go well.
bool harmless(const Error& error) { return error == Errc::disk_full || error == Errc::resource_exhausted; }
}  // namespace

RecoveryCounts& RecoveryCounts::operator+=(const RecoveryCounts& other) {
  damaged_ranges += other.damaged_ranges;
  damaged_files += other.damaged_files;
  starts_moved += other.starts_moved;
  tails_cut += other.tails_cut;
  bytes_cut += other.bytes_cut;
  segments_dropped += other.segments_dropped;
  batches_put_back += other.batches_put_back;
  runs_not_put_back += other.runs_not_put_back;
  return *this;
}

Result<std::unique_ptr<Log>> Log::open(FileSystem& files, OpenOptions options) {
  MR_TRY(std::unique_ptr<PartitionLog> log, PartitionLog::open(files, std::move(options)));
  return std::unique_ptr<Log>(std::move(log));
}

PartitionLog::PartitionLog(FileSystem& files, OpenOptions options)
    : place_{files, std::move(options.directory)},
      partition_(std::move(options.partition)),
      topic_(options.topic_id),
      config_(options.config),
      tails_(options.tails) {}

Result<std::unique_ptr<PartitionLog>> PartitionLog::open(FileSystem& files, OpenOptions options) {
  std::unique_ptr<PartitionLog> log(new PartitionLog(files, options));
  MR_TRY_VOID(log->open_files(options));
  return log;
}

Result<void> PartitionLog::open_files(const OpenOptions& options) {
  MR_TRY(RecoveredLog found, recover_log(place_, options));
  if (options.counts) *options.counts += found.counts;
  segments_ = std::move(found.segments);
  epochs_ = std::move(found.epochs);
  producers_ = std::move(found.producers);
  log_start_ = segments_.front()->base();
  log_end_ = durable_end_ = synced_end_ = found.log_end;
  recovery_point_ = active().base();
  snapshot_ = found.snapshot;
  for (const auto& segment : segments_) bytes_ += segment->size();
  cleaned_end_ = options.cleaned_end;
  if (options.window)
    written_ =
        std::make_shared<WrittenTail>(*options.window, place_, WrittenTail::Position{active().base(), active().size()});
  return advance_log_start(std::max(found.log_start, log_start_));
}

std::optional<std::uint64_t> PartitionLog::RecentBatches::find(Offset base) const {
  // The ring is ordered by base: search [count - kept, count).
  std::size_t low = count > kKept ? count - kKept : 0, high = count;
  while (low < high) {
    std::size_t middle = low + (high - low) / 2;
    if (starts[middle % kKept].base < base) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == count || starts[low % kKept].base != base) return std::nullopt;
  return starts[low % kKept].position;
}

Error PartitionLog::fail(Error error) {
  if (!failed_) {
    log_error("storage", "log failed for good", {{"directory", place_.directory}, {"error", error.message()}});
    failed_ = Error(Errc::disk_failed, fmt::format("{}: {}", place_.directory, error.message()));
  }
  return *failed_;
}

/// Kafka's rules: by bytes, by the distance of this batch's timestamp to the first batch's, by full indexes, by offsets
/// that no longer fit in 31 bits.
bool PartitionLog::must_roll(const BatchHeader& header, WallMillis max_timestamp, WallMillis& first) {
  Segment& segment = active();
  if (segment.size() == 0) return false;
  std::uint64_t bytes_max = std::min(config_.segment_bytes, Segment::kBytesMax);
  if (segment.size() + header.total_bytes() > bytes_max) return true;
  if (log_end_.v + header.last_offset_delta - segment.base().v > INT32_MAX) return true;
  if (max_timestamp >= 0 && first >= 0 && max_timestamp - first > config_.segment_ms) return true;
  return segment.index_full(config_.segment_index_bytes);
}

Result<void> PartitionLog::roll() {
  changed_ = true;
  MR_TRY(auto synced, active().seal());
  MR_TRY(auto next, Segment::create(place_, log_end_));
  if (!seals_) seals_ = std::make_shared<SealTask>(place_);
  seals_->add(std::move(synced), active().seal_facts(log_end_), log_end_, producers_.encode_snapshot());
  note_use(active());
  segments_.push_back(std::move(next));
  if (recent_) recent_->count = 0;
  run_ = {};
  log_debug("storage", "segment rolled", {{"partition", partition_.to_string()}, {"base", log_end_.v}});
  return {};
}

Result<AppendResult> PartitionLog::append(MutableBytes batch, const BatchHeader& header, WallMillis max_timestamp,
                                          LeaderEpoch epoch, WallMillis now, bool may_wait) {
  MR_CHECK(batch.size() == header.total_bytes() && batch.size() <= Segment::kBytesMax);
  MR_CHECK(epoch >= epochs_.latest());
  MR_CHECK(!closed_);
  if (failed_) return *failed_;
  auto first = active().first_timestamp();
  // A damaged first batch costs the roll by time, not the log.
  if (!first.ok() && first.code() == Errc::corrupt_batch) first = std::optional<WallMillis>();
  if (!first.ok()) return harmless(first.error()) ? first.error() : fail(std::move(first).error());
  WallMillis first_timestamp = first->value_or(-1);
  if (must_roll(header, max_timestamp, first_timestamp)) {
    Result<void> rolled = roll();
    if (!rolled.ok()) return harmless(rolled.error()) ? rolled.error() : fail(std::move(rolled).error());
  }
  if (!recent_) recent_ = std::make_unique<RecentBatches>();

  patch_batch(batch, log_end_, epoch);
  BatchHeader stored = header;
  stored.base_offset = log_end_.v;
  stored.leader_epoch = epoch.v;
  stored.max_timestamp = max_timestamp;
  std::uint64_t position = active().size();
  // Where an ack means page cache nothing may wait in the process.
  WaitingTails* tails = may_wait && !config_.synced_late ? tails_ : nullptr;
  Result<void> written = active().append(batch, stored, max_timestamp, config_.index_interval_bytes, tails);
  if (!written.ok()) return harmless(written.error()) ? written.error() : fail(std::move(written).error());

  changed_ = true;
  if (active().waiting() == batch.size()) waiting_from_ = log_end_;
  recent_->add(log_end_, position);
  bytes_ += batch.size();
  AppendResult result{log_end_, stored.next_offset(), note_run(batch, stored, position)};
  if (epochs_.assign(epoch, log_end_)) ++epochs_version_;
  producers_.note(stored, now);
  log_end_ = result.next_offset;
  if (written_ && config_.synced_late) note_written(active().base(), active().size(), false);
  return result;
}

Result<void> PartitionLog::write_waiting() {
  if (failed_) return *failed_;
  auto file = active().file();
  if (file.ok()) return {};
  return harmless(file.error()) ? file.error() : fail(std::move(file).error());
}

void PartitionLog::note_written(Offset segment, std::uint64_t end, bool synced) {
  std::size_t i = segments_.size() - 1;
  while (i > 0 && segments_[i - 1]->base() >= written_->segment()) --i;
  for (; segments_[i]->base() < segment; ++i)
    written_->advance({segments_[i]->base(), segments_[i]->size()}, true, synced);
  written_->advance({segment, end}, false, synced);
}

/// The batch as a run of its own; run_ grows by it.
JournalRun PartitionLog::note_run(ByteView batch, const BatchHeader& stored, std::uint64_t position) {
  ByteView header = batch.first(BatchHeader::kBytes);
  JournalRun one{.topic = topic_,
                 .partition = partition_.partition,
                 .segment = active().base(),
                 .position = position,
                 .bytes = static_cast<std::uint32_t>(batch.size()),
                 .base = Offset{stored.base_offset},
                 .next = stored.next_offset(),
                 .epoch = LeaderEpoch{stored.leader_epoch},
                 .headers_crc = crc32c(header)};
  if (run_.bytes == 0) {
    run_ = one;
    return one;
  }
  MR_CHECK(run_.segment == one.segment && run_.end() == one.position);
  run_.bytes += one.bytes;
  run_.next = one.next;
  run_.epoch = one.epoch;
  run_.headers_crc = crc32c(header, run_.headers_crc);
  return one;
}

void PartitionLog::mark_carried(Offset end) {
  MR_CHECK(end <= log_end_);
  if (!failed_) durable_end_ = std::max(durable_end_, end);
}

/// An eighth of what the log has, so that they never are the bulk of a disk, and at most 8 MiB: 32 MiB gain no more
/// (docs/performance.md).
std::shared_ptr<File> PartitionLog::reserve_blocks() {
  constexpr std::uint64_t kLeast = 256_KiB, kMost = 8_MiB;
  const std::uint64_t share = bytes_ / 8;
  return active().reserve(share < kLeast ? 0 : std::min(share, kMost),
                          std::min(config_.segment_bytes, Segment::kBytesMax));
}

Result<std::optional<SyncTicket>> PartitionLog::begin_sync() {
  MR_CHECK(!sync_running_);
  if (failed_) return *failed_;
  if (log_end_ == synced_end_ && !seals_) return std::optional<SyncTicket>();
  SyncTicket ticket{.end = log_end_};
  // The active segment holds whatever is not synced, unless the seal covers it all.
  if (log_end_ > std::max(synced_end_, active().base())) {
    auto file = active().file();
    if (!file.ok()) return harmless(file.error()) ? file.error() : fail(std::move(file).error());
    if (auto task = reserve_blocks()) ticket.files.push_back(std::move(task));
    ticket.files.push_back(std::move(*file));
    ticket.run = run_;
  }
  begin_round(ticket);
  return std::optional(std::move(ticket));
}

std::optional<SyncTicket> PartitionLog::begin_sealing() {
  MR_CHECK(!sync_running_);
  if (failed_ || !seals_) return std::nullopt;
  SyncTicket ticket{.end = seals_->next_base()};
  begin_round(ticket);
  return ticket;
}

/// What lies beside the active segment.
void PartitionLog::begin_round(SyncTicket& ticket) {
  if (epochs_version_ != epochs_written_) {
    syncing_epochs_ = epochs_version_;
    epoch_task_ = std::make_shared<EpochTask>(place_, epochs_.encode());
    ticket.files.push_back(epoch_task_);
  }
  if (seals_) {
    seals_->after(epoch_task_);
    syncing_seals_ = std::exchange(seals_, nullptr);
    ticket.files.push_back(syncing_seals_);
  }
  sync_running_ = true;
}

void PartitionLog::end_sync(const SyncTicket& ticket, const Result<void>& outcome) {
  MR_CHECK(sync_running_);
  sync_running_ = false;
  std::shared_ptr<SealTask> sealed = std::exchange(syncing_seals_, nullptr);
  std::optional<std::uint64_t> epochs = std::exchange(syncing_epochs_, std::nullopt);
  auto epoch_task = std::exchange(epoch_task_, nullptr);
  if (!outcome.ok() && outcome.code() == Errc::resource_exhausted) {
    // A failed sync says disk_failed: this was a file beside the log that could not be opened.
    if (sealed && seals_) sealed->add_all(*seals_);
    if (sealed) seals_ = std::move(sealed);
    return;
  }
  if (!outcome.ok()) {
    (void)fail(outcome.error());
    return;
  }
  if (failed_) return;
  synced_end_ = ticket.end;
  durable_end_ = std::max(durable_end_, ticket.end);
  if (sealed) recovery_point_ = sealed->next_base();
  if (sealed && sealed->newest_snapshot()) snapshot_ = *sealed->newest_snapshot();
  if (epochs && !epoch_task->put_off()) epochs_written_ = *epochs;
  if (written_ && ticket.run) note_written(ticket.run->segment, ticket.run->end(), true);
}

Log::EpochEnd PartitionLog::epoch_end(LeaderEpoch epoch) const {
  EpochTable::End end = epochs_.end_of(epoch, log_end_);
  return {end.epoch, end.end};
}

Result<void> PartitionLog::start_epoch(LeaderEpoch epoch) {
  if (failed_) return *failed_;
  if (epochs_.assign(epoch, log_end_)) ++epochs_version_;
  return {};
}

Result<void> PartitionLog::close() {
  if (closed_) return {};
  MR_CHECK(!sync_running_);
  if (failed_) return *failed_;
  auto all = [&]() -> Result<void> {
    if (!changed_) return {};  // thousands of idle partitions stop at once
    if (epochs_version_ != epochs_written_) {
      EpochTask epochs(place_, epochs_.encode());
      MR_TRY_VOID(epochs.sync());
      if (epochs.put_off()) return Error(Errc::disk_full, place_.directory);
    }
    epochs_written_ = epochs_version_;
    if (seals_) MR_TRY_VOID(seals_->sync());
    seals_.reset();
    MR_TRY(auto synced, active().seal());
    for (auto& file : synced) MR_TRY_VOID(file->sync());
    if (auto facts = active().seal_facts(log_end_)) MR_TRY_VOID(write_seal(place_.files, place_.directory, *facts));
    // Written in place: one that may be the only one is left alone.
    if (snapshot_ != log_end_)
      MR_TRY_VOID(write_snapshot(place_.files, place_.directory, log_end_, producers_.encode_snapshot()));
    return place_.files.sync_directory(place_.directory);
  };
  Result<void> outcome = all();
  if (!outcome.ok()) return harmless(outcome.error()) ? outcome : Result<void>(fail(std::move(outcome).error()));
  synced_end_ = durable_end_ = recovery_point_ = log_end_;
  for (auto& segment : segments_) segment->close_files();
  open_sealed_.clear();
  closed_ = true;
  return {};
}

void PartitionLog::close_idle_files() {
  // A file that is not synced stays open: whoever opened it again might not hear that writing it back has failed.
  if (closed_ || failed_ || sync_running_ || seals_ || replacement_ || synced_end_ < log_end_) return;
  for (auto& segment : segments_) segment->close_files();
  open_sealed_.clear();
}

std::size_t PartitionLog::open_segments() const {
  return static_cast<std::size_t>(std::ranges::count_if(segments_, [](const auto& s) { return s->has_open_files(); }));
}

std::size_t PartitionLog::memory_bytes() const {
  std::size_t bytes = sizeof *this + (recent_ ? sizeof *recent_ : 0) + place_.directory.capacity();
  if (written_) bytes += sizeof *written_ + written_->place().directory.capacity();
  for (const auto& segment : segments_) bytes += segment->memory_bytes();
  return bytes + producers_.size() * 320 + epochs_.lines().capacity() * sizeof(EpochTable::Line);
}

}  // namespace mr::storage
