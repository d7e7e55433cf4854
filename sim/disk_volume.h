#pragma once
#include <algorithm>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "sim/disk.h"
#include "sim/pages.h"

/// What Disk is made of: inodes with what is cached, pending and durable, and the volume that a crash turns into a
/// ghost. Only disk*.cc include this.
namespace mr::sim {

/// A change of contents that no sync has covered.
struct PendingWrite {
  std::uint64_t order = 0;  ///< over all files of the disk
  std::uint64_t position = 0;
  std::vector<std::byte> bytes;
  bool is_truncate = false;  ///< to `position`
};

struct Inode {
  bool is_directory = false;
  // Files.
  Pages cached;
  Pages durable;
  std::vector<PendingWrite> pending;
  std::uint64_t pending_bytes = 0;
  std::set<std::uint64_t> dirty;  ///< pages of `cached` that no sync has covered
  std::uint64_t allocated = 0;
  std::uint64_t charged = 0;  ///< of the volume's used bytes
  std::uint32_t links = 0;
  std::uint32_t handles = 0;
  // Directories.
  std::map<std::string, std::shared_ptr<Inode>> children;
  std::map<std::string, std::shared_ptr<Inode>> durable_children;
};
using InodePtr = std::shared_ptr<Inode>;

struct Entry {
  InodePtr directory;
  std::string name;
  friend bool operator==(const Entry&, const Entry&) = default;
};

/// A change of names that no sync_directory has covered; atomic, also over two directories.
struct PendingName {
  std::optional<Entry> gone;
  std::optional<Entry> made;
  InodePtr inode;

  bool touches(const InodePtr& directory) const {
    return (gone && gone->directory == directory) || (made && made->directory == directory);
  }
  bool concerns(const Entry& entry) const { return (gone && *gone == entry) || (made && *made == entry); }
  void apply() const {
    if (gone) {
      auto at = gone->directory->durable_children.find(gone->name);
      if (at != gone->directory->durable_children.end() && at->second == inode) {
        gone->directory->durable_children.erase(at);
      }
    }
    if (made) made->directory->durable_children[made->name] = inode;
  }
};

/// One life of the disk: between two crashes.
struct Volume {
  InodePtr root = std::make_shared<Inode>(Inode{.is_directory = true});
  std::vector<PendingName> names;
  std::set<std::string> locks;
  std::uint64_t used = 0;
  bool ghost = false;
};
using VolumePtr = std::shared_ptr<Volume>;

void settle_charge(Volume& volume, Inode& inode);
void mark_dirty(Inode& inode, std::uint64_t position, std::uint64_t length);
void make_durable(Inode& inode);
void apply_whole(Pages& to, const PendingWrite& change);
/// Chosen fates of changes, by their order.
using Fates = std::map<std::uint64_t, Survival>;
/// Sectors that a change touches.
std::uint64_t sectors_of(const PendingWrite& change);
/// What random pieces of the unsynced changes of `inode` leave on the medium, where `fates` does not choose.
Pages torn_contents(const Inode& inode, Random& rng, const Fates& fates = {});
/// A copy of a volume with all that is cached and pending; nobody has a handle on it.
VolumePtr copy_volume(const Volume& from);
std::string name_of(const Fault& fault);

struct Disk::Core {
  explicit Core(std::uint64_t seed, std::uint64_t bytes) : rng(seed), total_bytes(bytes), total_bytes_start(bytes) {}

  struct ArmedFault {
    Fault fault;
    std::uint64_t seen = 0;
    std::uint64_t fired = 0;
  };

  mutable std::recursive_mutex mutex;
  Random rng;
  std::uint64_t total_bytes;
  std::uint64_t total_bytes_start;
  VolumePtr volume = std::make_shared<Volume>();
  VolumePtr next_volume;  ///< what survived a power cut that was not yet followed by restart()
  std::vector<ArmedFault> faults;
  std::uint64_t changes = 0;
  std::uint64_t faults_fired = 0;
  std::size_t open_files = 0;
  std::uint64_t crash_at = 0;
  CrashMode crash_mode = CrashMode::lose_unsynced;
  std::uint64_t next_order = 1;
  Fates fates;  ///< for the cut that is being made
  std::vector<std::function<void(const Operation&)>> hooks;
  std::vector<std::function<void(std::string_view)>> fault_hooks;
  std::vector<std::function<void()>> wake_hooks;
  Stall stall;

