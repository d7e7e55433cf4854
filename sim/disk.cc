#include "sim/disk.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "sim/disk_file.h"
#include "sim/disk_volume.h"

namespace mr::sim {

namespace {

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
      if (!core_->fits(*volume_, Pages::kPage, DiskOp::create)) return Error(Errc::disk_full, path);
      inode = std::make_shared<Inode>();
      link(*entry, inode);
    }
    auto file = make_file(core_, volume_, inode, path, mode != OpenMode::read);
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
      if (!core_->fits(*volume_, Pages::kPage, DiskOp::make_directory)) return Error(Errc::disk_full, path);
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

namespace {
/// All changes that are pending on files with a name in `directory` or below.
void collect(const Inode& directory, const std::string& path, std::map<std::uint64_t, Disk::Unsynced>& into) {
  for (const auto& [name, child] : directory.children) {
    if (child->is_directory) {
      collect(*child, path + "/" + name, into);
      continue;
    }
    for (const PendingWrite& change : child->pending) {
      into.try_emplace(change.order, Disk::Unsynced{.path = path + "/" + name, .sectors = sectors_of(change)});
    }
  }
}
}  // namespace

void Disk::crash(const std::vector<Survival>& youngest) {
  std::lock_guard guard(core_->mutex);
  std::map<std::uint64_t, Unsynced> changes;
  collect(*core_->volume->root, "", changes);
  auto fate = youngest.rbegin();
  for (auto at = changes.rbegin(); at != changes.rend() && fate != youngest.rend(); ++at, ++fate) {
    core_->fates[at->first] = *fate;
  }
  crash(CrashMode::random);
  core_->fates.clear();
}

std::vector<Disk::Unsynced> Disk::unsynced() const {
  std::lock_guard guard(core_->mutex);
  std::map<std::uint64_t, Unsynced> changes;
  collect(*core_->volume->root, "", changes);
  std::vector<Unsynced> all;
  for (auto& [order, change] : changes) all.push_back(std::move(change));
  return all;
}

std::unique_ptr<Disk> Disk::fork(std::uint64_t seed) const {
  std::lock_guard guard(core_->mutex);
  auto copy = std::make_unique<Disk>(seed, core_->total_bytes_start);
  copy->core_->volume = copy_volume(*core_->volume);
  copy->core_->next_order = core_->next_order;
  return copy;
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

std::size_t Disk::open_files() const {
  std::lock_guard guard(core_->mutex);
  return core_->open_files;
}

void Disk::flip_bit(const std::string& path, std::uint64_t position, unsigned bit) {
  std::lock_guard guard(core_->mutex);
  InodePtr inode = find(*core_->volume, split(path));
  MR_CHECK(inode && !inode->is_directory);
  core_->tell("flipped_medium");
  inode->cached.flip_bit(position, bit);
  if (position < inode->durable.size()) inode->durable.flip_bit(position, bit);
}

void Disk::on_operation(std::function<void(const Operation&)> hook) {
  std::lock_guard guard(core_->mutex);
  core_->hooks.push_back(std::move(hook));
}

void Disk::on_fault(std::function<void(std::string_view)> hook) {
  std::lock_guard guard(core_->mutex);
  core_->fault_hooks.push_back(std::move(hook));
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
