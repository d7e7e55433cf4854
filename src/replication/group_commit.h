#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "model/ids.h"
#include "runtime/env.h"
#include "runtime/scope.h"
#include "runtime/wait.h"
#include "storage/commit_journal.h"

namespace mr::replication {

/// What the group commit knows of a partition. Calls may come from within any call of GroupCommit that says so; all on
/// the shard.
class CommitMember {
 public:
  /// The batches from `begin` to `end` are on disk in the journal.
  virtual void on_carried(Offset begin, Offset end) = 0;
  /// Nothing that was handed over and not yet carried will be: its own file has to be synced.
  virtual void on_not_carried() = 0;
  /// The journal has failed for good, and the data directory with it.
  virtual void on_commit_failure(const Error& why) = 0;

  enum class Destaging : std::uint8_t { synced, under_way, failed };
  /// Its own files are to be synced up to `end`, soon; GroupCommit::progress() tells of every step.
  virtual Destaging destage(Offset end) = 0;
  /// What is known to be synced in the active segment, when no producer snapshot says it as well.
  virtual std::optional<storage::JournalRun> statement() const = 0;

 protected:
  ~CommitMember() = default;

 private:
  friend class GroupCommit;
  static constexpr std::size_t kNowhere = SIZE_MAX;
  std::size_t part_ = kNowhere;  ///< ours in the block that is being filled
};

struct CommitStats {
  enum Refusal : std::uint8_t {
    too_large,         ///< the batch costs less in its own file
    own_file_pending,  ///< earlier batches of the partition wait for a sync of their own file
    no_room,  ///< the block is full, or the journal is: the other half is not destaged yet, or the disk is full
  };
  static constexpr std::size_t kRefusals = 3;

  std::uint64_t blocks = 0;  ///< written
  std::uint64_t syncs = 0;
  std::uint64_t sync_nanoseconds = 0;  ///< from hand-over to the pool to the answer, of blocks that were synced
  std::uint64_t carried_batches = 0;
  std::uint64_t carried_bytes = 0;
  std::uint64_t statements = 0;
  std::uint64_t destages = 0;       ///< halves whose bytes have reached their own files
  std::uint64_t waiting_bytes = 0;  ///< gauge: handed over, on disk neither in the journal nor elsewhere
  std::array<std::uint64_t, kRefusals> refused{};

  CommitStats& operator+=(const CommitStats& other);
};

/// Makes small appends of many partitions durable with one sync (docs/decisions/commit-journal.md): one per shard and
/// data directory. One block is on its way at a time; what comes meanwhile is the next one.
/// Shard: the one it is made on. Life: members join() and leave(); stop() before destruction.
class GroupCommit {
 public:
  struct Options {
    std::size_t carry_bytes_max = 16u << 10;  ///< larger batches go to their own file (docs/performance.md)
    /// Called once when the journal has failed for good, for whatever reason: its log directory is to fail with it.
    std::function<void(const Error&)> on_failure = {};
  };
  GroupCommit(Env& env, std::unique_ptr<storage::CommitJournal> journal, Options options);
  GroupCommit(const GroupCommit&) = delete;
  ~GroupCommit();

  /// `member` stays until leave().
  void join(TopicId topic, PartitionIndex partition, CommitMember& member);
  /// Nothing more is told to `member` of what it has handed over; it may still be asked to destage.
  void disregard(CommitMember& member);
  /// The end of a membership. `safe`: all that was carried is synced in its own files, or deleted on purpose;
  /// otherwise the journal keeps it for the next start and is not used any more.
  void leave(TopicId topic, PartitionIndex partition, CommitMember& member, bool safe);

  /// Copies a batch that lies in the page cache of its own file, right behind what is durable or already handed over.
  /// on_carried() follows, or on_not_carried(), or on_commit_failure(). False: not taken, sync its own file.
  [[nodiscard]] bool carry(CommitMember& member, const storage::JournalRun& run, ByteView batch);
  void count_refusal(CommitStats::Refusal why) { ++stats_.refused[why]; }
  /// `run` is synced in its own file. Written within 10 ms, synced within a second, neither waited for by anybody.
  void synced(const storage::JournalRun& run);
  /// A sync of a member's own files has ended.
  void progress() { progress_.notify_all(); }

  /// Waits for the block on its way and ends everything. Carried bytes may be left that only the journal has.
  Task<void> stop();
  const CommitStats& stats() const { return stats_; }

 private:
  struct Key {
    TopicId topic;
    PartitionIndex partition;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<TopicId>{}(key.topic) + static_cast<std::size_t>(key.partition.v) * 0x9e3779b97f4a7c15ull;
    }
  };
  /// What one member has in one block.
  struct Part {
    CommitMember* member = nullptr;  ///< null: nobody is interested any more
    Offset begin, end;
  };

  void start_writing();
  Task<void> write_blocks();
  void block_written(const Result<void>& outcome, bool synced);
  void tell_failure(Error why);
  void retry_growth();
  /// Later, when nothing that has to be synced takes the statements along.
  void write_lazily();
  void arm_sync();
  void begin_half();
  Task<void> destage(storage::CommitJournal::Half half);
  Task<void> destage_some(std::vector<storage::CommitJournal::Carried>& all, std::size_t& next, bool& safe);
  Task<bool> destage_one(Key key, Offset end);

  Env& env_;
  std::unique_ptr<storage::CommitJournal> journal_;
  Options options_;
  std::unordered_map<Key, CommitMember*, KeyHash> members_;
  std::vector<Part> next_, in_flight_;
  std::optional<storage::JournalRun> last_statement_;
  std::optional<storage::JournalRun> unsynced_;  ///< the last statement written that no sync has covered
  bool writing_ = false;
  bool stopped_ = false;
  bool keeps_ = false;  ///< somebody left bytes behind that only the journal has
  TimePoint synced_at_{};
  TimePoint retry_growth_at_{};
  TimerId lazy_timer_{}, sync_timer_{};
  CommitStats stats_;
  Event progress_;
  Scope scope_;
};

}  // namespace mr::replication
