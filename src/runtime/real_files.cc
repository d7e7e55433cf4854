#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "runtime/real_clock.h"
#include "runtime/real_errno.h"
#include "runtime/real_host.h"

namespace mr {

namespace {

constexpr std::size_t kPiecesPerCall = 64;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

/// open(2) that survives interrupts. The descriptor is closed on exec.
Result<Descriptor> open_path(const std::string& path, int flags) {
  for (;;) {
    int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
    if (fd >= 0) return Descriptor(fd);
    if (errno != EINTR) return errno_error(errno, path);
  }
}

LiveDurationCounts<kLatencyBounds> sync_durations;
std::atomic<std::uint64_t> sync_failures{0};

/// fsync(2) or fdatasync(2), counted. Brings errno, 0 for success.
int timed_sync(int (*sync)(int), int descriptor) {
  const TimePoint before = mono_now();
  const int number = sync(descriptor) == 0 ? 0 : errno;
  sync_durations.add(mono_now() - before);
  if (number != 0) sync_failures.fetch_add(1, std::memory_order_relaxed);
  return number;
}

class RealFile final : public File {
 public:
  RealFile(Descriptor descriptor, std::string path) : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Result<std::size_t> read_at(MutableBytes into, std::uint64_t position) override {
    std::size_t done = 0;
    while (done < into.size()) {
      ssize_t n = ::pread(fd(), into.data() + done, into.size() - done, static_cast<off_t>(position + done));
      if (n == 0) break;
      if (n > 0) {
        done += static_cast<std::size_t>(n);
      } else if (errno != EINTR) {
        return failed("read");
      }
    }
    return done;
  }

  Result<void> write_at(std::span<const ByteView> pieces, std::uint64_t position) override {
    std::size_t skip = 0;  // bytes of the first piece already written
    while (!pieces.empty()) {
      iovec vectors[kPiecesPerCall];
      std::size_t count = std::min(pieces.size(), kPiecesPerCall);
      for (std::size_t i = 0; i < count; ++i) {
        std::size_t from = i == 0 ? skip : 0;
        vectors[i].iov_base = const_cast<std::byte*>(pieces[i].data() + from);
        vectors[i].iov_len = pieces[i].size() - from;
      }
      ssize_t n = ::pwritev(fd(), vectors, static_cast<int>(count), static_cast<off_t>(position));
      if (n < 0) {
        if (errno == EINTR) continue;
        return failed("write");
      }
      position += static_cast<std::uint64_t>(n);
      auto left = static_cast<std::size_t>(n);
      bool moved = left > 0;
      while (!pieces.empty() && left >= pieces[0].size() - skip) {
        left -= pieces[0].size() - skip;
        skip = 0;
        pieces = pieces.subspan(1);
        moved = true;
      }
      skip += left;
      if (!moved) return Error(Errc::io_error, path_ + ": write made no progress");
    }
    return {};
  }

  Result<void> sync() override {
    const int number = timed_sync(::fdatasync, fd());
    if (number == 0) return {};
    // Whatever it says, what was dirty may be gone from the cache: final, so one code for all of them.
    return Error(Errc::disk_failed, errno_error(number, path_ + ": sync").detail());
  }
  Result<void> truncate(std::uint64_t size) override {
    while (::ftruncate(fd(), static_cast<off_t>(size)) != 0) {
      if (errno != EINTR) return failed("truncate");
    }
    return {};
  }
  Result<std::uint64_t> size() override {
    struct stat st;
    if (::fstat(fd(), &st) != 0) return failed("stat");
    return static_cast<std::uint64_t>(st.st_size);
  }
  Result<void> allocate(std::uint64_t from, std::uint64_t to) override {
    if (from >= to) return {};
    while (::fallocate(fd(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from), static_cast<off_t>(to - from)) != 0) {
      if (errno == EINTR) continue;
      if (errno == EOPNOTSUPP || errno == ENOSYS) return {};  // not every file system can
      return failed("allocate");
    }
    return {};
  }
  void drop_cache(std::uint64_t position, std::uint64_t bytes) override {
    (void)::posix_fadvise(fd(), static_cast<off_t>(position), static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
  }
  int native_handle() const override { return fd(); }

 private:
  int fd() const { return descriptor_.get(); }
  Error failed(const char* call) const { return errno_error(errno, fmt::format("{}: {}", path_, call)); }

  Descriptor descriptor_;
  std::string path_;
};

class RealLock final : public FileLock {
 public:
  explicit RealLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;
};

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
      return O_RDONLY;
    case OpenMode::read_write:
      return O_RDWR;
    case OpenMode::create:
      return O_RDWR | O_CREAT;
    case OpenMode::create_new:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

class RealFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    MR_TRY(Descriptor descriptor, open_path(path, flags_of(mode)));
    return std::unique_ptr<File>(std::make_unique<RealFile>(std::move(descriptor), path));
  }

