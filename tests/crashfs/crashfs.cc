// A file system for tests (FUSE): programs see all they have written; a crash leaves of it what they have synced.
//
//   crashfs BACKING MOUNTPOINT        prints "ready", then obeys lines on standard input:
//     freeze N        answers nothing any more after the N-th change from now, and prints "frozen"
//     crash           drops what no sync has covered (see Volume), unmounts, ends; prints a line of counts
//     crash SEED      keeps a random subset of it, torn at 512 bytes
//     stop            keeps everything, as an orderly shutdown does; unmounts, ends
//   The end of standard input is a crash, so that nothing stays mounted when the test dies.
//
// A crash at an exact operation: freeze N, wait for "frozen", kill -9 the program under test, crash.
#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <thread>

#include "tests/crashfs/crash_volume.h"

namespace mr::crashfs {
namespace {

constexpr double kForever = 1e9;  // nobody but the kernel changes anything here

/// One at a time: the loop of requests, or the thread of commands.
struct Server {
  std::unique_ptr<Volume> volume;
  std::string backing;
  std::string mountpoint;
  fuse_session* session = nullptr;
  std::mutex mutex;
  std::condition_variable never;
  std::uint64_t changes_left = 0;  ///< until the freeze; 0: none is wanted
};
Server server;

Volume& volume() { return *server.volume; }
Node& node_of(fuse_ino_t number) { return *volume().node(number); }

void say(const std::string& line) { std::cout << line << std::endl; }

/// Called in the middle of each change, before its answer. After the last one nobody is answered any more.
void count_change() {
  if (server.changes_left == 0 || --server.changes_left > 0) return;
  say("frozen");
  std::unique_lock lock(server.mutex, std::adopt_lock);
  server.never.wait(lock, [] { return false; });
}

class Turn {
 public:
  Turn() { server.mutex.lock(); }
  ~Turn() { server.mutex.unlock(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
};

fuse_entry_param entry_of(const Node& node) {
  fuse_entry_param entry{};
  entry.ino = node.number;
  entry.attr = volume().attributes(node);
  entry.attr_timeout = entry.entry_timeout = kForever;
  return entry;
}

void reply(fuse_req_t request, int code) { fuse_reply_err(request, -code); }

void lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Turn turn;
  Node* found = volume().find(&node_of(parent), name);
  if (!found) return reply(request, -ENOENT);
  fuse_entry_param entry = entry_of(*found);
  fuse_reply_entry(request, &entry);
}

void get_attributes(fuse_req_t request, fuse_ino_t number, fuse_file_info*) {
  Turn turn;
  struct stat st = volume().attributes(node_of(number));
  fuse_reply_attr(request, &st, kForever);
}

void set_attributes(fuse_req_t request, fuse_ino_t number, struct stat* wanted, int which, fuse_file_info*) {
  Turn turn;
  Node& node = node_of(number);
  if ((which & FUSE_SET_ATTR_SIZE) != 0) {
    volume().truncate(node, static_cast<std::uint64_t>(wanted->st_size));
    count_change();
  }
  if ((which & FUSE_SET_ATTR_MTIME) != 0) node.modified = wanted->st_mtim;
  struct stat st = volume().attributes(node);
  fuse_reply_attr(request, &st, kForever);
}

void make_directory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t) {
  Turn turn;
  Node* made = nullptr;
  int code = volume().create(&node_of(parent), name, true, &made);
  if (code != 0) return reply(request, code);
  count_change();
  fuse_entry_param entry = entry_of(*made);
  fuse_reply_entry(request, &entry);
}

void open_with(Node& node, fuse_file_info* info) {
  ++node.opens;
  info->keep_cache = 1;
}

void create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t, fuse_file_info* info) {
  Turn turn;
  Node* made = nullptr;
  int code = volume().create(&node_of(parent), name, false, &made);
  if (code != 0) return reply(request, code);
  count_change();
  open_with(*made, info);
  fuse_entry_param entry = entry_of(*made);
  fuse_reply_create(request, &entry, info);
}

void remove(fuse_req_t request, fuse_ino_t parent, const char* name, bool is_directory) {
  Turn turn;
  int code = volume().remove(&node_of(parent), name, is_directory);
  if (code == 0) count_change();
  reply(request, code);
}
void unlink(fuse_req_t request, fuse_ino_t parent, const char* name) { remove(request, parent, name, false); }
void remove_directory(fuse_req_t request, fuse_ino_t parent, const char* name) { remove(request, parent, name, true); }

void rename(fuse_req_t request, fuse_ino_t from_parent, const char* from, fuse_ino_t to_parent, const char* to,
            unsigned int flags) {
  Turn turn;
  if (flags != 0) return reply(request, -EINVAL);
  int code = volume().rename({&node_of(from_parent), from}, {&node_of(to_parent), to});
  if (code == 0) count_change();
  reply(request, code);
}

void open(fuse_req_t request, fuse_ino_t number, fuse_file_info* info) {
  Turn turn;
  open_with(node_of(number), info);
  fuse_reply_open(request, info);
}

void release(fuse_req_t request, fuse_ino_t number, fuse_file_info*) {
  Turn turn;
  volume().closed(node_of(number));
  reply(request, 0);
}

void read(fuse_req_t request, fuse_ino_t number, std::size_t size, off_t position, fuse_file_info*) {
  Turn turn;
  std::vector<char> bytes = volume().read(node_of(number), static_cast<std::uint64_t>(position), size);
  fuse_reply_buf(request, bytes.data(), bytes.size());
}

void write(fuse_req_t request, fuse_ino_t number, const char* bytes, std::size_t size, off_t position,
           fuse_file_info*) {
  Turn turn;
  volume().write(node_of(number), {bytes, size}, static_cast<std::uint64_t>(position));
  count_change();
  fuse_reply_write(request, size);
}

void sync(fuse_req_t request, fuse_ino_t number, int, fuse_file_info*) {
  Turn turn;
  volume().sync_contents(node_of(number));
  count_change();
  reply(request, 0);
}

void sync_directory(fuse_req_t request, fuse_ino_t number, int, fuse_file_info*) {
  Turn turn;
  volume().sync_names(&node_of(number));
  count_change();
  reply(request, 0);
}

/// Room is not short here; only the reservation beyond the end, which changes nothing, is taken.
void allocate(fuse_req_t request, fuse_ino_t number, int mode, off_t position, off_t length, fuse_file_info*) {
  Turn turn;
  bool grows = static_cast<std::uint64_t>(position + length) > node_of(number).size;
  if (mode != FALLOC_FL_KEEP_SIZE && (mode != 0 || grows)) return reply(request, -EOPNOTSUPP);
  reply(request, 0);
}

using Listing = std::vector<std::pair<std::string, const Node*>>;

/// The names as of now, whatever comes and goes while they are read.
void open_directory(fuse_req_t request, fuse_ino_t number, fuse_file_info* info) {
  Turn turn;
  Node& directory = node_of(number);
  auto listing = std::make_unique<Listing>();
  listing->emplace_back(".", &directory);
  listing->emplace_back("..", directory.parent ? directory.parent : &directory);
  for (const auto& [name, node] : directory.children) listing->emplace_back(name, node);
  info->fh = reinterpret_cast<std::uintptr_t>(listing.release());
  fuse_reply_open(request, info);
}

void release_directory(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  delete reinterpret_cast<Listing*>(info->fh);
  reply(request, 0);
}

void read_directory(fuse_req_t request, fuse_ino_t, std::size_t size, off_t position, fuse_file_info* info) {
  Turn turn;
  const auto& listing = *reinterpret_cast<Listing*>(info->fh);
  std::vector<char> out(size);
  std::size_t used = 0;
  for (auto at = static_cast<std::size_t>(position); at < listing.size(); ++at) {
    const auto& [name, node] = listing[at];
    struct stat st = volume().attributes(*node);
    std::size_t length =
        fuse_add_direntry(request, out.data() + used, size - used, name.c_str(), &st, static_cast<off_t>(at + 1));
    if (length > size - used) break;
    used += length;
  }
  fuse_reply_buf(request, out.data(), used);
}

void statistics(fuse_req_t request, fuse_ino_t) {
  struct statvfs st{};
  if (::statvfs(server.backing.c_str(), &st) != 0) return reply(request, -errno);
  fuse_reply_statfs(request, &st);
}

[[noreturn]] void end_mount() {
  ::umount2(server.mountpoint.c_str(), MNT_DETACH);
  std::fflush(stdout);
  ::_exit(0);  // requests that wait end with the connection
}

[[noreturn]] void crash(std::optional<std::uint64_t> seed) {
  CrashReport report = volume().crash(seed);
  say("crashed names_lost=" + std::to_string(report.names_lost) + " names_kept=" + std::to_string(report.names_kept) +
      " writes_lost=" + std::to_string(report.writes_lost) + " writes_torn=" + std::to_string(report.writes_torn) +
      " writes_kept=" + std::to_string(report.writes_kept));
  end_mount();
}

void obey() {
  for (std::string line; std::getline(std::cin, line);) {
    Turn turn;
    if (line.starts_with("freeze ")) {
      server.changes_left = std::stoull(line.substr(7));
    } else if (line == "crash") {
      crash(std::nullopt);
    } else if (line.starts_with("crash ")) {
      crash(std::stoull(line.substr(6)));
    } else if (line == "stop") {
      volume().sync_all();
      say("stopped");
      end_mount();
    } else {
      std::cerr << "crashfs: no such command: " << line << std::endl;
    }
  }
  Turn turn;
  crash(std::nullopt);
}

fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops ops{};
  ops.lookup = lookup;
  ops.getattr = get_attributes;
  ops.setattr = set_attributes;
  ops.mkdir = make_directory;
  ops.create = create;
  ops.unlink = unlink;
  ops.rmdir = remove_directory;
  ops.rename = rename;
  ops.open = open;
  ops.release = release;
  ops.read = read;
  ops.write = write;
  ops.fsync = sync;
  ops.fsyncdir = sync_directory;
  ops.fallocate = allocate;
  ops.opendir = open_directory;
  ops.readdir = read_directory;
  ops.releasedir = release_directory;
  ops.statfs = statistics;
  return ops;
}

int serve(char** argv) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  server.backing = argv[1];
  server.mountpoint = argv[2];
  server.volume = std::make_unique<Volume>(server.backing);
  static const fuse_lowlevel_ops ops = operations();
  char* arguments[] = {argv[0], const_cast<char*>("-osubtype=crashfs")};
  fuse_args args = FUSE_ARGS_INIT(2, arguments);
  server.session = fuse_session_new(&args, &ops, sizeof ops, nullptr);
  if (!server.session || fuse_session_mount(server.session, argv[2]) != 0) return 1;
  say("ready");
  std::thread(obey).detach();
  fuse_session_loop(server.session);
  end_mount();
}

}  // namespace
}  // namespace mr::crashfs

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: crashfs BACKING MOUNTPOINT\n";
    return 2;
  }
  return mr::crashfs::serve(argv);
}
