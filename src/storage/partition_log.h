#pragma once
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/epoch_table.h"
#include "storage/log.h"
#include "storage/page_cache_window.h"
#include "storage/producer_table.h"
#include "storage/recovery.h"
#include "storage/seal_task.h"
#include "storage/segment.h"

namespace mr::storage {

/// The Log. One file per concern: partition_log.cc (open, append, sync, close), partition_log_read.cc,
/// partition_log_check.cc, partition_log_retention.cc, partition_log_compaction.cc.
/// Not final, and made by its constructor and open_files(), for mutation tests that derive a log with a fault.
class PartitionLog : public Log {
 public:
  static Result<std::unique_ptr<PartitionLog>> open(FileSystem& files, OpenOptions options);

  Offset log_start() const override { return log_start_; }
  Offset log_end() const override { return log_end_; }
  Offset durable_end() const override { return durable_end_; }
  Offset synced_end() const override { return synced_end_; }
  Offset written_end() const override { return active().waiting() > 0 ? waiting_from_ : log_end_; }
  const std::optional<Error>& failure() const override { return failed_; }
  std::uint64_t bytes() const override { return bytes_; }
  std::size_t segments() const override { return segments_.size(); }

  Result<AppendResult> append(MutableBytes batch, const BatchHeader& header, WallMillis max_timestamp,
                              LeaderEpoch epoch, WallMillis now, bool may_wait = true) override;
  Result<void> write_waiting() override;
  Result<SequenceVerdict> check_sequence(const BatchHeader& header) const override { return producers_.check(header); }
  Result<std::optional<SyncTicket>> begin_sync() override;
  std::optional<SyncTicket> begin_sealing() override;
  void end_sync(const SyncTicket& ticket, const Result<void>& outcome) override;
  void mark_carried(Offset end) override;
  bool may_carry() const override { return !seals_ && !syncing_seals_; }

  Result<ReadResult> read(Offset from, Offset end, std::uint64_t bytes_max, bool first_whole) override;
  std::optional<BatchRange> range_to_check(const Fragment& fragment, bool all) const override;
  void note_check(const SegmentRef& segment, const BatchRange& range, const Result<BatchCheck>& outcome) override;
  std::size_t note_damage(const SegmentRef& segment, Damage damage) override;
  void forget_checks() override;
  void close_idle_files() override;
  Result<std::optional<TimestampHit>> find_timestamp(WallMillis timestamp, Offset end, Offset from) override;
  Result<std::optional<TimestampHit>> find_max_timestamp(Offset end) override;

  LeaderEpoch latest_epoch() const override { return epochs_.latest(); }
  LeaderEpoch earliest_epoch() const override { return epochs_.earliest(); }
  EpochEnd epoch_end(LeaderEpoch epoch) const override;
  Result<void> start_epoch(LeaderEpoch epoch) override;

  Offset retention_start(WallMillis now, Offset limit) override;
  Result<void> advance_log_start(Offset offset) override;
  std::vector<std::string> take_deleted_files() override { return std::exchange(deleted_files_, {}); }

  std::vector<SegmentFacts> sealed_segments(Offset limit) override;
  const LogPlace& place() const override { return place_; }
  const LogConfig& config() const override { return config_; }
  Offset cleaned_end() const override { return cleaned_end_; }
  void set_cleaned_end(Offset end) override { cleaned_end_ = end; }
  Offset lasting_cleaned_end() const override;
  Result<void> begin_replacement(Offset first, Offset end) override;
  bool replacing() const override { return replacement_.has_value(); }
  void replace_segments(CleanedGroup group) override;
  void end_replacement(const Result<void>& outcome) override;
  void leave_uncompacted(Offset base) override { uncompacted_.push_back(base); }

  Offset recovery_point() const override { return recovery_point_; }
  Result<void> close() override;
  void set_config(const LogConfig& config) override { config_ = config; }
  std::vector<ProducerInfo> producers() const override { return producers_.list(); }

  /// Segments that hold files open, for tests.
  std::size_t open_segments() const;
  /// Bytes of memory held, files and allocator overhead not counted.
  std::size_t memory_bytes() const;

 protected:
  PartitionLog(FileSystem& files, OpenOptions options);
  /// Once, before anything else.
  Result<void> open_files(const OpenOptions& options);

