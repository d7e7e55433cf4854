#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/batch_header.h"
#include "model/ids.h"
#include "runtime/env.h"
#include "storage/batch_check.h"
#include "storage/compaction_plan.h"
#include "storage/journal_format.h"

namespace mr::storage {

/// Topic settings the log itself obeys (names: Kafka's topic configs). May be replaced while the log is open.
struct LogConfig {
  std::uint64_t segment_bytes = 64u << 20;           ///< segment.bytes; Kafka's default is 1 GiB (docs/differences.md)
  std::int64_t segment_ms = 7ll * 24 * 3600 * 1000;  ///< segment.ms
  std::uint64_t index_interval_bytes = 4096;         ///< index.interval.bytes
  std::uint64_t segment_index_bytes = 10u << 20;     ///< segment.index.bytes
  std::int64_t retention_bytes = -1;                 ///< retention.bytes; -1 no limit
  std::int64_t retention_ms = 7ll * 24 * 3600 * 1000;  ///< retention.ms; -1 no limit
  std::int64_t producer_expiration_ms = 86'400'000;    ///< producer.id.expiration.ms
  bool delete_old = true;                              ///< cleanup.policy has "delete"
  bool compacted = false;                              ///< cleanup.policy has "compact"
  bool synced_late = false;  ///< flush.messages is above 1: what was appended may leave the page cache unsynced
  CompactionConfig compaction;
};

struct CleanedGroup;
class PageCacheWindow;
class WaitingTails;
struct LogPlace;

/// Keeps the bytes of one read alive; gives them back to the home shard when destroyed (any shard may destroy it).
/// A pinned segment is neither recycled nor truncated; its file stays open after deletion.
class Pin {
 public:
  virtual ~Pin() = default;
};

/// One segment of a log: compaction may put another one in its place, whose positions mean something else.
struct SegmentRef {
  Offset base{-1};
  std::uint32_t life = 0;
};

/// Part of a read: memory or a range of a file. Exactly one of the two.
struct Fragment {
  ByteView memory;
  File* file = nullptr;
  std::uint64_t position = 0;
  std::uint64_t length = 0;
  SegmentRef segment;         ///< whose file it is
  std::uint64_t checked = 0;  ///< so many of the bytes this process has lately written or checked
};

struct ReadResult {
  std::vector<Fragment> fragments;  ///< whole batches as stored; the last may be cut by the byte limit
  std::uint64_t bytes = 0;
  std::unique_ptr<Pin> pin;
  Offset first_batch_base{-1};  ///< base offset of the first batch returned; -1 when empty
  bool unchecked = false;       ///< of some fragment not every byte is `checked`
};

/// One producer's recent batches in one partition (traps.md 54): enough to tell a repeat from a gap.
struct ProducerBatch {
  std::int32_t base_sequence = -1;
  std::int32_t last_sequence = -1;
  Offset last_offset;
  std::int32_t offset_delta = 0;
  WallMillis timestamp = -1;
};

/// Answer of the sequence check for a batch of an idempotent producer.
struct SequenceVerdict {
  enum class Kind { fresh, duplicate } kind = Kind::fresh;
  Offset duplicate_base_offset{-1};  ///< where the repeat was stored the first time
  WallMillis duplicate_timestamp = -1;
};

struct AppendResult {
  Offset base_offset;
  Offset next_offset;  ///< log end offset after this append
  JournalRun run;      ///< the batch alone, as the commit journal names it
};

/// What the commit journal of the last, unclean life knows of one partition. Runs are in the order they were written.
struct CommitEvidence {
  struct Carried {
    JournalRun run;
    std::vector<std::byte> frames;
  };
  std::vector<JournalRun> durable;
  std::vector<Carried> carried;

