#include "sim/disk.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "base/check.h"
#include "sim/pages.h"

namespace mr::sim {

namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kFileBytesMax = 4_GiB;
constexpr std::uint64_t kPendingBytesMax = 16_MiB;

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    std::size_t slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    MR_CHECK(part != "..");
    if (!part.empty() && part != ".") parts.emplace_back(part);
  }
  return parts;
}

}  // namespace

std::string_view to_string(DiskOp op) {
  switch (op) {
    case DiskOp::open:
      return "open";
    case DiskOp::create:
      return "create";
    case DiskOp::read:
      return "read";
    case DiskOp::write:
      return "write";
    case DiskOp::sync:
      return "sync";
    case DiskOp::truncate:
      return "truncate";
    case DiskOp::allocate:
      return "allocate";
    case DiskOp::make_directory:
      return "make_directory";
    case DiskOp::rename:
      return "rename";
    case DiskOp::remove:
      return "remove";
    case DiskOp::sync_directory:
      return "sync_directory";
    case DiskOp::list:
      return "list";
  }
  return "?";
}

bool is_change(DiskOp op) { return op != DiskOp::open && op != DiskOp::read && op != DiskOp::list; }

namespace {

/// A change of contents that no sync has covered.
struct PendingWrite {
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

void settle_charge(Volume& volume, Inode& inode) {
  std::uint64_t want = 0;
  if (inode.links + inode.handles > 0) {
    std::uint64_t pages = (inode.cached.size() + Pages::kPage - 1) / Pages::kPage;
    want = std::max(pages * Pages::kPage, inode.allocated);
  }
  volume.used = volume.used - inode.charged + want;
  inode.charged = want;
}

void mark_dirty(Inode& inode, std::uint64_t position, std::uint64_t length) {
  if (length == 0) return;
  for (std::uint64_t p = position / Pages::kPage; p <= (position + length - 1) / Pages::kPage; ++p) {
    inode.dirty.insert(p);
  }
}

void make_durable(Inode& inode) {
  // The durable view first gets the size, which cuts or zero-fills, then the pages.
  inode.durable.truncate(inode.cached.size());
  for (std::uint64_t page : inode.dirty) inode.durable.share_page(inode.cached, page);
  inode.dirty.clear();
  inode.pending.clear();
  inode.pending_bytes = 0;
}

void apply_whole(Pages& to, const PendingWrite& change) {
  if (change.is_truncate) {
    to.truncate(change.position);
  } else {
    to.write(change.bytes, change.position);
  }
}

/// Applies some sectors of `change` to what is on the medium.
void apply_torn(Pages& to, const PendingWrite& change, Random& rng) {
  if (change.is_truncate) {
    if (rng.one_in(2)) to.truncate(change.position);
    return;
  }
  std::uint64_t end = change.position + change.bytes.size();
  for (std::uint64_t at = change.position; at < end;) {
    std::uint64_t next = std::min((at / kSector + 1) * kSector, end);
    if (rng.one_in(2)) to.write(ByteView(change.bytes).subspan(at - change.position, next - at), at);
    at = next;
  }
}

/// What random pieces of the unsynced changes of `inode` leave on the medium.
Pages torn_contents(const Inode& inode, Random& rng) {
  Pages left = inode.durable;
  std::uint64_t taste = rng.below(3);  // mostly lost, mixed, mostly kept
  for (const PendingWrite& change : inode.pending) {
    std::uint64_t draw = rng.below(6);
    if (draw < 1 + taste) {
      apply_whole(left, change);
    } else if (draw == 5 || draw == 1 + taste) {
      apply_torn(left, change, rng);
    }
  }
  // The new size may reach the medium before the data does: the rest reads as zeros.
  if (left.size() < inode.cached.size() && rng.one_in(4)) left.truncate(inode.cached.size());
  return left;
}

}  // namespace

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
  std::uint64_t crash_at = 0;
  CrashMode crash_mode = CrashMode::lose_unsynced;
  std::vector<std::function<void(const Operation&)>> hooks;
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
    if (mode == CrashMode::random) keep_some_names();
    if (mode == CrashMode::keep_all) {
      for (const PendingName& name : volume->names) name.apply();
    }
    volume->names.clear();
    next_volume = std::make_shared<Volume>();
    copy_tree(*volume->root, *next_volume, *next_volume->root, mode);
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
      if (mode == CrashMode::keep_all) copy->durable = child->cached;
      if (mode == CrashMode::random) copy->durable = torn_contents(*child, rng);
      copy->cached = copy->durable;
      settle_charge(to_volume, *copy);
    }
  }

  void restart() {
    if (!next_volume) return;
    volume = std::exchange(next_volume, nullptr);
    stall = {};
  }

  bool fits(const Volume& v, std::uint64_t more) const { return v.ghost || v.used + more <= total_bytes; }
};

