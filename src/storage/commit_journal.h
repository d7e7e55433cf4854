#pragma once
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/env.h"
#include "storage/journal_format.h"

namespace mr::storage {

/// "DIRECTORY/commit-journal-3.a": one half of the journal of shard 3.
std::string journal_path(std::string_view directory, std::uint32_t shard, char half);

/// The writing side of the commit journal of one shard in one data directory (why: docs/decisions/commit-journal.md,
/// bytes: docs/formats/commit-journal.md). It decides what stands where; when to write and what to do with the outcome
/// is the caller's business (group commit):
///
///   run of a batch --add_carried--> +-------+                +-------------+  write() [sync()]   block_done()
///   synced run -----add_durable---> | block | --take_block-> | Block: pool | ------------------> home shard
///                                   +-------+                +-------------+
///
/// Home shard only, but for Block. Nothing blocks, nothing is on disk before the first block. Life: made after the
/// journals of the life before have been retired (journal_reader.h); a Block may outlive it.
class CommitJournal {
 public:
  /// Two files, used in turn. A half is written from its start to its end; before it is used again, all that it
  /// carries must be in its own files.
  enum class Half : std::uint8_t { a, b };

  struct Options {
    std::string directory;  ///< an entry of log.dirs
    std::uint32_t shard = 0;
    Uuid session;                              ///< of this life of the broker; never used before
    std::uint64_t half_bytes = 16u << 20;      ///< at least four blocks
    std::uint64_t block_bytes_max = 1u << 20;  ///< multiple of kJournalAlign, at most kJournalBlockBytesMax
    std::uint64_t grow_bytes = 1u << 20;       ///< a half that was never full grows by so much, zeroed beforehand, so
                                               ///< that most syncs change no metadata
    std::size_t statements_max = 64u << 10;    ///< durable statements that wait
  };

  /// One block on its way to the disk. Calls block: on the pool, write() first, each at most once.
  class Block {
   public:
    /// It carries bytes, or must be on disk before a half can be used again: needs sync(). One that does not (durable
    /// statements alone) only gets write().
    bool needs_sync() const { return needs_sync_; }
    /// Into the page cache; makes and grows the file when it has to. Errors: disk_full, resource_exhausted (no file
    /// descriptor), disk_failed.
    Result<void> write();
    /// On return this block and all before it are on disk. Any error is final.
    Result<void> sync();

   private:
    friend class CommitJournal;
    Block(FileSystem& files, const Options& options);
    /// Forgets what became of it; the memory stays.
    void clear();

    FileSystem& files_;
    const std::string directory_;
    const std::array<std::string, 2> paths_;
    const std::uint64_t grow_bytes_, half_bytes_;
    Half half_ = Half::a;
    JournalBlockHeader header_;
    JournalBlockBuilder builder_;
    std::vector<JournalRun> statements_;  ///< its durable entries
    std::size_t checkpoint_ = 0;          ///< so many of them, from the front, are of a checkpoint
    std::uint64_t position_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t grown_ = 0;
    std::shared_ptr<File> file_;      ///< opened by write() when there was none
    std::shared_ptr<File> previous_;  ///< the other half, when it has unsynced blocks
    bool name_unsynced_ = false;      ///< of the file
    bool needs_sync_ = false;
    bool wrote_ = false;
    bool synced_ = false;
  };

  CommitJournal(FileSystem& files, Options options);
  CommitJournal(const CommitJournal&) = delete;
  CommitJournal& operator=(const CommitJournal&) = delete;

  // Filling the next block.
  /// `run` is synced in its own file. Written with one of the next blocks; replaces a waiting statement about the same
  /// segment and position. Lost when too many wait or after a failure: recovery is less sure then, never wrong.
  void add_durable(const JournalRun& run);
  /// Copies `batches` (run.bytes of them, already in the page cache of their own file) into the next block. They are
  /// durable once that block's sync has succeeded. False: not carried, sync their own file; because the block is full
  /// (so it is taken at the next chance), or the half is and the other one is not free, or the disk is, or has failed.
  /// Ask wants_half() first.
  [[nodiscard]] bool add_carried(const JournalRun& run, ByteView batches);
  /// The next block carries something or statements wait.
  bool has_work() const { return failure_ == std::nullopt && (carries_ || !statements_.empty() || settles()); }
  /// The next block carries something: it has to be synced before anybody is answered.
  bool carries() const { return carries_; }