  /// Everything below was acknowledged, or could have been: bad bytes below are corruption, not a torn tail.
  Offset end() const;
};

/// What one round must sync, taken on the home shard, synced anywhere, handed back on the home shard.
struct SyncTicket {
  Offset end;                                ///< everything below is in its own file when all files have synced
  std::vector<std::shared_ptr<File>> files;  ///< normally the active segment; more right after a roll
  /// What the round makes true of the active segment, for the commit journal: everything this Log has appended to it,
  /// up to `end`. Earlier statements about the segment say less. Empty when the round has nothing of it.
  std::optional<JournalRun> run;
};

/// What openings found and did, for metrics. Each damage is an event, too.
struct RecoveryCounts {
  std::uint64_t damaged_ranges = 0;  ///< below the evidence: their offsets answer corrupt_batch
  std::uint64_t damaged_files = 0;   ///< missing, foreign, or small ones that do not read and were made again
  std::uint64_t starts_moved = 0;    ///< logs that begin above their noted start: retention, or a file is missing
  std::uint64_t tails_cut = 0;
  std::uint64_t bytes_cut = 0;
  std::uint64_t segments_dropped = 0;
  std::uint64_t batches_put_back = 0;   ///< that only the commit journal had
  std::uint64_t runs_not_put_back = 0;  ///< carried ones in whose place something else stands

  RecoveryCounts& operator+=(const RecoveryCounts& other);
};

/// The log of one partition: segments, sparse indexes, epoch table, producer state. File formats are Kafka's.
/// Home shard only, unless a function says "pool". Functions without "pool" never block longer than a page-cache write
/// or read. After a disk_failed error the log answers disk_failed for ever.
class Log {
 public:
  struct OpenOptions {
    std::string directory;  ///< LOGDIR/topic-partition; made when missing
    TopicPartition partition;
    TopicId topic_id;  ///< compared with partition.metadata, which is written when missing
    LogConfig config;
    bool clean_stop = false;   ///< the data directory's clean-stop marker was there: trust segments and checkpoints
    Offset recovery_point{0};  ///< from the recovery-point checkpoint; kept for Kafka's tools: recovery goes by the
                               ///< evidence in the directory itself (recovery.h)
    Offset log_start{0};       ///< from the log-start checkpoint
    Offset cleaned_end{0};     ///< from the cleaner checkpoint
    WallMillis now = 0;
    CommitEvidence evidence;            ///< empty after a clean stop
    PageCacheWindow* window = nullptr;  ///< is told what was written; null: all of it is the kernel's
    WaitingTails* tails = nullptr;      ///< where small batches wait to be written together; null: none waits
    RecoveryCounts* counts = nullptr;   ///< what this opening finds is added here, when it succeeds
  };
  /// Pool. Opens or creates; recovers after a crash: scans from the recovery point, cuts a torn tail, rebuilds indexes
  /// and producer state, syncs the recovered tail. On return log end == durable end == synced end.
  /// Damage below the evidence is no error: see recovery.h. Errors: inconsistent_topic_id, newer_format, disk_failed,
  /// disk_full.
  static Result<std::unique_ptr<Log>> open(FileSystem& files, OpenOptions options);
  virtual ~Log() = default;

  // Offsets. All ends are exclusive.
  virtual Offset log_start() const = 0;
  virtual Offset log_end() const = 0;
  /// Everything below survives a crash: it is in its own file, or carried by the commit journal. <= log_end().
  virtual Offset durable_end() const = 0;
  /// Everything below is safe in its own files. <= durable_end().
  virtual Offset synced_end() const = 0;
  /// Everything below is in its own file, synced or not; what is above waits in memory to be written with others, which
  /// happens only while `synced_late` is off. <= log_end().
  virtual Offset written_end() const = 0;
  /// Set once the log has failed for good: every later call answers with it.
  virtual const std::optional<Error>& failure() const = 0;
  virtual std::uint64_t bytes() const = 0;  ///< of all segment files
  virtual std::size_t segments() const = 0;

  /// Appends one validated batch with patch_batch() applied to `batch` (base offset = log_end(), given epoch). Rolls
  /// first when the active segment is full by bytes, age, index or 2^31 relative offsets. `max_timestamp` is the
  /// validated largest record timestamp. On return readers on this shard see it; it survives a crash only once
  /// durable_end() has passed it. Updates producer state and the epoch table. `may_wait`: nobody is answered before it
  /// is durable, so the page cache need not have it; else it survives the process's end from the return on.
  /// Errors: disk_full (nothing was appended), disk_failed.
  virtual Result<AppendResult> append(MutableBytes batch, const BatchHeader& header, WallMillis max_timestamp,
                                      LeaderEpoch epoch, WallMillis now, bool may_wait = true) = 0;

