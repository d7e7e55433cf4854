#include "tests/crashfs/crash_volume.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "base/check.h"

namespace mr::crashfs {

namespace {

constexpr std::uint64_t kSector = 512;

timespec now() {
  timespec at{};
  clock_gettime(CLOCK_REALTIME, &at);
  return at;
}

bool one_in(std::mt19937_64& random, std::uint64_t n) { return random() % n == 0; }

}  // namespace

Volume::Volume(std::string backing) : tree_(backing + "/tree"), orphans_(backing + "/orphans") {
  std::filesystem::remove_all(orphans_);
  std::filesystem::create_directories(orphans_);
  std::filesystem::create_directories(tree_);
  load(add_node(true, nullptr), tree_);
}

Node* Volume::add_node(bool is_directory, Node* parent) {
  auto made = std::make_unique<Node>(Node{.number = nodes_.size() + 1, .is_directory = is_directory, .parent = parent});
  made->modified = now();
  return (nodes_[made->number] = std::move(made)).get();
}

void Volume::load(Node* directory, const std::string& path) {
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    std::string name = entry.path().filename();
    Node* node = add_node(entry.is_directory(), directory);
    node->durable_parent = directory;
    node->durable_name = name;
    directory->children[name] = directory->durable_children[name] = node;
    if (node->is_directory) {
      load(node, entry.path());
    } else {
      node->size = entry.file_size();
    }
  }
}

struct stat Volume::attributes(const Node& node) const {
  struct stat st{};
  st.st_ino = node.number;
  st.st_mode = node.is_directory ? S_IFDIR | 0755 : S_IFREG | 0644;
  st.st_nlink = node.is_directory ? 2 : node.linked;
  st.st_size = static_cast<off_t>(node.size);
  st.st_blocks = static_cast<blkcnt_t>((node.size + 511) / 512);
  st.st_blksize = 4096;
  st.st_mtim = st.st_ctim = st.st_atim = node.modified;
  return st;
}

Node* Volume::find(Node* directory, const std::string& name) {
  auto found = directory->children.find(name);
  return found == directory->children.end() ? nullptr : found->second;
}

int Volume::create(Node* directory, const std::string& name, bool is_directory, Node** made) {
  if (find(directory, name)) return -EEXIST;
  *made = add_node(is_directory, directory);
  directory->children[name] = *made;
  std::string path = durable_path(**made);
  if (is_directory) {
    MR_CHECK(::mkdir(path.c_str(), 0755) == 0);
  } else {
    MR_CHECK(durable_file(**made) >= 0);
  }
  names_.push_back({.gone = std::nullopt, .made = Entry{directory, name}, .node = *made});
  return 0;
}

int Volume::remove(Node* directory, const std::string& name, bool is_directory) {
  Node* node = find(directory, name);
  if (!node) return -ENOENT;
  if (node->is_directory != is_directory) return is_directory ? -ENOTDIR : -EISDIR;
  if (!node->children.empty()) return -ENOTEMPTY;
  directory->children.erase(name);
  node->linked = false;
  names_.push_back({.gone = Entry{directory, name}, .made = std::nullopt, .node = node});
  return 0;
}

int Volume::rename(const Entry& from, const Entry& to) {
  Node* node = find(from.directory, from.name);
  if (!node) return -ENOENT;
  if (Node* old = find(to.directory, to.name)) {
    if (old == node) return 0;
    if (old->is_directory != node->is_directory) return old->is_directory ? -EISDIR : -ENOTDIR;
    if (!old->children.empty()) return -ENOTEMPTY;
    old->linked = false;
  }
  from.directory->children.erase(from.name);
  to.directory->children[to.name] = node;
  node->parent = to.directory;
  names_.push_back({.gone = from, .made = to, .node = node});
  return 0;
}