 private:
  /// Where the newest batches of the active segment start, so that tailing reads and watermark look-ups touch no file.
  struct RecentBatches {
    static constexpr std::size_t kKept = 64;
    struct Start {
      Offset base;
      std::uint64_t position = 0;
    };
    std::array<Start, kKept> starts;
    std::size_t count = 0;  ///< ever added since the segment began
    void add(Offset base, std::uint64_t position) { starts[count++ % kKept] = {base, position}; }
    /// Exact position of the batch that starts at `base`.
    std::optional<std::uint64_t> find(Offset base) const;
  };
  /// What one segment gives to a read.
  struct Slice {
    std::uint64_t position = 0;
    std::uint64_t length = 0;
    Offset first_base{-1};
    bool reaches_end = false;  ///< nothing of this segment below `end` is left behind
  };

  struct SegmentRange {
    Offset first, end;
  };

  /// Indexes [first, last) in segments_ of exactly these segments; empty when they are not all there.
  std::optional<std::pair<std::size_t, std::size_t>> find_range(const SegmentRange& range) const;
  /// Nothing but a loss makes holes in the offsets of this segment.
  bool dense(const Segment& segment) const {
    return config_.delete_old && !config_.compacted && !segment.compacted() && segment.base() >= cleaned_end_;
  }
  /// Compaction cannot read this segment, or found so.
  bool left_alone(const Segment& segment) const;
  Segment& active() { return *segments_.back(); }
  const Segment& active() const { return *segments_.back(); }
  bool must_roll(const BatchHeader& header, WallMillis max_timestamp, WallMillis& first);
  Result<void> roll();
  void begin_round(SyncTicket& ticket);
  std::shared_ptr<File> reserve_blocks();
  Error fail(Error error);
  JournalRun note_run(ByteView batch, const BatchHeader& stored, std::uint64_t position);
  void note_use(Segment& segment);

  /// Index in segments_ of the segment that holds or would hold `offset`.
  std::size_t segment_for(Offset offset) const;
  Offset segment_end(std::size_t index) const;
  Result<Slice> slice(std::size_t index, Offset from, Offset end, std::uint64_t bytes_max, bool first_whole);
  /// Position in segment `index` up to which all batches start below `end`; looks no further than `limit`.
  Result<std::uint64_t> position_of_end(std::size_t index, Offset end, std::uint64_t from_position,
                                        std::uint64_t limit);
  Result<TimestampHit> load_hit(Segment& segment, const BatchScanner::Item& item);
  Result<void> give_up_segment(Segment& segment);
  /// Everything below `end` of `segment` may leave the page cache once it is old.
  void note_written(Offset segment, std::uint64_t end, bool synced);
  /// What has left the page cache is no longer known to be good, so that reads of it leave the shard.
  void forget_dropped();
  /// Null when retention or compaction has taken it.
  Segment* find_segment(const SegmentRef& ref);

  LogPlace place_;
  TopicPartition partition_;
  TopicId topic_;
  LogConfig config_;
  std::vector<std::unique_ptr<Segment>> segments_;  ///< by base offset; the last is the active one; never empty
  EpochTable epochs_;
  ProducerTable producers_;
  std::unique_ptr<RecentBatches> recent_;  ///< made at the first append: idle partitions stay small
  Offset log_start_{0};
  Offset log_end_{0};
  Offset durable_end_{0};
  Offset synced_end_{0};
  Offset waiting_from_{0};  ///< the first that waits in the active segment's tail, when something does
  JournalRun run_;          ///< what we have appended to the active segment; empty before the first append to it
  Offset recovery_point_{0};
  Offset snapshot_{0};  ///< a producer snapshot says that all below is in its own files: recovery looks no further down
  std::uint64_t bytes_ = 0;
  std::shared_ptr<SealTask> seals_;          ///< waits for the next round
  std::shared_ptr<SealTask> syncing_seals_;  ///< in the running round
  bool sync_running_ = false;
  std::uint64_t epochs_version_ = 0;  ///< of epochs_ in memory
  std::uint64_t epochs_written_ = 0;  ///< the version on disk
  std::optional<std::uint64_t> syncing_epochs_;
  std::shared_ptr<EpochTask> epoch_task_;  ///< of the running round
  bool changed_ = false;                   ///< since open: close() has something to write
  bool closed_ = false;
  std::optional<Error> failed_;
  /// Sealed segments that have open files, oldest use first.
  std::vector<Segment*> open_sealed_;
  std::vector<std::string> deleted_files_;
  Offset cleaned_end_{0};
  std::vector<Offset> uncompacted_;          ///< bases of segments that compaction could not read
  std::optional<SegmentRange> replacement_;  ///< being replaced: stays as it is
  Segment* unnamed_ = nullptr;               ///< replaced already, its files have no final names yet
  std::shared_ptr<WrittenTail> written_;     ///< null: the page cache is the kernel's
  WaitingTails* tails_;                      ///< null: everything is written at once
};

}  // namespace mr::storage
