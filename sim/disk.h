#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/env.h"
#include "sim/random.h"

namespace mr::sim {

/// What a crash leaves of writes, truncations and names that no sync has covered.
enum class CrashMode {
  lose_unsynced,  ///< nothing of them
  random,         ///< any subset, writes torn at 512-byte sectors; a later one may survive an earlier
  keep_all,       ///< everything: the process died, the machine did not (kill -9). What was not synced still is not
};

/// What a crash leaves of one unsynced write, in sectors of 512 bytes counted from the one it begins in. A truncation
/// happened when it keeps anything.
struct Survival {
  std::uint64_t from = 0;
  std::uint64_t to = 0;  ///< exclusive

  static Survival lost() { return {}; }
  static Survival whole() { return {0, ~0ull}; }
};

enum class DiskOp : std::uint8_t {
  open,
  create,
  read,
  write,
  sync,
  truncate,
  allocate,
  make_directory,
  rename,
  remove,
  sync_directory,
  list,
};
std::string_view to_string(DiskOp op);
/// Changes something that a crash could undo; only these count for crash_after().
bool is_change(DiskOp op);

/// One fault that waits for its operation.
struct Fault {
  enum class Kind {
    fail,      ///< the call returns `error`; a write may leave any prefix, a sync loses what it should have saved
    delay,     ///< takes `delay` longer (World only)
    hang,      ///< does not return until heal() (World only; on the offload pool)
    flip_bit,  ///< reads: one bit of the answer is wrong, the medium is right
    cut_read,  ///< reads: brings a part of what is there. Outside the contract of File: a device that returns less
    lie,       ///< sync, sync_directory: says ok and does nothing. Outside every contract: for mutation tests
    /// The call throws std::bad_alloc and does nothing, as any library may.
    out_of_memory,
  };
  Kind kind = Kind::fail;
  DiskOp op = DiskOp::write;
  std::string path_contains = {};  ///< empty: any path
  std::uint64_t after = 0;         ///< lets so many matching calls pass first
  std::uint64_t times = 1;         ///< then fires so often; kAlways: until heal()
  std::uint64_t one_in = 1;        ///< of those that match, by the seed
  Errc error = Errc::disk_failed;
  Duration delay{};

  static constexpr std::uint64_t kAlways = ~0ull;
};

/// An in-memory file system with the contract of FileSystem and File and nothing beyond it: writes live in a cache
/// until sync(); names (also of new directories) until sync_directory(). Usable with and without a World; calls return
/// at once. Any thread.
///
///   sim::Disk disk(seed);
///   ... write through disk ...
///   disk.crash(CrashMode::random);  // files opened before now write to a ghost that nobody sees
///   ... open again, look what is left ...
class Disk final : public FileSystem {
 public:
  struct Operation {
    std::uint64_t index;  ///< of changes, from 1; of other calls the index of the last change
    DiskOp op;
    std::string_view path;
    std::uint64_t bytes;  ///< of reads and writes
  };

  explicit Disk(std::uint64_t seed, std::uint64_t total_bytes = 64_GiB);
  ~Disk() override;
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

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

  /// The disk as one process sees it. After a crash it goes on with a ghost copy, so that the dead process can be
  /// taken down in peace while its successor works on what is left. May outlive the Disk.
  std::unique_ptr<FileSystem> attach();

  /// Cuts the power and starts again: calls from here on see what survived. Locks are free.
  void crash(CrashMode mode);
  /// Cuts the power right after the `operations`-th change from now (0: never). What the program does after that goes
  /// to the ghost, until restart(). A test must ignore acks that it hears while crashed().
  void crash_after(std::uint64_t operations, CrashMode mode);
  bool crashed() const;
  void restart();
  /// As crash(random), but with chosen fates for the youngest changes of contents: the last of `youngest` is for the
  /// last one. See unsynced().
  void crash(const std::vector<Survival>& youngest);
  struct Unsynced {
    std::string path;
    std::uint64_t sectors = 0;  ///< that it touches; 1 for a truncation
  };
  /// Changes of contents that no sync has covered, of files that have a name, oldest first.
  std::vector<Unsynced> unsynced() const;
  /// A disk in the state of this one, unsynced changes and all, without its faults and hooks.
  std::unique_ptr<Disk> fork(std::uint64_t seed) const;

  void add_fault(Fault fault);
  /// Disarms all faults of one kind.
  void drop_faults(Fault::Kind kind);
  /// Drops all faults, wakes what hangs, gives back the capacity of the start.
  void heal();
  /// Writes, creations and new directories fail with disk_full beyond this much.
  void set_total_bytes(std::uint64_t total_bytes);
  std::uint64_t used_bytes() const;
  /// Handles that are held, those of before a crash too.
  std::size_t open_files() const;
  /// Damages the medium: what the cache holds changes too.
  void flip_bit(const std::string& path, std::uint64_t position, unsigned bit);

  /// Called after each operation (not of ghosts), with the disk's lock held: look, do not call back.
  void on_operation(std::function<void(const Operation&)> hook);
  /// Called with the name of each fault that takes effect: "eio_read", "short_write", "enospc_create", "hung_sync", ...
  /// Under the lock, too.
  void on_fault(std::function<void(std::string_view)> hook);
  std::uint64_t changes() const;
  std::uint64_t faults_fired() const;
  /// Bytes of `path` that would survive crash(lose_unsynced); not_found when the name itself would not.
  Result<std::vector<std::byte>> durable_bytes(const std::string& path) const;

  /// For World: the extra time that calls since the last question should have taken.
  struct Stall {
    Duration delay{};
    bool hung = false;
  };
  Stall take_stall();
  void on_wake(std::function<void()> hook);
  void wake_hung();

  struct Core;

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace mr::sim