  Result<void> make_directories(const std::string& path) override {
    for (std::size_t at = 1; at <= path.size(); ++at) {
      if (at < path.size() && path[at] != '/') continue;
      std::string prefix = path.substr(0, at);
      if (::mkdir(prefix.c_str(), 0755) == 0) continue;
      int number = errno;
      struct stat st;
      if (::stat(prefix.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) continue;
      return errno_error(number, prefix);
    }
    return {};
  }

  Result<std::vector<DirEntry>> list(const std::string& path) override {
    DIR* directory = ::opendir(path.c_str());
    if (directory == nullptr) return errno_error(errno, path);
    std::vector<DirEntry> entries;
    errno = 0;
    while (dirent* entry = ::readdir(directory)) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") {
        bool is_directory = entry->d_type == DT_DIR;
        if (entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK) {
          struct stat st;
          is_directory = ::fstatat(::dirfd(directory), entry->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
        }
        entries.push_back({.name = std::move(name), .is_directory = is_directory});
      }
      errno = 0;
    }
    int number = errno;
    ::closedir(directory);
    if (number != 0) return errno_error(number, path);
    std::ranges::sort(entries, {}, &DirEntry::name);
    return entries;
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (::renameat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str()) != 0) return errno_error(errno, from + " -> " + to);
    return {};
  }
  Result<void> remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) return errno_error(errno, path);
    return {};
  }
  Result<void> remove_all(const std::string& path) override {
    struct stat st;
    if (::lstat(path.c_str(), &st) != 0) return ignore_missing(errno, path);
    if (S_ISDIR(st.st_mode)) {
      Result<std::vector<DirEntry>> entries = list(path);
      if (!entries.ok()) return entries.code() == Errc::not_found ? Result<void>{} : std::move(entries).error();
      for (const DirEntry& entry : *entries) MR_TRY_VOID(remove_all(path + "/" + entry.name));
    }
    if (::remove(path.c_str()) != 0) return ignore_missing(errno, path);
    return {};
  }

  Result<void> sync_directory(const std::string& path) override {
    MR_TRY(Descriptor descriptor, open_path(path, O_RDONLY | O_DIRECTORY));
    const int number = timed_sync(::fsync, descriptor.get());
    if (number != 0) return Error(Errc::disk_failed, errno_error(number, path + ": sync").detail());
    return {};
  }

  Result<bool> exists(const std::string& path) override {
    struct stat st;
    if (::stat(path.c_str(), &st) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return errno_error(errno, path);
  }

  Result<SpaceInfo> space(const std::string& path) override {
    struct statvfs st;
    if (::statvfs(path.c_str(), &st) != 0) return errno_error(errno, path);
    return SpaceInfo{.total_bytes = st.f_blocks * st.f_frsize, .free_bytes = st.f_bavail * st.f_frsize};
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    MR_TRY(Descriptor descriptor, open_path(path, O_RDWR | O_CREAT));
    // Of the open file, so that two brokers in one process exclude each other too.
    if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return Error(Errc::in_use, path + ": locked by another process");
      return errno_error(errno, path + ": lock");
    }
    return std::unique_ptr<FileLock>(std::make_unique<RealLock>(std::move(descriptor)));
  }

 private:
  static Result<void> ignore_missing(int number, const std::string& path) {
    if (number == ENOENT) return {};
    return errno_error(number, path);
  }
};

}  // namespace

FileSystem& real_files() {
  static RealFileSystem files;
  return files;
}

FileSyncs file_syncs() {
  return {.durations = sync_durations.read(), .failures = sync_failures.load(std::memory_order_relaxed)};
}

}  // namespace mr
