#include "replication/partition.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/log.h"
#include "model/validate_batch.h"
#include "runtime/shards.h"

namespace mr::replication {

namespace {
constexpr Duration kRetrySync = Millis(50);
constexpr Duration kRetrySyncAgain = Millis(500);
/// What the journal carries is synced in the own file in steps of this. All of it at once, when the journal's half is
/// full, would be a burst that commits wait behind: 45 ms at 10 MB/s (docs/performance.md).
constexpr std::uint64_t kOwnFileStepBytes = 1u << 20;
// Segments that a topic which does not sync may leave unsealed, each with three open files: a sync at every roll costs
// a third more CPU per byte where what is written is deleted, or would be written back later, anyway.
constexpr std::uint32_t kSealedTogether = 16;
/// How long flush() waits for a descriptor.
constexpr Duration kFlushPatience = std::chrono::seconds(2);
}  // namespace

void WatermarkWatcher::unwatch() {
  if (partition_ == nullptr) return;
  (previous_ ? previous_->next_ : partition_->first_watcher_) = next_;
  if (next_) next_->previous_ = previous_;
  partition_ = nullptr;
  previous_ = next_ = nullptr;
}

Partition::Partition(Env& env, TopicPartition name, TopicId id, std::unique_ptr<storage::Log> log, LeaderEpoch epoch,
                     PartitionConfig config, std::shared_ptr<GroupCommit> group)
    : env_(env),
      name_(std::move(name)),
      id_(id),
      log_(std::move(log)),
      epoch_(epoch),
      config_(config),
      group_(std::move(group)),
      high_watermark_(log_->durable_end()),  // recovery has synced the tail, so this is the log end
      own_file_end_(log_->log_end()),
      scope_(env.executor) {
  if (group_) group_->join(id_, name_.partition, *this);
}

Partition::~Partition() {
  MR_CHECK(!syncing_);
  leave_group(log_->synced_end() >= log_->durable_end());
  env_.executor.cancel_timer(flush_timer_);
  while (first_watcher_ != nullptr) first_watcher_->unwatch();
}

BatchRules Partition::rules(WallMillis now, AppendRules allowed) const {
  return {.batch_bytes_max = config_.batch_bytes_max,
          .compacted = config_.compacted,
          .zstd_allowed = allowed.zstd_allowed,
          .log_append_time = config_.log_append_time,
          .timestamp_before_max_ms = config_.timestamp_before_max_ms,
          .timestamp_after_max_ms = config_.timestamp_after_max_ms,
          .now = now,
          .inflated_bytes_max = allowed.inflated_bytes_max,
          .record_faults_max = allowed.record_faults_max};
}

std::expected<Appended, AppendFailure> Partition::append(MutableBytes batch, WallMillis now, AppendRules allowed) {
  return append_looked_into(batch, now, validate_batch(batch, rules(now, allowed)));
}

std::expected<Appended, AppendFailure> Partition::append_looked_into(MutableBytes batch, WallMillis now,
                                                                     std::expected<BatchFacts, BatchRefusal> facts,
                                                                     Acks acks) {
  if (!facts) return std::unexpected(AppendFailure{std::move(facts.error().error), std::move(facts.error().records)});
  if (facts->header.transactional())
    return std::unexpected(AppendFailure{Error(Errc::transactional_id_unsupported, "transactions are not served yet")});
  return append_checked(batch, facts->header, facts->max_timestamp, now, acks);
}

std::expected<Appended, AppendFailure> Partition::append_internal(MutableBytes batch, WallMillis now) {
  auto header = BatchHeader::parse(batch);
  if (!header.ok()) return std::unexpected(AppendFailure{header.error()});
  return append_checked(batch, *header, header->max_timestamp, now, Acks::all);
}

std::expected<Appended, AppendFailure> Partition::append_checked(MutableBytes batch, const BatchHeader& header,
                                                                 WallMillis max_timestamp, WallMillis now, Acks acks) {
  if (stopped_) return std::unexpected(AppendFailure{Errc::not_leader});
  if (failed_) return std::unexpected(AppendFailure{Errc::disk_failed});
  auto verdict = log_->check_sequence(header);
  if (!verdict.ok()) return std::unexpected(AppendFailure{verdict.error()});
  if (verdict->kind == storage::SequenceVerdict::Kind::duplicate) {
    env_.probe.hit("duplicate_batch");
    Appended repeat{.base_offset = verdict->duplicate_base_offset,
                    .end = Offset{verdict->duplicate_base_offset.v + header.last_offset_delta + 1},
                    .log_append_time = config_.log_append_time ? verdict->duplicate_timestamp : -1,
                    .log_start = log_->log_start(),
                    .duplicate = true};
    if (acks != Acks::all && log_->written_end() < repeat.end)
      if (auto written = log_->write_waiting(); !written.ok())
        return std::unexpected(AppendFailure{std::move(written).error()});
    return repeat;
  }
  // A repeat of what is stored takes no room.
  if (gate_ != nullptr && gate_->closed)
    return std::unexpected(AppendFailure{Error(Errc::disk_full, "the disk is below disk.reserve.bytes")});
  if (config_.log_append_time) {
    // Attributes and max timestamp are inside the CRC; record deltas are left alone (traps.md 49).
    auto attributes = static_cast<std::int16_t>(header.attributes | 0x08);
    store_be(batch.data() + BatchHeader::kAttributesAt, attributes);
    store_be(batch.data() + BatchHeader::kMaxTimestampAt, now);
    store_be(batch.data() + BatchHeader::kCrcAt, crc32c(ByteView(batch).subspan(BatchHeader::kAttributesAt)));
    max_timestamp = now;
  } else if (max_timestamp != header.max_timestamp) {
    // The client's word is not trusted (traps.md 51): look-ups by time and recovery go by what is stored.
    store_be(batch.data() + BatchHeader::kMaxTimestampAt, max_timestamp);
    store_be(batch.data() + BatchHeader::kCrcAt, crc32c(ByteView(batch).subspan(BatchHeader::kAttributesAt)));
  }
  auto stored = log_->append(batch, header, max_timestamp, epoch_, now, acks == Acks::all);
  if (!stored.ok()) {
    if (stored.code() == Errc::disk_failed) {
      failed_ = true;
      wake_all();
    }
    if (stored.code() == Errc::resource_exhausted) start_sealing();  // rolled segments may be what holds descriptors
    return std::unexpected(AppendFailure{stored.error()});
  }
  ++stats_.appended_batches;
  stats_.appended_records += static_cast<std::uint64_t>(header.records_count);
  stats_.appended_bytes += batch.size();
  if (!carry(stored->run, batch)) {
    const bool rolled = stored->run.position == 0;  // or the log's first batch, which does no harm
    if (rolled) {
      rolled_messages_ = unsynced_messages_;
      rolled_bytes_ = stats_.unsynced_bytes;
      ++rolled_segments_;
    }
    own_file_end_ = stored->next_offset;
    stats_.unsynced_bytes += batch.size();
    unsynced_messages_ += header.last_offset_delta + 1;
    after_append();
    if (rolled && rolled_segments_ >= kSealedTogether) start_sealing();
  }
  return Appended{.base_offset = stored->base_offset,
                  .end = stored->next_offset,
                  .log_append_time = config_.log_append_time ? now : -1,
                  .log_start = log_->log_start()};
}

/// True when the batch will be durable with the group's next block.
bool Partition::carry(const storage::JournalRun& run, ByteView batch) {
  if (!group_ || !config_.watermark_is_durable()) return false;
  if (log_->durable_end() < own_file_end_ || !log_->may_carry()) {
    group_->count_refusal(CommitStats::own_file_pending);
    return false;
  }
  if (!group_->carry(*this, run, batch)) return false;
  carried_bytes_ += batch.size();
  if (carried_bytes_ >= kOwnFileStepBytes && !syncing_ && !put_off_) start_sync();
  return true;
}

void Partition::on_carried(Offset begin, Offset end) {
  // What lies before it may have been refused meanwhile; then its own file carries all of it.
  if (failed_ || log_->durable_end() < begin) return;
  log_->mark_carried(end);
  advance_watermark();
}

void Partition::on_not_carried() {
  own_file_end_ = log_->log_end();
  start_sync();
}

void Partition::on_commit_failure(const Error&) {
  failed_ = true;
  wake_all();
}

CommitMember::Destaging Partition::destage(Offset end) {
  if (failed_) return Destaging::failed;
  if (stopped_) return Destaging::under_way;  // close_log() does it, or the data is deleted
  if (log_->synced_end() >= end) return Destaging::synced;
  if (!syncing_ && !put_off_) start_sync();
  return Destaging::under_way;
}

std::optional<storage::JournalRun> Partition::statement() const {
  if (!statement_ || statement_->segment < log_->recovery_point()) return std::nullopt;  // a snapshot knows more
  return statement_;
}

void Partition::leave_group(bool safe) {
  if (auto group = std::exchange(group_, nullptr)) group->leave(id_, name_.partition, *this, safe);
}

void Partition::forget_carried() {
  MR_CHECK(stopped_ && !syncing_);
  leave_group(true);
}

void Partition::after_append() {
  if (!config_.watermark_is_durable()) advance_watermark();
  if (unsynced_messages_ >= config_.flush_messages) {
    start_sync();
  } else {
    constexpr std::int64_t kNever = 100ll * 365 * 24 * 3600 * 1000;  // beyond it a deadline would overflow
    if (config_.flush_ms < kNever) arm_flush_timer(Millis(config_.flush_ms));
  }
}

void Partition::set_config(const PartitionConfig& config) {
  config_ = config;
  if (stopped_ || failed_) return;
  // Where an ack means page cache now, what waits in memory has to get there.
  if (!config_.watermark_is_durable() && log_->written_end() < log_->log_end()) start_sync();
  advance_watermark();
  if (unsynced_messages_ == 0 || put_off_) return;
  // The timer may have been set for a longer flush.ms.
  env_.executor.cancel_timer(flush_timer_);
  flush_timer_ = TimerId{};
  after_append();
}

void Partition::arm_flush_timer(Duration delay) {
  if (flush_timer_.v != 0) return;
  flush_timer_ = env_.executor.add_timer(env_.now() + delay, [this] {
    flush_timer_ = TimerId{};
    start_sync();
  });
}

void Partition::start_sync() {
  flush_wanted_ = true;
  start_sealing();
}

void Partition::start_sealing() {
  if (syncing_ || failed_) return;
  syncing_ = true;
  scope_.spawn("group commit", sync_rounds());
}

Task<void> Partition::sync_rounds() {
  // One round covers every append so far; what arrives while it runs goes into the next (group commit). As long as
  // nobody wants that, only what was rolled is synced: a policy that never syncs is obeyed for the active segment.
  for (;;) {
    bool all = std::exchange(flush_wanted_, false) || unsynced_messages_ >= config_.flush_messages;
    auto begun = all ? log_->begin_sync() : Result<std::optional<storage::SyncTicket>>(log_->begin_sealing());
    const bool held_up = !begun.ok() && !log_->failure();
    // No descriptor, or no room: what is appended waits, and so do its producers, until there is some.
    if (held_up) put_off(begun.error());
    if (held_up && begun.code() == Errc::disk_full) {
      // What was rolled can be sealed all the same; until it is, retention must not take it, which makes room.
      all = false;
      begun = log_->begin_sealing();
    }
    if (!begun.ok() || !*begun) {
      failed_ = failed_ || log_->failure().has_value();
      break;
    }
    std::optional<storage::SyncTicket>& ticket = *begun;
    rolled_segments_ = 0;
    if (all) carried_bytes_ = 0;
    const std::int64_t covered = all ? unsynced_messages_ : rolled_messages_;
    const std::uint64_t covered_bytes = all ? stats_.unsynced_bytes : rolled_bytes_;
    Result<void> outcome = co_await offload(env_, [&]() -> Result<void> {
      for (auto& file : ticket->files) MR_TRY_VOID(file->sync());
      return {};
    });
    log_->end_sync(*ticket, outcome);
    ++stats_.syncs;
    if (!outcome.ok() && !log_->failure()) {
      put_off(outcome.error());
      break;
    }
    if (!outcome.ok()) {
      ++stats_.sync_failures;
      failed_ = true;
      log_error("replication", "sync failed: the partition is offline until restart",
                {{"partition", name_.to_string()}, {"error", outcome.error().message()}});
      break;
    }
    if (!held_up) put_off_.reset();
    unsynced_messages_ -= covered;
    stats_.unsynced_bytes -= covered_bytes;
    rolled_messages_ -= std::min(rolled_messages_, covered);
    rolled_bytes_ -= std::min(rolled_bytes_, covered_bytes);
    if (ticket->run && group_) {
      statement_ = ticket->run;
      group_->synced(*ticket->run);
    }
    advance_watermark();
    sync_idle_.notify_all();  // rounds may follow each other for as long as somebody appends
    if (!flush_wanted_ && unsynced_messages_ < config_.flush_messages && rolled_segments_ < kSealedTogether) break;
  }
  syncing_ = false;
  if (failed_) wake_all();
  sync_idle_.notify_all();
  if (group_) group_->progress();
}

void Partition::put_off(Error why) {
  if (!put_off_)
    log_warn("replication", "group commit has to wait; trying again",
             {{"partition", name_.to_string()}, {"why", why.message()}});
  env_.executor.cancel_timer(std::exchange(flush_timer_, TimerId{}));  // flush.ms may be an hour
  arm_flush_timer(put_off_ ? kRetrySyncAgain : kRetrySync);
  put_off_ = std::move(why);
}

void Partition::advance_watermark() {
  Offset next = config_.watermark_is_durable() ? log_->durable_end() : log_->written_end();
  if (next <= high_watermark_) return;  // a policy made stricter must not take the watermark back
  high_watermark_ = next;
  wake_all();
}

void Partition::wake_all() {
  watermark_moved_.notify_all();
  // A watcher may unlink itself or its neighbours, so start again from the front: each call unlinks at least itself.
  while (first_watcher_ != nullptr) {
    WatermarkWatcher* watcher = first_watcher_;
    watcher->unwatch();
    watcher->on_watermark();
  }
}

Task<Result<void>> Partition::wait_committed(Offset end, TimePoint deadline) {
  while (high_watermark_ < end) {
    if (failed_) co_return Error(Errc::disk_failed, name_.to_string());
    if (stopped_) co_return Errc::not_leader;
    auto moved = co_await watermark_moved_.wait(deadline);
    if (!moved.ok()) co_return moved.code() == Errc::timed_out ? Errc::request_timed_out : moved.code();
  }
  co_return Result<void>{};
}

Result<void> Partition::check_leader_epoch(LeaderEpoch current) const {
  if (current == kNoLeaderEpoch || current == epoch_) return {};
  return current < epoch_ ? Errc::fenced_leader_epoch : Errc::unknown_leader_epoch;
}

Result<storage::ReadResult> Partition::read(Offset from, Offset end, std::uint64_t bytes_max, bool first_whole) {
  if (stopped_) return Errc::not_leader;
  if (from < log_->log_start() || from > log_->log_end()) return Error(Errc::offset_out_of_range, name_.to_string());
  if (from >= end) return storage::ReadResult{};
  return log_->read(from, end, bytes_max, first_whole);
}

Result<std::optional<storage::BatchRange>> Partition::range_to_check(const storage::Fragment& fragment,
                                                                     bool all) const {
  if (stopped_) return Errc::not_leader;
  return log_->range_to_check(fragment, all);
}

void Partition::note_check(const storage::SegmentRef& segment, const storage::BatchRange& range,
                           const Result<storage::BatchCheck>& outcome) {
  if (!stopped_) log_->note_check(segment, range, outcome);
}

std::size_t Partition::note_damage(const storage::SegmentRef& segment, storage::Damage damage) {
  return stopped_ ? 0 : log_->note_damage(segment, std::move(damage));
}

void Partition::watch(WatermarkWatcher& watcher) {
  MR_CHECK(!watcher.watching());
  watcher.partition_ = this;
  watcher.next_ = first_watcher_;
  if (first_watcher_) first_watcher_->previous_ = &watcher;
  first_watcher_ = &watcher;
}

Task<void> Partition::apply_retention(WallMillis now) {
  if (stopped_ || failed_) co_return;
  Offset start = log_->retention_start(now, high_watermark_);
  // Also when the start stays: segments that could not go last time may go now.
  Offset before = log_->log_start();
  auto moved = log_->advance_log_start(std::max(start, before));
  if (!moved.ok()) {
    log_warn("replication", "retention could not move the log start",
             {{"partition", name_.to_string()}, {"error", moved.error().message()}});
    co_return;
  }
  if (!log_->may_carry()) start_sync();  // a roll has to be durable before the segment behind it goes
  if (log_->log_start() == before) co_return;
  log_info("replication", "retention moved the log start", {{"partition", name_.to_string()}, {"log_start", start.v}});
}

Task<Result<Offset>> Partition::delete_records(Offset before) {
  constexpr Offset kWatermark{-1};
  if (failed_) co_return Error(Errc::disk_failed, name_.to_string());
  if (stopped_) co_return Errc::not_leader;
  if (config_.compacted && !log_->config().delete_old)
    co_return Error(Errc::policy_violation, name_.to_string() + ": cleanup.policy has no delete");
  if (before == kWatermark) before = high_watermark_;
  if (before < Offset{0} || before > high_watermark_) co_return Error(Errc::offset_out_of_range, name_.to_string());
  // With a weak flush policy the watermark may be ahead of the disk: a crash would take the log's end behind its start.
  MR_CO_TRY_VOID(co_await make_durable(before));
  if (failed_) co_return Error(Errc::disk_failed, name_.to_string());
  if (stopped_) co_return Errc::not_leader;
  Offset was = log_->log_start();
  MR_CO_TRY_VOID(log_->advance_log_start(std::max(before, was)));
  if (log_->log_start() > was)
    log_info("replication", "records were deleted on request",
             {{"partition", name_.to_string()}, {"log_start", log_->log_start().v}});
  co_return log_->log_start();
}

void Partition::rest_if_idle() {
  Offset before = std::exchange(end_at_last_rest_, log_->log_end());
  if (stopped_ || failed_ || before != end_at_last_rest_) return;
  if (log_->synced_end() < log_->log_end()) {
    start_sync();  // the descriptors go next time
  } else {
    log_->close_idle_files();
  }
}

Task<Result<void>> Partition::flush() { return make_durable(log_->log_end()); }

Task<Result<void>> Partition::make_durable(Offset end) {
  TimePoint give_up = env_.now() + kFlushPatience;
  while (log_->durable_end() < end) {
    if (failed_) co_return Error(Errc::disk_failed, name_.to_string());
    start_sync();
    auto wait = sync_idle_.wait();
    wait.set_cancellable(false);
    (void)co_await wait;
    if (flush_timer_.v == 0 || failed_) continue;
    if (put_off_ && env_.now() >= give_up) co_return *put_off_;
    auto retry = sleep_until(env_.now() + kRetrySync);
    retry.set_cancellable(false);
    (void)co_await retry;
  }
  co_return Result<void>{};
}

Task<void> Partition::stop() {
  stopped_ = true;
  env_.executor.cancel_timer(std::exchange(flush_timer_, TimerId{}));
  if (!failed_) (void)co_await flush();
  wake_all();
  while (background_ > 0) {
    auto ended = background_idle_.wait();
    ended.set_cancellable(false);
    (void)co_await ended;
  }
  co_await scope_.drained();
  env_.executor.cancel_timer(std::exchange(flush_timer_, TimerId{}));  // of a round that was put off
  if (group_) group_->disregard(*this);
}

bool Partition::begin_background() {
  if (stopping()) return false;
  ++background_;
  return true;
}

void Partition::end_background() {
  --background_;
  background_idle_.notify_all();
}

void Partition::fail() {
  failed_ = true;
  wake_all();
}

Task<Result<void>> Partition::close_log() {
  MR_CHECK(stopped_ && !syncing_);
  if (failed_) co_return Error(Errc::disk_failed, name_.to_string());
  Result<void> closed = co_await offload(env_, [this] { return log_->close(); });
  if (closed.ok()) leave_group(true);
  co_return closed;
}

}  // namespace mr::replication
