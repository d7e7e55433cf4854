#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "runtime/env.h"
#include "storage/directory_files.h"
#include "storage/journal_reader.h"
#include "storage/text_checkpoint.h"

namespace mr::storage {

/// What is saved for all partitions of a data directory from time to time and at a clean stop. Kafka's files
/// (docs/formats/checkpoints.md): recovery-point-, log-start-, replication- and
/// cleaner-offset-checkpoint.
struct Checkpoints {
  OffsetCheckpoint recovery_points;
  OffsetCheckpoint log_starts;
  OffsetCheckpoint high_watermarks;
  OffsetCheckpoint cleaned_ends;
};

/// A directory that holds one partition.
struct PartitionDir {
  TopicPartition name;
  std::optional<TopicId> topic_id;  ///< from partition.metadata; empty when it is missing or does not read
  std::string path;
};

/// One entry of log.dirs: lock, identity, clean-stop marker, checkpoints, and the partitions' directories.
/// Everything blocks: on the pool, one call at a time. Life: the lock is held until destruction.
class DataDir {
 public:
  /// Makes the directory when missing, locks it, reads identity and checkpoints, remembers the clean-stop marker and
  /// removes it durably, reads the commit journals, and removes what move_to_trash() left behind.
  /// Errors: in_use (names the directory), newer_format, corrupt_data (identity does not read), those of FileSystem.
  static Result<std::unique_ptr<DataDir>> open(FileSystem& files, const std::string& path);

  /// Makes the directory ours: writes meta.properties when missing (with `fresh_directory_id`), compares otherwise.
  /// Errors: conflict, with a sentence that says whose it is.
  Result<void> claim(std::string cluster_id, BrokerId node, Uuid fresh_directory_id);

  /// Does a meta.properties read? Errors: newer_format, corrupt_data.
  static Result<void> check_identity(std::string_view text);

  const std::string& path() const { return path_; }
  /// What everything that lies in this directory must be opened through: knows whether the directory has failed.
  DirectoryFiles& files() { return files_; }
  /// Empty before claim() of a new directory.
  std::string cluster_id() const { return identity_ ? identity_->cluster_id : std::string(); }
  /// Zero before claim() of a new directory.
  Uuid directory_id() const { return identity_ ? identity_->directory_id : Uuid{}; }
  /// The last process stopped cleanly: logs need no recovery.
  bool was_clean() const { return was_clean_; }

  /// Directories of partitions, by name. Other entries are left alone; unknown() lists them.
  Result<std::vector<PartitionDir>> partitions();
  const std::vector<std::string>& unknown() const { return unknown_; }
  /// Where the partition's log lives. The name must be valid (checked: it becomes a path).
  std::string partition_path(const TopicPartition& partition) const;

  /// As the checkpoints of the last process say; 0 when they do not know it, or it has been moved to trash since.
  Offset recovery_point(const TopicPartition& partition) const;
  Offset log_start(const TopicPartition& partition) const;
  Offset high_watermark(const TopicPartition& partition) const;
  Offset cleaned_end(const TopicPartition& partition) const;
  Result<void> write_checkpoints(const Checkpoints& checkpoints);
  /// On return every later start finds each partition's log start where `moved` says or above (for DeleteRecords; move
  /// the logs' own starts first). Below what is known it changes nothing.
  Result<void> save_log_starts(const OffsetCheckpoint& moved);

  /// What the commit journals of earlier lives know, as read by open().
  JournalEvidence& journals() { return *journals_; }
  /// Before this life's journals are made: the evidence of `opened` has served. That of other partitions is kept for as
  /// long as they have a directory.
  Result<void> retire_journals(const std::set<JournalEvidence::Key>& opened);

  /// After every log has been closed and the checkpoints written: removes this life's commit journals, so that this is
  /// a plain Kafka directory, and writes the marker. The next start scans nothing.
  Result<void> mark_clean();

  /// First half of deleting: renames the partition's directory out of the way, durably; `unique` keeps the name from
  /// being taken. The log must be closed or dropped. Returns the new path. A missing directory is fine.
  Result<std::string> move_to_trash(const TopicPartition& partition, Uuid unique);
  Result<void> remove_trash(const std::string& path);
  /// Both halves, for a partition of `owner`. What partition.metadata gives to another topic, or holds segments without
  /// saying whose they are, is left alone: there is no evidence that it may go (design section 5 rule 7).
  Result<void> remove_partition(const TopicPartition& partition, TopicId owner, Uuid unique);
  /// Removes every directory, trash or not, whose partition.metadata names `id`.
  Result<void> remove_topic_data(TopicId id);

 private:
  /// meta.properties.
  struct Identity {
    std::string cluster_id;
    std::int64_t node_id = -1;
    Uuid directory_id;
  };
  DataDir(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  static Result<Identity> decode_identity(std::string_view text);
  static std::string encode_identity(const Identity& identity);
  Result<void> load();
  Result<void> load_identity();
  Result<void> take_clean_marker();
  Result<void> load_checkpoint(std::string_view name, OffsetCheckpoint& into);
  Result<void> write_checkpoint(std::string_view name, const OffsetCheckpoint& offsets);
  Result<void> remove_old_trash();
  Result<void> settle_stale_lines();
  std::string in(std::string_view name) const { return path_ + "/" + std::string(name); }

  DirectoryFiles files_;
  std::string path_;
  std::unique_ptr<FileLock> lock_;
  std::optional<Identity> identity_;
  bool was_clean_ = false;
  std::unique_ptr<JournalEvidence> journals_;
  Checkpoints loaded_;
  bool log_starts_stale_ = false;    ///< the file still names a log start of a partition that is gone
  bool cleaned_ends_stale_ = false;  ///< the same of the cleaner's
  std::vector<std::string> unknown_;
};

}  // namespace mr::storage