namespace {

InodePtr find(const Volume& volume, const std::vector<std::string>& parts) {
  InodePtr at = volume.root;
  for (const std::string& part : parts) {
    auto child = at->children.find(part);
    if (child == at->children.end()) return nullptr;
    at = child->second;
  }
  return at;
}

/// The directory that holds (or would hold) the last part; nothing when it is missing or no directory.
std::optional<Entry> find_entry(const Volume& volume, std::vector<std::string> parts) {
  if (parts.empty()) return std::nullopt;
  std::string name = std::move(parts.back());
  parts.pop_back();
  InodePtr directory = find(volume, parts);
  if (!directory || !directory->is_directory) return std::nullopt;
  return Entry{std::move(directory), std::move(name)};
}

Error missing(const std::string& path) { return {Errc::not_found, path}; }

class SimFile final : public File {
 public:
  SimFile(std::shared_ptr<Disk::Core> core, VolumePtr volume, InodePtr inode, std::string path, bool writable)
      : core_(std::move(core)),
        volume_(std::move(volume)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        writable_(writable) {
    ++inode_->handles;
  }
  ~SimFile() override {
    std::lock_guard guard(core_->mutex);
    --inode_->handles;
    settle_charge(*volume_, *inode_);
  }

  Result<std::size_t> read_at(MutableBytes into, std::uint64_t position) override {
    std::lock_guard guard(core_->mutex);
    const Fault* fault = core_->strike(*volume_, DiskOp::read, path_);
    if (fault && fault->kind == Fault::Kind::fail) return Disk::Core::error_of(*fault, DiskOp::read, path_);
    std::size_t count = inode_->cached.read(into, position);
    if (fault && fault->kind == Fault::Kind::flip_bit && count > 0) {
      into[core_->rng.below(count)] ^= std::byte(1u << core_->rng.below(8));
    }
    core_->done(volume_, DiskOp::read, path_, count);
    return count;
  }

  using File::write_at;
  Result<void> write_at(std::span<const ByteView> pieces, std::uint64_t position) override {
    std::lock_guard guard(core_->mutex);
    if (!writable_) return Error(Errc::permission_denied, path_);
    std::vector<std::byte> bytes;
    for (ByteView piece : pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());
    if (position + bytes.size() > kFileBytesMax) return Error(Errc::io_error, path_ + ": too large for a simulation");
    const Fault* fault = core_->strike(*volume_, DiskOp::write, path_);
    std::optional<Error> error;
    if (fault && fault->kind == Fault::Kind::fail) error = Disk::Core::error_of(*fault, DiskOp::write, path_);
    if (!error && !core_->fits(*volume_, growth(position + bytes.size()))) {
      error = Error(Errc::disk_full, path_);
    }
    if (error) bytes.resize(core_->rng.below(bytes.size() + 1));
    if (error && !core_->fits(*volume_, growth(position + bytes.size()))) bytes.clear();
    std::uint64_t count = bytes.size();
    write(std::move(bytes), position);
    core_->done(volume_, DiskOp::write, path_, count);
    if (error) return *std::move(error);
    return {};
  }

  Result<void> sync() override {
    std::lock_guard guard(core_->mutex);
    const Fault* fault = core_->strike(*volume_, DiskOp::sync, path_);
    if (fault && fault->kind == Fault::Kind::fail) {
      // As Linux does it: the pages count as clean from now on, whether or not they reached the medium.
      inode_->durable = torn_contents(*inode_, core_->rng);
      inode_->dirty.clear();
      inode_->pending.clear();
      inode_->pending_bytes = 0;
      core_->done(volume_, DiskOp::sync, path_);
      return Disk::Core::error_of(*fault, DiskOp::sync, path_);
    }
    if (!fault || fault->kind != Fault::Kind::lie) make_durable(*inode_);
    core_->done(volume_, DiskOp::sync, path_);
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    std::lock_guard guard(core_->mutex);
    if (!writable_) return Error(Errc::permission_denied, path_);
    if (size > kFileBytesMax) return Error(Errc::io_error, path_ + ": too large for a simulation");
    const Fault* fault = core_->strike(*volume_, DiskOp::truncate, path_);
    if (fault && fault->kind == Fault::Kind::fail) return Disk::Core::error_of(*fault, DiskOp::truncate, path_);
    if (!core_->fits(*volume_, growth(size))) return Error(Errc::disk_full, path_);
    std::uint64_t old_size = inode_->cached.size();
    inode_->cached.truncate(size);
    if (size < old_size) {
      mark_dirty(*inode_, size, old_size - size);
      inode_->allocated = std::min(inode_->allocated, size);
    }
    if (!volume_->ghost) inode_->pending.push_back({.position = size, .bytes = {}, .is_truncate = true});
    settle_charge(*volume_, *inode_);
    core_->done(volume_, DiskOp::truncate, path_);
    return {};
  }

  Result<std::uint64_t> size() override {
    std::lock_guard guard(core_->mutex);
    return inode_->cached.size();
  }

  Result<void> allocate(std::uint64_t size) override {
    std::lock_guard guard(core_->mutex);
    if (!writable_) return Error(Errc::permission_denied, path_);
    const Fault* fault = core_->strike(*volume_, DiskOp::allocate, path_);
    if (fault && fault->kind == Fault::Kind::fail) return Disk::Core::error_of(*fault, DiskOp::allocate, path_);
    if (!core_->fits(*volume_, growth(size))) return Error(Errc::disk_full, path_);
    inode_->allocated = std::max(inode_->allocated, size);
    settle_charge(*volume_, *inode_);
    core_->done(volume_, DiskOp::allocate, path_);
    return {};
  }

  void drop_cache() override {
    // Clean pages are read from the medium again: after a failed sync they may differ from what the cache had.
    std::lock_guard guard(core_->mutex);
    std::uint64_t pages = (inode_->cached.size() + Pages::kPage - 1) / Pages::kPage;
    for (std::uint64_t page = 0; page < pages; ++page) {
      if (!inode_->dirty.contains(page)) inode_->cached.share_page(inode_->durable, page);
    }
  }

  int native_handle() const override { return -1; }

 private:
  std::uint64_t growth(std::uint64_t size) const {
    std::uint64_t pages = (size + Pages::kPage - 1) / Pages::kPage * Pages::kPage;
    return pages > inode_->charged ? pages - inode_->charged : 0;
  }

  void write(std::vector<std::byte> bytes, std::uint64_t position) {
    if (bytes.empty()) return;
    inode_->cached.write(bytes, position);
    settle_charge(*volume_, *inode_);
    if (volume_->ghost) return;
    mark_dirty(*inode_, position, bytes.size());
    inode_->pending_bytes += bytes.size();
    inode_->pending.push_back({.position = position, .bytes = std::move(bytes)});
    if (inode_->pending_bytes > kPendingBytesMax) write_back();
  }

  /// The kernel does not hold dirty pages for ever: the older half goes to the medium. Bounds our memory, too.
  void write_back() {
    std::size_t count = (inode_->pending.size() + 1) / 2;
    for (std::size_t i = 0; i < count; ++i) {
      apply_whole(inode_->durable, inode_->pending[i]);
      inode_->pending_bytes -= inode_->pending[i].bytes.size();
    }
    inode_->pending.erase(inode_->pending.begin(), inode_->pending.begin() + static_cast<std::ptrdiff_t>(count));
  }

  std::shared_ptr<Disk::Core> core_;
  VolumePtr volume_;
  InodePtr inode_;
  std::string path_;
  bool writable_;
};

class SimLock final : public FileLock {
 public:
  SimLock(std::shared_ptr<Disk::Core> core, VolumePtr volume, std::string key)
      : core_(std::move(core)), volume_(std::move(volume)), key_(std::move(key)) {}
  ~SimLock() override {
    std::lock_guard guard(core_->mutex);
    volume_->locks.erase(key_);
  }

