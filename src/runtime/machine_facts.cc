#include "runtime/machine_facts.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>

#include "runtime/machine.h"
#include "runtime/real_errno.h"
#include "runtime/real_host.h"
#include "runtime/real_socket.h"

namespace mr {

namespace {

constexpr std::size_t kSyncedBytes = 4096;
constexpr std::uint64_t kSyncedFileBytes = 1u << 20;
constexpr std::size_t kSyncsMax = 100'000;
constexpr std::size_t kProcFileBytesMax = 16u << 20;

/// The next word of `text`, which loses it.
std::string_view take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}
std::string_view take_line(std::string_view& text) {
  std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

/// "\040" is how the kernel writes a space.
std::string unescape_octal(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, value, 8).ptr == text.data() + i + 4) {
      out.push_back(static_cast<char>(value));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool lies_in(std::string_view path, std::string_view point) {
  if (point == "/") return path.starts_with('/');
  return path.starts_with(point) && (path.size() == point.size() || path[point.size()] == '/');
}

struct OwnedFd {
  int fd;
  explicit OwnedFd(int fd) : fd(fd) {}
  OwnedFd(const OwnedFd&) = delete;
  ~OwnedFd() {
    if (fd >= 0) ::close(fd);
  }
};

/// The process that holds a lock of flock(2) on the file, as /proc/locks has it: "1: FLOCK ADVISORY WRITE 812
/// 08:01:1311 0 EOF". 0: nobody that it shows.
std::int64_t lock_holder(const struct stat& file) {
  auto text = read_small_file("/proc/locks", kProcFileBytesMax);
  if (!text.ok()) return 0;
  const std::string wanted = fmt::format("{:02x}:{:02x}:{}", major(file.st_dev), minor(file.st_dev), file.st_ino);
  for (std::string_view rest = *text; !rest.empty();) {
    std::string_view line = take_line(rest);
    (void)take_word(line);
    const bool is_flock = take_word(line) == "FLOCK";
    (void)take_word(line);
    (void)take_word(line);
    std::string_view process = take_word(line);
    if (!is_flock || take_word(line) != wanted) continue;
    std::int64_t id = 0;
    std::from_chars(process.data(), process.data() + process.size(), id);
    return id;
  }
  return 0;
}

void list_below(const std::string& root, const std::string& below, std::size_t files_max, FileListing& into) {
  const std::string path = below.empty() ? root : root + "/" + below;
  auto entries = real_files().list(path);
  if (!entries.ok()) {
    into.unreadable_directories.push_back(below);
    return;
  }
  for (const DirEntry& entry : *entries) {
    if (into.cut) return;
    const std::string name = below.empty() ? entry.name : below + "/" + entry.name;
    struct stat st;
    if (::lstat((root + "/" + name).c_str(), &st) != 0) continue;  // gone meanwhile
    if (S_ISDIR(st.st_mode)) {
      list_below(root, name, files_max, into);
      continue;
    }
    if (into.files.size() == files_max) {
      into.cut = true;
      return;
    }
    into.files.push_back({.path = name,
                          .bytes = static_cast<std::uint64_t>(st.st_size),
                          .allocated_bytes = static_cast<std::uint64_t>(st.st_blocks) * 512,
                          .modified = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1'000'000,
                          .usable = ::access((root + "/" + name).c_str(), R_OK | W_OK) == 0});
  }
}

}  // namespace

std::optional<Mount> mount_in(std::string_view mountinfo, std::string_view path) {
  std::optional<Mount> best;
  while (!mountinfo.empty()) {
    // 36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/root rw
    std::string_view line = take_line(mountinfo);
    for (int i = 0; i < 4; ++i) (void)take_word(line);
    std::string point = unescape_octal(take_word(line));
    std::string options = fmt::format(",{},", take_word(line));
    while (!line.empty() && take_word(line) != "-") {
    }
    std::string kind = unescape_octal(take_word(line));
    if (kind.empty() || !lies_in(path, point) || (best && point.size() < best->point.size())) continue;
    best = Mount{std::move(point), std::move(kind), unescape_octal(take_word(line)),
                 options.find(",ro,") != std::string::npos};
  }
  return best;
}

std::optional<Mount> mount_of(const std::string& path) {
  std::array<char, PATH_MAX> real;
  if (::realpath(path.c_str(), real.data()) == nullptr) return std::nullopt;
  auto text = read_small_file("/proc/self/mountinfo", kProcFileBytesMax);
  if (!text.ok()) return std::nullopt;
  return mount_in(*text, real.data());
}

Result<void> may_use_directory(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return errno_error(errno, path);
  if (!S_ISDIR(st.st_mode)) return errno_error(ENOTDIR, path);
  if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0) return errno_error(errno, path);
  return {};
}