  /// The fault of this call, if any. Delays and hangs are noted and let the call go on.
  const Fault* strike(const Volume& v, DiskOp op, std::string_view path) {
    if (v.ghost) return nullptr;
    const Fault* found = nullptr;
    for (ArmedFault& armed : faults) {
      const Fault& f = armed.fault;
      if (f.op != op || path.find(f.path_contains) == std::string_view::npos) continue;
      if (armed.seen++ < f.after) continue;
      if (f.times != Fault::kAlways && armed.fired >= f.times) continue;
      if (f.one_in > 1 && !rng.one_in(f.one_in)) continue;
      ++armed.fired;
      ++faults_fired;
      tell(name_of(f));
      if (f.kind == Fault::Kind::out_of_memory) throw std::bad_alloc();
      if (f.kind == Fault::Kind::delay) {
        stall.delay += f.delay;
      } else if (f.kind == Fault::Kind::hang) {
        stall.hung = true;
      } else if (found == nullptr) {
        found = &f;
      }
    }
    return found;
  }
  void tell(std::string_view name) {
    for (auto& hook : fault_hooks) hook(name);
  }
  static Error error_of(const Fault& fault, DiskOp op, std::string_view path) {
    return {fault.error, "injected fault: " + std::string(to_string(op)) + " " + std::string(path)};
  }

  /// After an operation: counts it, tells the hooks, and cuts the power when it was the one.
  void done(const VolumePtr& v, DiskOp op, std::string_view path, std::uint64_t bytes = 0) {
    if (v->ghost) return;
    if (is_change(op)) ++changes;
    for (auto& hook : hooks) hook({.index = changes, .op = op, .path = path, .bytes = bytes});
    if (is_change(op) && crash_at != 0 && changes == crash_at) {
      crash_at = 0;
      cut(crash_mode);
    }
  }

  void cut(CrashMode mode) {
    if (next_volume) return;
    if (mode == CrashMode::keep_all) {
      next_volume = copy_volume(*volume);
    } else {
      if (mode == CrashMode::random) keep_some_names();
      next_volume = std::make_shared<Volume>();
      copy_tree(*volume->root, *next_volume, *next_volume->root, mode);
    }
    volume->names.clear();
    volume->ghost = true;
  }

  void keep_some_names() {
    // Half of the time as a journal does it, a prefix; half of the time any subset.
    std::vector<PendingName>& names = volume->names;
    if (rng.one_in(2)) {
      std::size_t count = rng.below(names.size() + 1);
      for (std::size_t i = 0; i < count; ++i) names[i].apply();
    } else {
      for (const PendingName& name : names) {
        if (rng.one_in(2)) name.apply();
      }
    }
  }

  void copy_tree(const Inode& from, Volume& to_volume, Inode& to, CrashMode mode) {
    for (const auto& [name, child] : from.durable_children) {
      auto copy = std::make_shared<Inode>(Inode{.is_directory = child->is_directory, .links = 1});
      to.children[name] = copy;
      to.durable_children[name] = copy;
      if (child->is_directory) {
        copy_tree(*child, to_volume, *copy, mode);
        continue;
      }
      if (mode == CrashMode::lose_unsynced) copy->durable = child->durable;
      if (mode == CrashMode::random) copy->durable = torn_contents(*child, rng, fates);
      copy->cached = copy->durable;
      copy->allocated = child->allocated;
      settle_charge(to_volume, *copy);
    }
  }

  void restart() {
    if (!next_volume) return;
    volume = std::exchange(next_volume, nullptr);
    stall = {};
  }

  /// Tells of the fault when it does not.
  bool fits(const Volume& v, std::uint64_t more, DiskOp op) {
    if (v.ghost || v.used + more <= total_bytes) return true;
    tell("enospc_" + std::string(to_string(op)));
    return false;
  }
};

}  // namespace mr::sim
