#pragma once
#include <functional>
#include <memory>

#include "runtime/env.h"

namespace mr::storage {

/// The file system as one entry of log.dirs uses it; everything of that entry goes through here. The first sync that
/// fails, or write that fails for more than want of room or descriptors, is final (design section 5 rule 3): from then
/// on nothing is written or synced there any more, every such call answers disk_failed at once. Reads go on: a bad
/// sector is that read's own error.
/// Calls and failed(): any thread. Files may outlive this; what is below outlives both.
class DirectoryFiles final : public FileSystem {
 public:
  explicit DirectoryFiles(FileSystem& below);
  ~DirectoryFiles() override;

  /// Called once, on whatever thread met the failure; set before others use this.
  void on_failure(std::function<void()> tell);
  /// The failure that ended it; null while all is well. Valid as long as this is.
  const Error* failed() const;
  /// Ends it for a reason of the caller's, as a failed sync would.
  void fail(Error why);
  /// From here on every call answers cancelled, so that work on the pool which nobody needs any more (recovery, when
  /// the broker is to stop) ends soon and leaves the disk as it is.
  void interrupt();
  /// Bytes read so far, for progress reports.
  std::uint64_t bytes_read() const;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<void> make_directories(const std::string& path) override;
  Result<std::vector<DirEntry>> list(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> remove_all(const std::string& path) override;
  Result<void> sync_directory(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Result<SpaceInfo> space(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

 private:
  struct Health;
  class GuardedFile;
  std::shared_ptr<Health> health_;
};

}  // namespace mr::storage