  /// What waits goes to its file, so that everything up to log_end() survives the process's end. Errors: disk_full,
  /// resource_exhausted (try again), disk_failed.
  virtual Result<void> write_waiting() = 0;

  /// Traps.md 54: same epoch and first and last sequence as one of the last five: duplicate. Errors:
  /// out_of_order_sequence, invalid_producer_epoch. Batches without producer id are always fresh.
  virtual Result<SequenceVerdict> check_sequence(const BatchHeader& header) const = 0;

  // The commit seam: appended, durable and synced end are different things (design decision 1). At most one round at a
  // time: begin, sync each file of the ticket on the pool, end.
  /// Empty when everything appended is synced already. Errors: resource_exhausted (no descriptor for a file), disk_full
  /// (what waited in memory could not be written): try again later; disk_failed.
  virtual Result<std::optional<SyncTicket>> begin_sync() = 0;
  /// A round for what rolling has left alone: everything but the active segment, so that the files of the sealed ones
  /// can be closed. Empty when that is nothing, or when the log has failed.
  virtual std::optional<SyncTicket> begin_sealing() = 0;
  /// `outcome` of the syncs. On success synced_end() becomes ticket.end and durable_end() at least that.
  /// resource_exhausted (a file beside the log could not be opened) changes nothing: begin again later. Any other
  /// failure is final: disk_failed from then on.
  virtual void end_sync(const SyncTicket& ticket, const Result<void>& outcome) = 0;
  /// The commit journal has made everything below `end` durable; its own files may follow. `end` <= log_end(), and
  /// what lies between durable_end() and `end` was appended while may_carry().
  virtual void mark_carried(Offset end) = 0;
  /// False while a roll waits for its round: the journal must not speak of a segment whose name is not durable.
  virtual bool may_carry() const = 0;

  /// Whole batches from the one that contains `from` up to batches that start at or after `end` (exclusive; the
  /// caller passes the high watermark or last stable offset) and at most `bytes_max`, except that with
  /// `first_whole` the first batch comes whole however large it is. Empty when from == end.
  /// Errors: offset_out_of_range (below log start, above log end), corrupt_batch, disk_failed.
  virtual Result<ReadResult> read(Offset from, Offset end, std::uint64_t bytes_max, bool first_whole) = 0;

  // Checking what was read (design section 5 rule 4). What this process appended it has checked; of the rest the log
  // remembers, within bounds, what was checked lately.
  /// What to look at before `fragment` of a read is believed: from its first unchecked batch on, or `all`.
  /// Empty when retention or compaction took the segment since.
  virtual std::optional<BatchRange> range_to_check(const Fragment& fragment, bool all) const = 0;
  /// Hands back what check_batches() said of `range` in `segment`, which may be gone. Good bytes are remembered for a
  /// while. A disk_failed is final.
  virtual void note_check(const SegmentRef& segment, const BatchRange& range, const Result<BatchCheck>& outcome) = 0;
  /// Hands back what survey_damage() found in `segment`: reads of those offsets answer corrupt_batch from now on. What
  /// was not known is told as an event. Returns how many ranges that were.
  virtual std::size_t note_damage(const SegmentRef& segment, Damage damage) = 0;
  /// Called every few minutes: what was not read since the call before is no longer known to be good (it may have left
  /// the page cache).
  virtual void forget_checks() = 0;
  /// Gives back all descriptors when everything is synced and no round is under way; they come back with use.
  virtual void close_idle_files() = 0;

  /// First batch whose largest timestamp is at or after `timestamp`, that ends at `from` or above and lies below `end`:
  /// the caller looks for the exact record inside (traps.md 72), and goes on behind it when there is none. Empty when
  /// none.
  struct TimestampHit {
    std::vector<std::byte> batch;  ///< the whole batch
    BatchHeader header;
  };
  virtual Result<std::optional<TimestampHit>> find_timestamp(WallMillis timestamp, Offset end,
                                                             Offset from = Offset{0}) = 0;
  /// The batch with the largest timestamp below `end` (ListOffsets -3); empty log: none.
  virtual Result<std::optional<TimestampHit>> find_max_timestamp(Offset end) = 0;

