#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/duration_counts.h"
#include "model/ids.h"
#include "model/validate_batch.h"
#include "replication/group_commit.h"
#include "runtime/env.h"
#include "runtime/scope.h"
#include "runtime/wait.h"
#include "storage/log.h"

namespace mr::replication {

/// Topic settings the replica itself obeys, already parsed.
struct PartitionConfig {
  std::int64_t flush_messages = 1;           ///< flush.messages; 1: the watermark counts synced bytes only
  std::int64_t flush_ms = INT64_MAX;         ///< flush.ms
  std::int32_t batch_bytes_max = 1'048'588;  ///< max.message.bytes
  std::int32_t in_sync_min = 1;              ///< min.insync.replicas; the broker, who knows the ISR, obeys it
  std::optional<Codec> stored_as = {};       ///< compression.type; none there: as sent
  int stored_level = 0;                      ///< of that codec, as compress() takes it
  bool compacted = false;                    ///< cleanup.policy has "compact": records need keys
  bool log_append_time = false;              ///< message.timestamp.type=LogAppendTime
  std::int64_t timestamp_before_max_ms = INT64_MAX;
  std::int64_t timestamp_after_max_ms = 3'600'000;

  /// Design decision 1: with the default policy nobody sees a record that a power cut could take back.
  bool watermark_is_durable() const { return flush_messages == 1; }
};

enum class Acks : std::int8_t { none = 0, leader = 1, all = -1 };

/// Why one batch was refused, with the records at fault where there are any (Produce v8 RecordErrors).
struct AppendFailure {
  Error error;
  std::vector<RecordFault> records = {};
  Offset log_start{-1};  ///< when the partition was there
};

/// What the request that brings a batch allows.
struct AppendRules {
  bool zstd_allowed = true;
  std::size_t record_faults_max = 100;                   ///< see BatchRules
  std::uint64_t inflated_bytes_max = kInflatedBytesMax;  ///< likewise
};

struct Appended {
  Offset base_offset{-1};
  /// The answer to acks=all waits until the watermark has reached this.
  Offset end{-1};
  WallMillis log_append_time = -1;
  Offset log_start{0};
  /// A repeat of an idempotent batch: nothing was written; the answer still waits for `end`.
  bool duplicate = false;
};

/// Tells somebody that a partition's watermark moved (or that it closed). Intrusive; on the partition's shard.
class WatermarkWatcher {
 public:
  WatermarkWatcher() = default;
  WatermarkWatcher(const WatermarkWatcher&) = delete;
  WatermarkWatcher& operator=(const WatermarkWatcher&) = delete;
  virtual ~WatermarkWatcher() { unwatch(); }
  void unwatch();
  bool watching() const { return partition_ != nullptr; }
  /// May unwatch() itself and others; must not destroy the partition.
  virtual void on_watermark() = 0;

 private:
  friend class Partition;
  class Partition* partition_ = nullptr;
  WatermarkWatcher* previous_ = nullptr;
  WatermarkWatcher* next_ = nullptr;
};

/// Of queue_produce_duration_seconds.
inline constexpr DurationBounds<6> kProduceBounds{
    {1'000'000, 5'000'000, 10'000'000, 25'000'000, 50'000'000, 100'000'000}};

struct PartitionStats {
  std::uint64_t syncs = 0;  ///< of its own files
  std::uint64_t sync_failures = 0;
  std::uint64_t appended_batches = 0;
  std::uint64_t appended_records = 0;
  std::uint64_t appended_bytes = 0;
  std::uint64_t unsynced_bytes = 0;                  ///< gauge: wait for a sync of its own file
  DurationCounts<kProduceBounds> produce_durations;  ///< from the arrival of a client's batch to its commit
};

/// Whether a log directory takes appends: one for all partitions that a shard has there. On that shard.
struct AppendGate {
  bool closed = false;  ///< the disk is below its reserve
};

/// One replica of one partition; on one node always the leader and the whole ISR.
/// Shard: home shard of the partition. Life: made by the broker around an open log; stop() before destruction.
/// With a GroupCommit small batches become durable through the commit journal and their own file is synced later.
/// Order: log_start <= high_watermark <= log_end; high_watermark <= durable_end unless the flush policy is weaker.
class Partition final : public CommitMember {
 public:
  Partition(Env& env, TopicPartition name, TopicId id, std::unique_ptr<storage::Log> log, LeaderEpoch epoch,
            PartitionConfig config, std::shared_ptr<GroupCommit> group = nullptr);
  Partition(const Partition&) = delete;
  ~Partition();