Result<LockState> lock_state(const std::string& path) {
  OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0) {
    if (errno == ENOENT) return LockState{};
    return errno_error(errno, path);
  }
  struct stat st;
  if (::fstat(file.fd, &st) != 0) return errno_error(errno, path);
  if (std::int64_t process = lock_holder(st); process > 0) return LockState{.held = true, .process = process};
  if (::flock(file.fd, LOCK_SH | LOCK_NB) == 0) return LockState{};
  if (errno == EWOULDBLOCK) return LockState{.held = true};
  return errno_error(errno, path);
}

Result<FileListing> list_files(const std::string& path, std::size_t files_max) {
  MR_TRY_VOID(real_files().list(path));
  FileListing listing;
  list_below(path, "", files_max, listing);
  return listing;
}

Duration SyncTimes::percentile(double share) const {
  return each[std::min(each.size() - 1, static_cast<std::size_t>(share * static_cast<double>(each.size())))];
}

Result<SyncTimes> measure_syncs(const std::string& directory, Duration how_long) {
  const std::string path = fmt::format("{}/.millrace-doctor-{}", directory, ::getpid());
  MR_TRY(std::unique_ptr<File> file, real_files().open(path, OpenMode::create_new));
  MR_TRY_VOID(real_files().remove(path));  // nameless: nothing stays whatever happens now
  const std::vector<std::byte> all(kSyncedFileBytes, std::byte{0x5a});
  MR_TRY_VOID(file->write_at(ByteView(all), 0));
  MR_TRY_VOID(file->sync());
  SyncTimes times;
  Clock& clock = real_clock();
  const TimePoint end = clock.mono() + how_long;
  TimePoint now = clock.mono();
  do {
    const std::uint64_t at = times.each.size() * kSyncedBytes % kSyncedFileBytes;
    MR_TRY_VOID(file->write_at(ByteView(all).first(kSyncedBytes), at));
    MR_TRY_VOID(file->sync());
    const TimePoint then = clock.mono();
    times.each.push_back(then - now);
    now = then;
  } while (now < end && times.each.size() < kSyncsMax);
  std::ranges::sort(times.each);
  return times;
}

DescriptorLimits descriptor_limits() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  return {.soft = limit.rlim_cur, .hard = limit.rlim_max};
}

std::optional<ClockState> clock_state() {
  timex state{};
  const int said = ::adjtimex(&state);
  if (said < 0) return std::nullopt;
  return ClockState{.synchronised = said != TIME_ERROR && (state.status & STA_UNSYNC) == 0,
                    .error_ms_max = static_cast<double>(state.maxerror) / 1000};
}

Result<void> may_listen(const Address& address) {
  const std::string what = address.to_string();
  MR_TRY(std::vector<SocketAddress> found, resolve(address.host, address.port));
  Error last(Errc::invalid_argument, what);
  for (const SocketAddress& one : found) {
    OwnedFd socket(::socket(one.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket.fd < 0) {
      last = errno_error(errno, what);
      continue;
    }
    int on = 1;
    (void)::setsockopt(socket.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket.fd, one.get(), one.length) == 0) return {};
    last = errno_error(errno, what);
    if (last.code() == Errc::in_use) return last;
  }
  return last;
}

Result<std::vector<std::string>> addresses_of(const std::string& host) {
  MR_TRY(std::vector<SocketAddress> found, resolve(host, 0));
  std::vector<std::string> hosts;
  for (const SocketAddress& one : found) hosts.push_back(one.to_address().host);
  return hosts;
}

bool in_container() {
  return ::access("/.dockerenv", F_OK) == 0 || ::access("/run/.containerenv", F_OK) == 0 ||
         environment_variable("KUBERNETES_SERVICE_HOST").has_value() || environment_variable("container").has_value();
}

std::string user_name() {
  const uid_t id = ::geteuid();
  const passwd* entry = ::getpwuid(id);
  return entry != nullptr ? entry->pw_name : std::to_string(id);
}

std::string kernel_name() {
  utsname names{};
  if (::uname(&names) != 0) return "unknown";
  return fmt::format("{} {} {}", names.sysname, names.release, names.machine);
}

}  // namespace mr