 private:
  std::shared_ptr<Disk::Core> core_;
  VolumePtr volume_;
  std::string key_;
};

/// The file system calls on one volume.
class View final : public FileSystem {
 public:
  View(std::shared_ptr<Disk::Core> core, VolumePtr volume) : core_(std::move(core)), volume_(std::move(volume)) {}

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    std::lock_guard guard(core_->mutex);
    MR_TRY_VOID(struck(DiskOp::open, path));
    std::optional<Entry> entry = find_entry(*volume_, split(path));
    if (!entry) return missing(path);
    auto found = entry->directory->children.find(entry->name);
    bool there = found != entry->directory->children.end();
    if (there && found->second->is_directory) return Error(Errc::io_error, path + ": is a directory");
    if (there && mode == OpenMode::create_new) return Error(Errc::already_exists, path);
    if (!there && (mode == OpenMode::read || mode == OpenMode::read_write)) return missing(path);
    InodePtr inode;
    if (there) {
      inode = found->second;
      core_->done(volume_, DiskOp::open, path);
    } else {
      MR_TRY_VOID(struck(DiskOp::create, path));
      if (!core_->fits(*volume_, Pages::kPage)) return Error(Errc::disk_full, path);
      inode = std::make_shared<Inode>();
      link(*entry, inode);
    }
    auto file = std::make_unique<SimFile>(core_, volume_, inode, path, mode != OpenMode::read);
    if (!there) core_->done(volume_, DiskOp::create, path);
    return file;
  }

