#include "storage/seal_task.h"

#include "storage/partition_metadata.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {

Result<void> write_snapshot(FileSystem& files, const std::string& directory, Offset offset, ByteView snapshot) {
  MR_TRY(auto file, files.open(segment_path(directory, offset, kSnapshotSuffix), OpenMode::create));
  MR_TRY_VOID(file->truncate(0));
  MR_TRY_VOID(file->write_at(snapshot, 0));
  return file->sync();
}

Result<void> SealTask::sync() {
  for (Seal& seal : seals_) {
    for (auto& file : seal.synced) MR_TRY_VOID(file->sync());
    seal.synced.clear();  // no more descriptors than need be while a slow disk has many to sync
  }
  // Names first: a snapshot that survives a crash must not speak for a segment whose name did not.
  MR_TRY_VOID(files_.sync_directory(directory_));
  if (epochs_ && epochs_->put_off()) return {};
  Result<void> written = write_snapshots();
  if (!written.ok() && written.code() != Errc::disk_full) return written;
  return files_.sync_directory(directory_);
}

Result<void> SealTask::write_snapshots() {
  for (Seal& seal : seals_) {
    if (seal.facts) MR_TRY_VOID(write_seal(files_, directory_, *seal.facts));
    Result<void> written = write_snapshot(files_, directory_, seal.next_base, seal.snapshot);
    if (written.ok()) {
      newest_snapshot_ = seal.next_base;
      continue;
    }
    // Recovery would drop half a snapshot anyway.
    if (written.code() == Errc::disk_full)
      (void)files_.remove(segment_path(directory_, seal.next_base, kSnapshotSuffix));
    return written;
  }
  return {};
}

Result<void> ReserveTask::sync() {
  auto space = files_.space(directory_);
  if (space.ok() && space->free_bytes / kFreeTimes >= to_ - from_) (void)file_->allocate(from_, to_);
  return {};
}

Result<void> GiveBackTask::sync() {
  (void)file_->truncate(size_);  // where it fails, the sync says why
  return file_->sync();
}

Result<void> EpochTask::sync() {
  Result<void> written = replace_file(files_, epoch_checkpoint_path(directory_), as_bytes(text_));
  put_off_ = !written.ok() && written.code() == Errc::disk_full;
  return put_off_ ? Result<void>{} : written;
}

Result<std::size_t> RoundTask::read_at(MutableBytes, std::uint64_t) { return Error(Errc::internal, "not a file"); }
Result<void> RoundTask::write_at(std::span<const ByteView>, std::uint64_t) {
  return Error(Errc::internal, "not a file");
}
Result<void> RoundTask::truncate(std::uint64_t) { return Error(Errc::internal, "not a file"); }
Result<std::uint64_t> RoundTask::size() { return Error(Errc::internal, "not a file"); }
Result<void> RoundTask::allocate(std::uint64_t, std::uint64_t) { return Error(Errc::internal, "not a file"); }

}  // namespace mr::storage