std::vector<char> Volume::read(Node& file, std::uint64_t position, std::uint64_t length) {
  if (position >= file.size) return {};
  std::vector<char> out(std::min(length, file.size - position));
  std::size_t done = 0;
  while (done < out.size()) {
    ssize_t n = ::pread(durable_file(file), out.data() + done, out.size() - done, static_cast<off_t>(position + done));
    MR_CHECK(n >= 0);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  std::uint64_t end = position + out.size();
  for (const PendingWrite& change : file.pending) {
    if (change.is_truncate) {
      std::uint64_t cut = std::clamp(change.position, position, end);
      std::fill(out.begin() + static_cast<std::ptrdiff_t>(cut - position), out.end(), 0);
      continue;
    }
    std::uint64_t first = std::max(position, change.position);
    std::uint64_t last = std::min(end, change.position + change.bytes.size());
    if (first < last) std::memcpy(&out[first - position], &change.bytes[first - change.position], last - first);
  }
  return out;
}

void Volume::write(Node& file, std::span<const char> bytes, std::uint64_t position) {
  file.pending.push_back({.position = position, .bytes = {bytes.begin(), bytes.end()}});
  file.size = std::max(file.size, position + bytes.size());
  file.modified = now();
}

void Volume::truncate(Node& file, std::uint64_t size) {
  file.pending.push_back({.position = size, .is_truncate = true});
  file.size = size;
  file.modified = now();
}

std::string Volume::durable_path(const Node& node) const {
  if (node.number == 1) return tree_;
  if (!node.durable_parent) return orphans_ + "/" + std::to_string(node.number);
  return durable_path(*node.durable_parent) + "/" + node.durable_name;
}

/// The open file in BACKING, wherever it lies there.
int Volume::durable_file(Node& file) {
  if (file.durable_file < 0) file.durable_file = ::open(durable_path(file).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  MR_CHECK(file.durable_file >= 0);
  return file.durable_file;
}

void Volume::closed(Node& node) {
  if (--node.opens > 0 || node.durable_file < 0 || !node.pending.empty()) return;
  ::close(node.durable_file);
  node.durable_file = -1;
}

/// Gives `node` its durable name; without `directory` it goes to the orphans.
void Volume::move_durable(Node& node, Node* directory, const std::string& name) {
  std::string from = durable_path(node);
  if (node.durable_parent) node.durable_parent->durable_children.erase(node.durable_name);
  if (directory) directory->durable_children[name] = &node;
  node.durable_parent = directory;
  node.durable_name = name;
  std::string to = durable_path(node);
  if (from != to) MR_CHECK(::rename(from.c_str(), to.c_str()) == 0);
}

void Volume::apply(const PendingName& change) {
  if (change.gone) {
    auto at = change.gone->directory->durable_children.find(change.gone->name);
    if (at != change.gone->directory->durable_children.end() && at->second == change.node)
      move_durable(*change.node, nullptr, "");
  }
  if (change.made) {
    auto old = change.made->directory->durable_children.find(change.made->name);
    if (old != change.made->directory->durable_children.end() && old->second != change.node)
      move_durable(*old->second, nullptr, "");
    move_durable(*change.node, change.made->directory, change.made->name);
  }
}

void Volume::apply(Node& file, const PendingWrite& change) {
  int descriptor = durable_file(file);
  if (change.is_truncate) {
    MR_CHECK(::ftruncate(descriptor, static_cast<off_t>(change.position)) == 0);
    return;
  }
  ssize_t n = ::pwrite(descriptor, change.bytes.data(), change.bytes.size(), static_cast<off_t>(change.position));
  MR_CHECK(n == static_cast<ssize_t>(change.bytes.size()));
}

void Volume::sync_contents(Node& file) {
  for (const PendingWrite& change : file.pending) apply(file, change);
  file.pending.clear();
}

/// A rename takes its other half along, and with that the older changes of the same names there.
void Volume::sync_names(Node* directory) {
  for (std::size_t i = 0; i < names_.size();) {
    if (!names_[i].touches(directory)) {
      ++i;
      continue;
    }
    PendingName change = names_[i];
    apply(change);
    auto here = names_.begin() + static_cast<std::ptrdiff_t>(i);
    auto overtaken = [&](const PendingName& older) {
      return (change.gone && older.concerns(*change.gone)) || (change.made && older.concerns(*change.made));
    };
    auto kept = std::remove_if(names_.begin(), here, overtaken);
    i = static_cast<std::size_t>(kept - names_.begin());
    names_.erase(kept, here + 1);
  }
}

void Volume::sync_all() {
  for (const PendingName& change : names_) apply(change);
  names_.clear();
  for (auto& [number, node] : nodes_) {
    if (!node->is_directory) sync_contents(*node);
  }
}

CrashReport Volume::crash(std::optional<std::uint64_t> seed) {
  CrashReport report;
  if (!seed) {
    report.names_lost = names_.size();
    for (auto& [number, node] : nodes_) report.writes_lost += node->pending.size();
    return report;
  }
  std::mt19937_64 random(*seed);
  keep_some_names(random, report);
  for (std::uint64_t number = 1; number <= nodes_.size(); ++number) keep_some_writes(*node(number), random, report);
  return report;
}

/// Half of the time a prefix, as a journal does it; half of the time any subset.
void Volume::keep_some_names(std::mt19937_64& random, CrashReport& report) {
  bool prefix = one_in(random, 2);
  std::size_t count = random() % (names_.size() + 1);
  for (std::size_t i = 0; i < names_.size(); ++i) {
    bool keep = prefix ? i < count : one_in(random, 2);
    if (keep) apply(names_[i]);
    ++(keep ? report.names_kept : report.names_lost);
  }
}

void Volume::keep_some_writes(Node& file, std::mt19937_64& random, CrashReport& report) {
  std::uint64_t taste = random() % 3;  // mostly lost, mixed, mostly kept
  for (const PendingWrite& change : file.pending) {
    std::uint64_t draw = random() % 6;
    if (draw < 1 + taste) {
      apply(file, change);
      ++report.writes_kept;
    } else if (draw >= 4 && !change.is_truncate) {
      apply_torn(file, change, random);
      ++report.writes_torn;
    } else {
      ++report.writes_lost;
    }
  }
  // The new size may reach the medium before the data does: the rest reads as zeros.
  if (file.pending.empty() || !one_in(random, 4)) return;
  if (std::filesystem::file_size(durable_path(file)) < file.size)
    apply(file, {.position = file.size, .is_truncate = true});
}

void Volume::apply_torn(Node& file, const PendingWrite& change, std::mt19937_64& random) {
  std::uint64_t end = change.position + change.bytes.size();
  for (std::uint64_t at = change.position; at < end;) {
    std::uint64_t next = std::min((at / kSector + 1) * kSector, end);
    if (one_in(random, 2)) {
      const char* from = &change.bytes[at - change.position];
      apply(file, {.position = at, .bytes = {from, from + (next - at)}});
    }
    at = next;
  }
}

}  // namespace mr::crashfs