  Result<void> make_directories(const std::string& path) override {
    std::lock_guard guard(core_->mutex);
    InodePtr at = volume_->root;
    for (const std::string& part : split(path)) {
      auto found = at->children.find(part);
      if (found != at->children.end()) {
        if (!found->second->is_directory) return Error(Errc::already_exists, path + ": a file is in the way");
        at = found->second;
        continue;
      }
      MR_TRY_VOID(struck(DiskOp::make_directory, path));
      if (!core_->fits(*volume_, Pages::kPage)) return Error(Errc::disk_full, path);
      auto made = std::make_shared<Inode>(Inode{.is_directory = true});
      link({at, part}, made);
      at = made;
      core_->done(volume_, DiskOp::make_directory, path);
    }
    return {};
  }

  Result<std::vector<DirEntry>> list(const std::string& path) override {
    std::lock_guard guard(core_->mutex);
    MR_TRY_VOID(struck(DiskOp::list, path));
    InodePtr inode = find(*volume_, split(path));
    if (!inode || !inode->is_directory) return missing(path);
    std::vector<DirEntry> entries;
    for (const auto& [name, child] : inode->children) {
      entries.push_back({.name = name, .is_directory = child->is_directory});
    }
    // A real directory has no order; nobody may depend on one.
    for (std::size_t i = entries.size(); i > 1; --i) std::swap(entries[i - 1], entries[core_->rng.below(i)]);
    core_->done(volume_, DiskOp::list, path);
    return entries;
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    std::lock_guard guard(core_->mutex);
    MR_TRY_VOID(struck(DiskOp::rename, from));
    std::optional<Entry> source = find_entry(*volume_, split(from));
    std::optional<Entry> target = find_entry(*volume_, split(to));
    if (!source || !source->directory->children.contains(source->name)) return missing(from);
    if (!target) return missing(to);
    InodePtr inode = source->directory->children[source->name];
    auto old = target->directory->children.find(target->name);
    if (old != target->directory->children.end()) {
      InodePtr replaced = old->second;
      if (replaced == inode) return {};
      if (replaced->is_directory != inode->is_directory) return Error(Errc::already_exists, to);
      if (!replaced->children.empty()) return Error(Errc::already_exists, to + ": directory not empty");
      --replaced->links;
      target->directory->children.erase(old);
      settle_charge(*volume_, *replaced);
    }
    source->directory->children.erase(source->name);
    target->directory->children[target->name] = inode;
    note({.gone = source, .made = target, .inode = inode});
    core_->done(volume_, DiskOp::rename, to);
    return {};
  }

  Result<void> remove(const std::string& path) override {
    std::lock_guard guard(core_->mutex);
    MR_TRY_VOID(struck(DiskOp::remove, path));
    std::optional<Entry> entry = find_entry(*volume_, split(path));
    if (!entry || !entry->directory->children.contains(entry->name)) return missing(path);
    if (!entry->directory->children[entry->name]->children.empty()) {
      return Error(Errc::io_error, path + ": directory not empty");
    }
    unlink(*entry, path);
    return {};
  }

  Result<void> remove_all(const std::string& path) override {
    std::lock_guard guard(core_->mutex);
    std::optional<Entry> entry = find_entry(*volume_, split(path));
    if (!entry || !entry->directory->children.contains(entry->name)) return {};
    return remove_tree(*entry, path);
  }

