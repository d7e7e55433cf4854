#include "runtime/machine.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <limits>

#include "runtime/real_errno.h"
#include "runtime/real_host.h"

extern char** environ;

namespace mr {

namespace {

/// Files of /proc and /sys say size 0, so they are read until their end.
Result<std::string> read_to_end(const std::string& path, std::size_t bytes_max) {
  MR_TRY(std::unique_ptr<File> file, real_files().open(path, OpenMode::read));
  std::string text;
  for (;;) {
    std::size_t before = text.size();
    text.resize(std::min(before + (64u << 10), bytes_max + 1));
    MR_TRY(std::size_t n,
           file->read_at({reinterpret_cast<std::byte*>(text.data()) + before, text.size() - before}, before));
    text.resize(before + n);
    if (n == 0) return text;
    if (text.size() > bytes_max)
      return Error(Errc::too_large, fmt::format("{} has more than {} bytes", path, bytes_max));
  }
}

std::optional<std::uint64_t> number_in(const std::string& path) {
  auto text = read_to_end(path, 4096);
  if (!text.ok()) return std::nullopt;
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{}) return std::nullopt;  // "max"
  return value;
}

}  // namespace

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &set)) cores.push_back(i);
  if (cores.empty()) cores.push_back(0);
  return cores;
}

std::uint64_t usable_memory_bytes() {
  std::uint64_t bytes = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 1L)) *
                        static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"})
    if (auto limit = number_in(path)) bytes = std::min(bytes, *limit);
  return bytes;
}

std::uint64_t resident_memory_bytes() {
  auto text = read_to_end("/proc/self/statm", 4096);
  if (!text.ok()) return 0;
  std::size_t space = text->find(' ');
  if (space == std::string::npos) return 0;
  std::uint64_t pages = 0;
  std::from_chars(text->data() + space + 1, text->data() + text->size(), pages);
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void return_free_memory() { ::malloc_trim(0); }

double used_cpu_seconds() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    rlimit raised{limit.rlim_max, limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) return raised.rlim_cur;
  }
  return limit.rlim_cur;
}

Result<std::string> make_temporary_directory(const std::string& prefix) {
  std::string path = environment_variable("TMPDIR").value_or("/tmp");
  path += "/" + prefix + "XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return errno_error(errno, path);
  return path;
}

std::vector<std::string> environment_variables() {
  std::vector<std::string> all;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) all.emplace_back(*at);
  return all;
}

std::optional<std::string> environment_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

Result<std::size_t> read_standard_input(MutableBytes into) {
  for (;;) {
    ssize_t n = ::read(STDIN_FILENO, into.data(), into.size());
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) return errno_error(errno, "standard input");
  }
}

Result<void> write_descriptor(int descriptor, ByteView bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
    if (n > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    } else if (errno == EPIPE) {
      return Errc::connection_closed;
    } else if (errno != EINTR) {
      return errno_error(errno, "output");
    }
  }
  return {};
}

Result<std::string> read_small_file(const std::string& path, std::size_t bytes_max) {
  return read_to_end(path, bytes_max);
}

}  // namespace mr