  const TopicPartition& name() const { return name_; }
  TopicId topic_id() const { return id_; }
  LeaderEpoch leader_epoch() const { return epoch_; }
  Offset log_start() const { return log_->log_start(); }
  Offset log_end() const { return log_->log_end(); }
  Offset high_watermark() const { return high_watermark_; }
  /// End of what has no open transaction before it; the watermark until transactions come.
  Offset last_stable_offset() const { return high_watermark_; }
  storage::Log& log() { return *log_; }
  const storage::Log& log() const { return *log_; }
  const PartitionConfig& config() const { return config_; }
  /// Holds for the next append. A weaker flush policy may move the watermark at once; a stricter one syncs at once what
  /// is behind, and the watermark never goes back.
  void set_config(const PartitionConfig& config);
  const PartitionStats& stats() const { return stats_; }
  /// What a client sent at `received` may be answered.
  void note_produced(TimePoint received) { stats_.produce_durations.add(env_.now() - received); }

  /// Validates and appends one batch as a client sent it; patches offset and epoch (and, for LogAppendTime, time and
  /// CRC) in place. `batch` must stay until return only. Schedules the sync that the flush policy asks for.
  /// Errors: invalid_required_acks aside, everything of traps.md 45-54 plus disk_full, disk_failed, not_leader.
  std::expected<Appended, AppendFailure> append(MutableBytes batch, WallMillis now, AppendRules allowed = {});
  /// The two halves of append(), for batches that take long to look into: what validate_batch() is to be asked, and the
  /// rest with its answer. What the topic allows may have changed in between; it was as allowed when it came.
  BatchRules rules(WallMillis now, AppendRules allowed) const;
  std::expected<Appended, AppendFailure> append_looked_into(MutableBytes batch, WallMillis now,
                                                            std::expected<BatchFacts, BatchRefusal> facts,
                                                            Acks acks = Acks::all);
  /// For coordinators and markers: the batch is ours, so it may be a control batch.
  std::expected<Appended, AppendFailure> append_internal(MutableBytes batch, WallMillis now);

  /// Waits until the watermark has reached `end`. Errors: request_timed_out, not_leader (closed or a newer epoch),
  /// disk_failed, cancelled.
  Task<Result<void>> wait_committed(Offset end, TimePoint deadline);

  /// Checks CurrentLeaderEpoch of a request (traps.md 64): -1 is no check. Errors: fenced_leader_epoch,
  /// unknown_leader_epoch.
  Result<void> check_leader_epoch(LeaderEpoch current) const;

  /// Reads below `end` (the watermark or the last stable offset). See Log::read.
  Result<storage::ReadResult> read(Offset from, Offset end, std::uint64_t bytes_max, bool first_whole);

  // For whoever checks what was read: see Log. Errors: not_leader (closed meanwhile).
  Result<std::optional<storage::BatchRange>> range_to_check(const storage::Fragment& fragment, bool all) const;
  void note_check(const storage::SegmentRef& segment, const storage::BatchRange& range,
                  const Result<storage::BatchCheck>& outcome);
  std::size_t note_damage(const storage::SegmentRef& segment, storage::Damage damage);

  void watch(WatermarkWatcher& watcher);

  /// While `gate` is closed appends answer disk_full; it outlives this.
  void set_gate(const AppendGate& gate) { gate_ = &gate; }

