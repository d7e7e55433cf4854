#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/env.h"
#include "storage/log.h"

namespace mr::storage {

/// What the commit journals of earlier lives know, of all shards there were. Read before any log is opened.
///
/// Blocks count by session, shard and sequence; those below the largest floor are not needed. Of what is missing above
/// it: up to the largest assertion it had been on disk, so the journal is *damaged* (an event; what the other blocks
/// say still counts); beyond it only statements can be missing, since a block that carries is synced before the next
/// one is written.
///
/// Pool; evidence_of() from several threads at a time, the rest one call at a time and not beside it. Memory: an index
/// entry per run, less than the files hold; carried bytes stay in the files.
class JournalEvidence {
 public:
  using Key = std::pair<TopicId, PartitionIndex>;

  /// Errors: newer_format, those of FileSystem.
  static Result<std::unique_ptr<JournalEvidence>> read(FileSystem& files, std::string directory);

  bool empty() const { return partitions_.empty(); }
  std::vector<Key> partitions() const;
  /// All that is known of one partition; reads what was carried for it, at most what the files hold. Errors:
  /// corrupt_data (carried bytes do not read the same again), those of FileSystem.
  Result<CommitEvidence> evidence_of(TopicId topic, PartitionIndex partition) const;
  /// Blocks that had been on disk and are not there any more.
  std::uint64_t damaged_blocks() const { return damaged_; }

  /// All partitions but `keep` are open and synced, or gone: forgets them. Journals that speak of a kept one get
  /// another name, so that this life's own can be made; the others are removed. Durable on return; needs no space.
  Result<void> retire(const std::set<Key>& keep);
  /// One more partition is open and synced, or gone.
  Result<void> drop(Key key);

 private:
  struct Carried {
    JournalRun run;
    std::size_t file = 0;
    std::uint64_t at = 0;   ///< of the bytes in the file
    std::uint32_t crc = 0;  ///< of the bytes
  };
  struct Known {
    std::map<std::pair<Offset, std::uint64_t>, JournalRun> durable;  ///< by segment and position: the longest
    std::vector<Carried> carried;
  };
  /// The journal of one shard in one life.
  struct Journal {
    Uuid session;
    std::uint32_t shard = 0;
    std::map<Key, Known> partitions;
  };
  struct Source {
    std::string name;
    std::optional<std::size_t> journal;  ///< empty: no block of it reads
    std::uint64_t newest = 0;            ///< sequence of its newest block
  };
  struct Block;

  JournalEvidence(FileSystem& files, std::string directory) : files_(files), directory_(std::move(directory)) {}
  Result<void> load();
  Result<std::vector<Block>> scan(std::size_t file) const;
  std::size_t journal_of(const JournalBlockHeader& header);
  void adopt(Journal& journal, std::vector<Block>& blocks);
  static void adopt_entries(Journal& journal, const Block& block);
  Result<void> park(std::size_t journal);
  Result<void> remove_unused();
  void index();
  std::string path_of(const Source& source) const { return directory_ + "/" + source.name; }

  FileSystem& files_;
  std::string directory_;
  std::vector<Source> sources_;
  std::vector<Journal> journals_;
  std::set<Key> partitions_;
  std::uint64_t damaged_ = 0;
};

/// A file of a commit journal, of this life or an earlier one.
bool is_journal_name(std::string_view name);

/// Removes this life's journals (not those that retire() has kept): everything is in its own files. Durable on return.
Result<void> remove_journals(FileSystem& files, const std::string& directory);

}  // namespace mr::storage
