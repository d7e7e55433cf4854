#pragma once
#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/env.h"
#include "storage/index_file.h"
#include "storage/segment_seal.h"

namespace mr::storage {

/// Work for a group-commit round that is more than one fdatasync, in the shape of a File whose sync() does it. sync()
/// on the pool; nothing else may be called.
class RoundTask : public File {
 public:
  Result<std::size_t> read_at(MutableBytes, std::uint64_t) final;
  Result<void> write_at(std::span<const ByteView>, std::uint64_t) final;
  Result<void> truncate(std::uint64_t) final;
  Result<std::uint64_t> size() final;
  Result<void> allocate(std::uint64_t, std::uint64_t) final;
  void drop_cache(std::uint64_t, std::uint64_t) final {}
  int native_handle() const final { return -1; }
};

/// Reserves blocks for [from, to) of a segment's file, behind what is about to be synced. Best effort, and no error.
class ReserveTask final : public RoundTask {
 public:
  /// So many times what is asked for must be free, or nothing is reserved: where space is low, blocks that nobody has
  /// filled would only bring the end of it (disk.reserve.bytes) forward.
  static constexpr std::uint64_t kFreeTimes = 1024;

  ReserveTask(const LogPlace& place, std::shared_ptr<File> file, std::uint64_t from, std::uint64_t to)
      : files_(place.files), directory_(place.directory), file_(std::move(file)), from_(from), to_(to) {}
  Result<void> sync() override;

 private:
  FileSystem& files_;
  std::string directory_;
  std::shared_ptr<File> file_;
  std::uint64_t from_, to_;
};

/// Syncs a segment's file that has its last bytes and gives back the blocks behind them. The kernel takes a truncation
/// to the size that a file has already for that.
class GiveBackTask final : public RoundTask {
 public:
  GiveBackTask(std::shared_ptr<File> file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
  Result<void> sync() override;

 private:
  std::shared_ptr<File> file_;
  std::uint64_t size_;
};

/// Writes the epoch table, in the round that makes the first batch of an epoch durable; before snapshots, since
/// recovery does not look for epochs below a snapshot. A full disk only puts it off: the batches still say their
/// epochs.
class EpochTask final : public RoundTask {
 public:
  EpochTask(const LogPlace& place, std::string text)
      : files_(place.files), directory_(place.directory), text_(std::move(text)) {}
  Result<void> sync() override;
  /// After sync(): the disk was full, the next round has to try again.
  bool put_off() const { return put_off_; }

 private:
  FileSystem& files_;
  std::string directory_;
  std::string text_;
  bool put_off_ = false;
};

/// What rolling a segment leaves to do: sync the log and indexes of each sealed segment, then the directory; then write
/// and sync, per segment, its seal (segment_seal.h) and the producer snapshot named by the next segment's base; at the
/// end sync the directory again. A full disk costs seals and snapshots only: recovery then has more to read. So a valid
/// snapshot N says that everything below N is on disk in order: recovery takes it as evidence (recovery.h).
class SealTask final : public RoundTask {
 public:
  explicit SealTask(const LogPlace& place) : files_(place.files), directory_(place.directory) {}

  void add(std::vector<std::shared_ptr<File>> synced, std::optional<SegmentSeal> facts, Offset next_base,
           std::vector<std::byte> snapshot) {
    seals_.push_back({std::move(synced), std::move(facts), next_base, std::move(snapshot)});
  }
  /// Runs before us in the round: as long as it is put off there are no snapshots.
  void after(std::shared_ptr<const EpochTask> epochs) { epochs_ = std::move(epochs); }
  /// Takes over what came after this one's.
  void add_all(SealTask& newer) { std::ranges::move(newer.seals_, std::back_inserter(seals_)); }
  /// Where the segments begin that no seal of this task covers.
  Offset next_base() const { return seals_.back().next_base; }

  Result<void> sync() override;
  /// After sync(): the newest snapshot that was written; empty when the disk was full.
  const std::optional<Offset>& newest_snapshot() const { return newest_snapshot_; }

 private:
  struct Seal {
    std::vector<std::shared_ptr<File>> synced;
    std::optional<SegmentSeal> facts;
    Offset next_base;
    std::vector<std::byte> snapshot;
  };
  FileSystem& files_;
  std::string directory_;
  Result<void> write_snapshots();

  std::vector<Seal> seals_;
  std::shared_ptr<const EpochTask> epochs_;
  std::optional<Offset> newest_snapshot_;
};

/// Writes `snapshot` as the producer snapshot at `offset` and syncs it (not the directory). Pool.
Result<void> write_snapshot(FileSystem& files, const std::string& directory, Offset offset, ByteView snapshot);

}  // namespace mr::storage