  /// Moves the log start up to `before`, or to the watermark when that is -1; brings where it is then. It survives a
  /// crash once the caller has noted it in the log-start checkpoint. Errors: offset_out_of_range (beyond the watermark,
  /// below -1), policy_violation (the topic is compacted and never deletes), not_leader, disk_failed,
  /// resource_exhausted.
  Task<Result<Offset>> delete_records(Offset before);
  /// One look at retention: moves the log start and deletes what fell off. Called by the broker's timer.
  Task<void> apply_retention(WallMillis now);
  /// Called every few minutes: when nothing was appended since the call before, what is left to sync is synced, and
  /// then all descriptors are given back.
  void rest_if_idle();
  /// Makes durable what is appended, whatever the policy; for a clean stop and flush.ms. Errors: disk_failed;
  /// resource_exhausted when no descriptor comes free within seconds.
  Task<Result<void>> flush();
  /// Refuses new work, wakes all waiters with not_leader, waits for a running sync. The log stays open.
  Task<void> stop();
  /// Something is about to work on the log's files beside appends and reads: stop() waits until it has ended. False:
  /// the partition has stopped or failed already.
  bool begin_background();
  void end_background();
  /// What works in the background should end.
  bool stopping() const { return stopped_ || failed_; }
  /// Its log directory has failed: from now on it answers disk_failed; stop() follows.
  void fail();
  /// After stop(): syncs, writes snapshots and closes the log (pool). Errors: disk_failed.
  Task<Result<void>> close_log();
  /// After stop(): its data is about to be deleted, so the commit journal need not keep any of it.
  void forget_carried();

  // For the group commit.
  void on_carried(Offset begin, Offset end) override;
  void on_not_carried() override;
  void on_commit_failure(const Error& why) override;
  Destaging destage(Offset end) override;
  std::optional<storage::JournalRun> statement() const override;

 private:
  friend class WatermarkWatcher;
  std::expected<Appended, AppendFailure> append_checked(MutableBytes batch, const BatchHeader& header,
                                                        WallMillis max_timestamp, WallMillis now, Acks acks);
  bool carry(const storage::JournalRun& run, ByteView batch);
  void after_append();
  /// A round that covers every append so far.
  void start_sync();
  /// What was rolled is made durable, whatever the policy: until then its files stay open.
  void start_sealing();
  Task<Result<void>> make_durable(Offset end);
  Task<void> sync_rounds();
  /// The round could not be finished for want of descriptors: once more, soon.
  void put_off(Error why);
  void advance_watermark();
  void leave_group(bool safe);
  /// Everybody who waits looks again.
  void wake_all();
  void arm_flush_timer(Duration delay);

  Env& env_;
  TopicPartition name_;
  TopicId id_;
  std::unique_ptr<storage::Log> log_;
  LeaderEpoch epoch_;
  PartitionConfig config_;
  std::shared_ptr<GroupCommit> group_;  ///< null: every append is synced in its own file
  Offset high_watermark_;
  Offset own_file_end_;  ///< what is not durable below this waits for its own file; above it was handed to the group
  std::optional<storage::JournalRun> statement_;  ///< the last one made
  bool stopped_ = false;
  bool failed_ = false;  ///< a sync failed: disk_failed for ever
  bool syncing_ = false;
  bool flush_wanted_ = false;
  std::uint32_t background_ = 0;  ///< between begin_background() and end_background()
  /// What waits for a sync of its own file, and the part of it that lies below the active segment.
  std::int64_t unsynced_messages_ = 0, rolled_messages_ = 0;
  std::uint64_t rolled_bytes_ = 0;
  std::uint32_t rolled_segments_ = 0;  ///< since the last round began
  std::uint64_t carried_bytes_ = 0;    ///< by the journal, since the last round of the own files began
  TimerId flush_timer_{};
  Offset end_at_last_rest_{-1};
  std::optional<Error> put_off_;  ///< why the last round did not end
  WatermarkWatcher* first_watcher_ = nullptr;
  PartitionStats stats_;
  const AppendGate* gate_ = nullptr;
  Event watermark_moved_;
  Event sync_idle_;
  Event background_idle_;
  Scope scope_;
};

}  // namespace mr::replication