  Result<void> sync_directory(const std::string& path) override {
    std::lock_guard guard(core_->mutex);
    const Fault* fault = core_->strike(*volume_, DiskOp::sync_directory, path);
    if (fault && fault->kind == Fault::Kind::fail) {
      return Disk::Core::error_of(*fault, DiskOp::sync_directory, path);
    }
    InodePtr directory = find(*volume_, split(path));
    if (!directory || !directory->is_directory) return missing(path);
    if (!fault || fault->kind != Fault::Kind::lie) settle_names(directory);
    core_->done(volume_, DiskOp::sync_directory, path);
    return {};
  }

  Result<bool> exists(const std::string& path) override {
    std::lock_guard guard(core_->mutex);
    return find(*volume_, split(path)) != nullptr;
  }

  Result<SpaceInfo> space(const std::string& path) override {
    std::lock_guard guard(core_->mutex);
    if (!find(*volume_, split(path))) return missing(path);
    std::uint64_t total = core_->total_bytes;
    return SpaceInfo{.total_bytes = total, .free_bytes = total > volume_->used ? total - volume_->used : 0};
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    std::lock_guard guard(core_->mutex);
    MR_TRY(auto file, open(path, OpenMode::create));
    std::string key;
    for (const std::string& part : split(path)) key += "/" + part;
    if (!volume_->locks.insert(key).second) return Error(Errc::in_use, path);
    return std::make_unique<SimLock>(core_, volume_, std::move(key));
  }

 private:
  Result<void> struck(DiskOp op, const std::string& path) {
    const Fault* fault = core_->strike(*volume_, op, path);
    if (fault && fault->kind == Fault::Kind::fail) return Disk::Core::error_of(*fault, op, path);
    return {};
  }

  void note(PendingName change) {
    if (!volume_->ghost) volume_->names.push_back(std::move(change));
  }

  void link(const Entry& entry, const InodePtr& inode) {
    ++inode->links;
    entry.directory->children[entry.name] = inode;
    note({.gone = std::nullopt, .made = entry, .inode = inode});
  }

  void unlink(const Entry& entry, const std::string& path) {
    auto at = entry.directory->children.find(entry.name);
    InodePtr inode = at->second;
    entry.directory->children.erase(at);
    --inode->links;
    settle_charge(*volume_, *inode);
    note({.gone = entry, .made = std::nullopt, .inode = inode});
    core_->done(volume_, DiskOp::remove, path);
  }

  Result<void> remove_tree(const Entry& entry, const std::string& path) {
    InodePtr inode = entry.directory->children[entry.name];
    while (!inode->children.empty()) {
      std::string name = inode->children.begin()->first;
      MR_TRY_VOID(remove_tree({inode, name}, path + "/" + name));
    }
    MR_TRY_VOID(struck(DiskOp::remove, path));
    unlink(entry, path);
    return {};
  }

  /// Makes the names of `directory` durable. A rename into it takes its other half along, and with that the older
  /// changes of the same name there.
  void settle_names(const InodePtr& directory) {
    std::vector<PendingName>& names = volume_->names;
    for (std::size_t i = 0; i < names.size();) {
      if (!names[i].touches(directory)) {
        ++i;
        continue;
      }
      PendingName change = names[i];
      change.apply();
      names.erase(names.begin() + static_cast<std::ptrdiff_t>(i));
      for (std::size_t j = i; j-- > 0;) {
        bool same =
            (change.gone && names[j].concerns(*change.gone)) || (change.made && names[j].concerns(*change.made));
        if (!same) continue;
        names.erase(names.begin() + static_cast<std::ptrdiff_t>(j));
        --i;
      }
    }
  }

  std::shared_ptr<Disk::Core> core_;
  VolumePtr volume_;
};

}  // namespace

Disk::Disk(std::uint64_t seed, std::uint64_t total_bytes) : core_(std::make_shared<Core>(seed, total_bytes)) {}
Disk::~Disk() = default;

namespace {
View current(const std::shared_ptr<Disk::Core>& core) {
  std::lock_guard guard(core->mutex);
  return {core, core->volume};
}
}  // namespace