  // Leader epochs (checkpoint file "leader-epoch-checkpoint").
  virtual LeaderEpoch latest_epoch() const = 0;
  /// Epoch of the first readable record; of the log's next one when it is empty. (ListOffsets earliest)
  virtual LeaderEpoch earliest_epoch() const = 0;
  /// End offset of the largest epoch <= `epoch`, and that epoch; {-1, -1} when nothing is known. (traps.md 74)
  struct EpochEnd {
    LeaderEpoch epoch{-1};
    Offset end{-1};
  };
  virtual EpochEnd epoch_end(LeaderEpoch epoch) const = 0;
  /// Notes that `epoch` starts at log_end(); call before the first append of an epoch. The line goes to disk with the
  /// group commit that makes the epoch's first batch durable: an epoch in which nothing was appended leaves nothing to
  /// remember here (the metastore counts epochs), and starting thousands of partitions costs no sync.
  virtual Result<void> start_epoch(LeaderEpoch epoch) = 0;

  // Retention. Plain decisions on the shard, deletion on the pool.
  /// Offset the log could start at after deleting whole sealed segments by size and time (never the active one unless
  /// it is old: then it rolls first), never above `limit` (the high watermark). == log_start() when nothing to do.
  virtual Offset retention_start(WallMillis now, Offset limit) = 0;
  /// Moves log_start() up to `offset` at once (readers below get offset_out_of_range) and gives the segments that lie
  /// wholly below it up for deletion.
  virtual Result<void> advance_log_start(Offset offset) = 0;
  /// Files given up (renamed with the suffix ".deleted", still readable through pins), for the caller to delete on the
  /// pool after file.delete.delay.ms; first sync the log's directory, so that a crash brings no older segment back.
  virtual std::vector<std::string> take_deleted_files() = 0;

  // Compaction (compactor.h). Decisions and the swap on the shard, reading and writing on the pool.
  /// The sealed segments that lie below `limit` (the last stable offset) and below a producer snapshot, which says that
  /// they are durable in their own files: neither recovery nor the commit journal asks for more of them. Timestamps are
  /// looked up only for what lies above cleaned_end(), and only those that the config asks for.
  virtual std::vector<SegmentFacts> sealed_segments(Offset limit) = 0;
  /// Where its files are; lives as long as the log.
  virtual const LogPlace& place() const = 0;
  virtual const LogConfig& config() const = 0;
  /// Below it every key has one record left. A hint that may be lost: then compaction looks at more.
  virtual Offset cleaned_end() const = 0;
  virtual void set_cleaned_end(Offset end) = 0;
  /// What of it may outlive this Log, for the cleaner checkpoint: up to the first segment that compaction leaves alone.
  /// Should that one read in a later life, it has older values of keys that were deleted above: both go into the map.
  virtual Offset lasting_cleaned_end() const = 0;
  /// The segments from the one at `first` up to `end` are about to be replaced: until end_replacement() none is given
  /// up, and sealed_segments() has none. Errors: conflict (they are not all there any more), disk_failed.
  virtual Result<void> begin_replacement(Offset first, Offset end) = 0;
  virtual bool replacing() const = 0;
  /// From here on reads see the new segment; pins keep the old files.
  virtual void replace_segments(CleanedGroup group) = 0;
  /// The new files have their names, or nothing came of it. An error is final: disk_failed from then on.
  virtual void end_replacement(const Result<void>& outcome) = 0;
  /// Compaction shall leave the segment at `base` alone: it does not read.
  virtual void leave_uncompacted(Offset base) = 0;

  // Checkpoints and closing.
  /// Offset below which recovery need not look: synced and segment-complete.
  virtual Offset recovery_point() const = 0;
  /// Pool. Everything appended is synced, indexes trimmed, producer snapshot written; for a clean stop.
  virtual Result<void> close() = 0;
  virtual void set_config(const LogConfig& config) = 0;
  /// Active producers, for DescribeProducers and tests: producer id, epoch, last sequence.
  struct ProducerInfo {
    ProducerId id;
    ProducerEpoch epoch;
    std::vector<ProducerBatch> batches;
  };
  virtual std::vector<ProducerInfo> producers() const = 0;
};

}  // namespace mr::storage