  // Halves.
  /// The half in use has no room for a whole block, the other one is free and nothing waits to be carried: call
  /// begin_half().
  bool wants_half() const;
  /// Goes on in the other half. `checkpoint`: the durable statements that are still needed (the last one of each
  /// partition since its last producer snapshot); it is written there first. Returns the half that was in use: destage
  /// what carried_in() says, then release() it.
  Half begin_half(std::vector<JournalRun> checkpoint);
  Half half_in_use() const { return use_; }
  /// A partition with bytes in a half: they are destaged when its own files are synced up to `end`.
  struct Carried {
    TopicId topic;
    PartitionIndex partition;
    Offset end;
  };
  std::vector<Carried> carried_in(Half half) const;
  /// All that `half` carries is synced in its own files, or deleted. It is free again when a block that says so is on
  /// disk; take_block() gives one even when there is nothing else to write.
  void release(Half half);

  // Writing.
  /// The next block; empty while one is on its way, when there is nothing to write, or after a failure.
  std::unique_ptr<Block> take_block();
  /// What became of it: of write(), and of sync() when it was called. With success of sync() everything that was added
  /// before take_block() is durable. disk_full and resource_exhausted of write() are not final: what the block carried
  /// is not durable, nor will be what has been added since (their own files have to be synced), its statements wait
  /// again, and no half grows until retry_growth(). Any other error, and every error of sync(), is: disk_failed for
  /// ever.
  void block_done(std::unique_ptr<Block> block, const Result<void>& outcome);
  /// There may be room on the disk again. Call it from time to time while growth_refused().
  void retry_growth() { growth_refused_ = false; }
  bool growth_refused() const { return growth_refused_; }
  /// Set once the journal has failed for good; then the whole data directory has.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  struct PartitionKey {
    TopicId topic;
    PartitionIndex partition;
    friend bool operator==(const PartitionKey&, const PartitionKey&) = default;
  };
  struct StatementKey {
    PartitionKey of;
    Offset segment;
    std::uint64_t position = 0;
    friend bool operator==(const StatementKey&, const StatementKey&) = default;
  };
  struct Hash {
    std::size_t operator()(const PartitionKey& key) const noexcept;
    std::size_t operator()(const StatementKey& key) const noexcept;
  };
  enum class Use : std::uint8_t {
    free,
    filling,
    draining,  ///< full; its bytes are on their way to their own files
    released,  ///< they are there, but no block on disk says so yet
  };
  struct HalfState {
    Use use = Use::free;
    std::shared_ptr<File> file;
    std::uint64_t grown = 0;            ///< what was written in an earlier use: no sync of it changes metadata
    std::uint64_t position = 0;         ///< of the next block
    std::uint64_t first = 0, last = 0;  ///< sequences of its blocks; 0 none yet
    bool unsynced = false;              ///< a block, or the file's name
    bool name_unsynced = false;
    std::unordered_map<PartitionKey, Offset, Hash> carried;
  };

  static StatementKey key_of(const JournalRun& run) { return {{run.topic, run.partition}, run.segment, run.position}; }
  HalfState& half(Half which) { return halves_[static_cast<std::size_t>(which)]; }
  const HalfState& half(Half which) const { return halves_[static_cast<std::size_t>(which)]; }
  static Half other(Half which) { return which == Half::a ? Half::b : Half::a; }
  /// Bytes that the half in use can take, not counting what is kept back for the block that frees the other one.
  std::uint64_t room() const;
  /// A block is due that says that the other half is not needed any more.
  bool settles() const { return half(other(use_)).use == Use::released; }
  void add_statements(Block& block, std::uint64_t room);
  std::uint64_t floor_with(const Block& block) const;
  void requeue(const Block& block);
  void index_statements();
  void note_written(Block& block);

  FileSystem& files_;
  Options options_;
  HalfState halves_[2];
  Half use_ = Half::a;
  JournalBlockBuilder filling_;
  std::unique_ptr<Block> spare_;  ///< the one block there is, while none is on its way: a round takes no new memory
  bool carries_ = false;
  std::vector<JournalRun> statements_;  ///< in order; the first checkpoint_left_ are of a checkpoint
  std::unordered_map<StatementKey, std::size_t, Hash> statement_at_;
  std::size_t checkpoint_left_ = 0;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t synced_ = 0;  ///< all blocks up to this one are on disk
  std::uint64_t floor_ = 1;
  bool in_flight_ = false;
  bool growth_refused_ = false;
  std::optional<Error> failure_;
};

}  // namespace mr::storage