Result<std::unique_ptr<File>> Disk::open(const std::string& path, OpenMode mode) {
  return current(core_).open(path, mode);
}
Result<void> Disk::make_directories(const std::string& path) { return current(core_).make_directories(path); }
Result<std::vector<DirEntry>> Disk::list(const std::string& path) { return current(core_).list(path); }
Result<void> Disk::rename(const std::string& from, const std::string& to) { return current(core_).rename(from, to); }
Result<void> Disk::remove(const std::string& path) { return current(core_).remove(path); }
Result<void> Disk::remove_all(const std::string& path) { return current(core_).remove_all(path); }
Result<void> Disk::sync_directory(const std::string& path) { return current(core_).sync_directory(path); }
Result<bool> Disk::exists(const std::string& path) { return current(core_).exists(path); }
Result<SpaceInfo> Disk::space(const std::string& path) { return current(core_).space(path); }
Result<std::unique_ptr<FileLock>> Disk::lock(const std::string& path) { return current(core_).lock(path); }

std::unique_ptr<FileSystem> Disk::attach() {
  std::lock_guard guard(core_->mutex);
  return std::make_unique<View>(core_, core_->volume);
}

void Disk::crash(CrashMode mode) {
  std::lock_guard guard(core_->mutex);
  core_->crash_at = 0;
  core_->cut(mode);
  core_->restart();
}

void Disk::crash_after(std::uint64_t operations, CrashMode mode) {
  std::lock_guard guard(core_->mutex);
  core_->crash_at = operations == 0 ? 0 : core_->changes + operations;
  core_->crash_mode = mode;
}

bool Disk::crashed() const {
  std::lock_guard guard(core_->mutex);
  return core_->next_volume != nullptr;
}

void Disk::restart() {
  std::lock_guard guard(core_->mutex);
  core_->restart();
}

void Disk::add_fault(Fault fault) {
  std::lock_guard guard(core_->mutex);
  core_->faults.push_back({.fault = std::move(fault)});
}

void Disk::drop_faults(Fault::Kind kind) {
  std::lock_guard guard(core_->mutex);
  std::erase_if(core_->faults, [&](const Core::ArmedFault& armed) { return armed.fault.kind == kind; });
}

void Disk::heal() {
  {
    std::lock_guard guard(core_->mutex);
    core_->faults.clear();
    core_->total_bytes = core_->total_bytes_start;
  }
  wake_hung();
}

void Disk::wake_hung() {
  std::vector<std::function<void()>> hooks;
  {
    std::lock_guard guard(core_->mutex);
    hooks = core_->wake_hooks;
  }
  for (auto& hook : hooks) hook();
}

void Disk::set_total_bytes(std::uint64_t total_bytes) {
  std::lock_guard guard(core_->mutex);
  core_->total_bytes = total_bytes;
}

std::uint64_t Disk::used_bytes() const {
  std::lock_guard guard(core_->mutex);
  return core_->volume->used;
}

void Disk::flip_bit(const std::string& path, std::uint64_t position, unsigned bit) {
  std::lock_guard guard(core_->mutex);
  InodePtr inode = find(*core_->volume, split(path));
  MR_CHECK(inode && !inode->is_directory);
  inode->cached.flip_bit(position, bit);
  if (position < inode->durable.size()) inode->durable.flip_bit(position, bit);
}

void Disk::on_operation(std::function<void(const Operation&)> hook) {
  std::lock_guard guard(core_->mutex);
  core_->hooks.push_back(std::move(hook));
}

void Disk::on_wake(std::function<void()> hook) {
  std::lock_guard guard(core_->mutex);
  core_->wake_hooks.push_back(std::move(hook));
}

std::uint64_t Disk::changes() const {
  std::lock_guard guard(core_->mutex);
  return core_->changes;
}

std::uint64_t Disk::faults_fired() const {
  std::lock_guard guard(core_->mutex);
  return core_->faults_fired;
}

Result<std::vector<std::byte>> Disk::durable_bytes(const std::string& path) const {
  std::lock_guard guard(core_->mutex);
  InodePtr at = core_->volume->root;
  for (const std::string& part : split(path)) {
    auto child = at->durable_children.find(part);
    if (child == at->durable_children.end()) return missing(path);
    at = child->second;
  }
  std::vector<std::byte> bytes(at->durable.size());
  (void)at->durable.read(bytes, 0);
  return bytes;
}

Disk::Stall Disk::take_stall() {
  std::lock_guard guard(core_->mutex);
  return std::exchange(core_->stall, {});
}

}  // namespace mr::sim
