#pragma once
#include <memory>
#include <string>
#include <vector>

#include "runtime/env.h"
#include "storage/index_file.h"

namespace mr::storage {

/// The work that rolling a segment leaves for the next group-commit round, in the shape of a File whose sync() does it:
/// per sealed segment, in order, sync log and indexes, then write and sync the producer snapshot named by the next
/// segment's base, then sync the directory. So a valid snapshot N says that everything below N is on disk in order:
/// recovery takes it as evidence (recovery.h). sync() on the pool; everything else must not be called.
class SealTask final : public File {
 public:
  explicit SealTask(const LogPlace& place) : files_(place.files), directory_(place.directory) {}

  void add(std::vector<std::shared_ptr<File>> synced, Offset next_base, std::vector<std::byte> snapshot) {
    seals_.push_back({std::move(synced), next_base, std::move(snapshot)});
  }
  /// Where the segments begin that no seal of this task covers.
  Offset next_base() const { return seals_.back().next_base; }

  Result<void> sync() override;

  Result<std::size_t> read_at(MutableBytes, std::uint64_t) override;
  Result<void> write_at(std::span<const ByteView>, std::uint64_t) override;
  Result<void> truncate(std::uint64_t) override;
  Result<std::uint64_t> size() override;
  Result<void> allocate(std::uint64_t) override;
  void drop_cache() override {}
  int native_handle() const override { return -1; }

 private:
  struct Seal {
    std::vector<std::shared_ptr<File>> synced;
    Offset next_base;
    std::vector<std::byte> snapshot;
  };
  FileSystem& files_;
  std::string directory_;
  std::vector<Seal> seals_;
};

/// Writes `snapshot` as the producer snapshot at `offset` and syncs it (not the directory). Pool.
Result<void> write_snapshot(FileSystem& files, const std::string& directory, Offset offset, ByteView snapshot);

}  // namespace mr::storage
