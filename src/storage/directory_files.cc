#include "storage/directory_files.h"

#include <atomic>

namespace mr::storage {

struct DirectoryFiles::Health {
  explicit Health(FileSystem& files) : below(files) {}
  ~Health() { delete why.load(); }

  void fail(Error error) {
    auto mine =
        std::make_unique<const Error>(Errc::disk_failed, error == Errc::disk_failed ? error.detail() : error.message());
    const Error* none = nullptr;
    if (!why.compare_exchange_strong(none, mine.get())) return;
    (void)mine.release();
    if (tell) tell();
  }
  Result<void> may_read() const {
    if (interrupted.load(std::memory_order_relaxed)) return Error(Errc::cancelled, "the broker is to stop");
    return {};
  }
  Result<void> may_change() const {
    if (const Error* error = why.load(std::memory_order_acquire)) return *error;
    return may_read();
  }
  /// Runs a call that changes contents or makes them durable.
  template <class F>
  auto change(F call) -> decltype(call()) {
    MR_TRY_VOID(may_change());
    auto outcome = call();
    if (!outcome.ok() && outcome.code() != Errc::disk_full && outcome.code() != Errc::resource_exhausted)
      fail(outcome.error());
    return outcome;
  }
  /// Runs a call that may fail for many reasons that are not the disk's: one that changes names, or asks for blocks.
  template <class F>
  auto try_to(F call) -> decltype(call()) {
    MR_TRY_VOID(may_change());
    auto outcome = call();
    if (!outcome.ok() && outcome.code() == Errc::disk_failed) fail(outcome.error());
    return outcome;
  }

  FileSystem& below;
  std::function<void()> tell;
  std::atomic<const Error*> why = nullptr;  // set at most once
  std::atomic<bool> interrupted = false;
  std::atomic<std::uint64_t> bytes_read = 0;
};

class DirectoryFiles::GuardedFile final : public File {
 public:
  GuardedFile(std::shared_ptr<Health> health, std::unique_ptr<File> below)
      : health_(std::move(health)), below_(std::move(below)) {}

  Result<std::size_t> read_at(MutableBytes into, std::uint64_t position) override {
    MR_TRY_VOID(health_->may_read());
    auto count = below_->read_at(into, position);
    if (count.ok()) health_->bytes_read.fetch_add(*count, std::memory_order_relaxed);
    return count;
  }
  Result<void> write_at(std::span<const ByteView> pieces, std::uint64_t position) override {
    return health_->change([&] { return below_->write_at(pieces, position); });
  }
  Result<void> sync() override {
    MR_TRY_VOID(health_->may_change());
    auto synced = below_->sync();
    if (!synced.ok()) health_->fail(synced.error());
    return synced;
  }
  Result<void> truncate(std::uint64_t size) override {
    return health_->change([&] { return below_->truncate(size); });
  }
  Result<std::uint64_t> size() override {
    MR_TRY_VOID(health_->may_read());
    return below_->size();
  }
  Result<void> allocate(std::uint64_t from, std::uint64_t to) override {
    return health_->try_to([&] { return below_->allocate(from, to); });
  }
  void drop_cache(std::uint64_t position, std::uint64_t bytes) override { below_->drop_cache(position, bytes); }
  int native_handle() const override { return below_->native_handle(); }

 private:
  std::shared_ptr<Health> health_;
  std::unique_ptr<File> below_;
};

DirectoryFiles::DirectoryFiles(FileSystem& below) : health_(std::make_shared<Health>(below)) {}
DirectoryFiles::~DirectoryFiles() = default;

void DirectoryFiles::on_failure(std::function<void()> tell) { health_->tell = std::move(tell); }
const Error* DirectoryFiles::failed() const { return health_->why.load(std::memory_order_acquire); }
void DirectoryFiles::fail(Error why) { health_->fail(std::move(why)); }
void DirectoryFiles::interrupt() { health_->interrupted = true; }
std::uint64_t DirectoryFiles::bytes_read() const { return health_->bytes_read.load(std::memory_order_relaxed); }

Result<std::unique_ptr<File>> DirectoryFiles::open(const std::string& path, OpenMode mode) {
  auto guarded = [&](Result<std::unique_ptr<File>> file) -> Result<std::unique_ptr<File>> {
    if (!file.ok()) return file;
    return std::unique_ptr<File>(std::make_unique<GuardedFile>(health_, std::move(*file)));
  };
  if (mode == OpenMode::create || mode == OpenMode::create_new)
    return guarded(health_->try_to([&] { return health_->below.open(path, mode); }));
  MR_TRY_VOID(health_->may_read());
  return guarded(health_->below.open(path, mode));
}

Result<void> DirectoryFiles::make_directories(const std::string& path) {
  return health_->try_to([&] { return health_->below.make_directories(path); });
}
Result<std::vector<DirEntry>> DirectoryFiles::list(const std::string& path) {
  MR_TRY_VOID(health_->may_read());
  return health_->below.list(path);
}
Result<void> DirectoryFiles::rename(const std::string& from, const std::string& to) {
  return health_->try_to([&] { return health_->below.rename(from, to); });
}
Result<void> DirectoryFiles::remove(const std::string& path) {
  return health_->try_to([&] { return health_->below.remove(path); });
}
Result<void> DirectoryFiles::remove_all(const std::string& path) {
  return health_->try_to([&] { return health_->below.remove_all(path); });
}
Result<void> DirectoryFiles::sync_directory(const std::string& path) {
  return health_->try_to([&] { return health_->below.sync_directory(path); });
}
Result<bool> DirectoryFiles::exists(const std::string& path) {
  MR_TRY_VOID(health_->may_read());
  return health_->below.exists(path);
}
Result<SpaceInfo> DirectoryFiles::space(const std::string& path) {
  MR_TRY_VOID(health_->may_read());
  return health_->below.space(path);
}
Result<std::unique_ptr<FileLock>> DirectoryFiles::lock(const std::string& path) {
  return health_->try_to([&] { return health_->below.lock(path); });
}

}  // namespace mr::storage
