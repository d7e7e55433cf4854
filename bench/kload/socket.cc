#include "bench/kload/socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace mr::bench {
namespace {

[[noreturn]] void fail(const char* what) {
  fmt::print(stderr, "{}: {}: {}\n", program_invocation_short_name, what, std::strerror(errno));
  std::exit(1);
}

double seconds(clockid_t clock) {
  timespec t{};
  if (clock_gettime(clock, &t) != 0) fail("the server's CPU clock");
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

}  // namespace

double now_seconds() { return seconds(CLOCK_MONOTONIC); }

double cpu_seconds_of(int pid) {
  clockid_t clock{};
  if (pid == 0) return 0;
  if (int error = clock_getcpuclockid(pid, &clock); error != 0) {
    errno = error;
    fail("--server-pid");
  }
  return seconds(clock);
}

double rss_mb_of(int pid) {
  if (pid == 0) return 0;
  std::ifstream statm(fmt::format("/proc/{}/statm", pid));
  double pages = 0;
  if (!(statm >> pages >> pages)) fail("--server-pid");
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

Socket::Socket(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) fail("resolve the bootstrap host");
  fd_ = ::socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
  if (fd_ < 0 || ::connect(fd_, found->ai_addr, found->ai_addrlen) != 0) fail("connect");
  freeaddrinfo(found);
  int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Socket::~Socket() { ::close(fd_); }

void Socket::set_nonblocking() { fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK); }

Bytes Socket::call(Bytes request) {
  for (std::size_t sent = 0; sent < request.size();) {
    iovec piece{request.data() + sent, request.size() - sent};
    sent += write({&piece, 1});
  }
  Bytes answer(4);
  for (std::size_t have = 0, want = 4; have < want;) {
    have += read(std::span(answer).subspan(have));
    if (have == 4 && want == 4) answer.resize(want += load_be<std::uint32_t>(answer.data()));
  }
  answer.erase(answer.begin(), answer.begin() + 4);
  return answer;
}

std::size_t Socket::write(std::span<const iovec> pieces) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  if (n >= 0) return static_cast<std::size_t>(n);
  if (errno != EAGAIN && errno != EINTR) fail("send");
  return 0;
}

std::size_t Socket::read(MutableBytes into) {
  ssize_t n = ::recv(fd_, into.data(), into.size(), 0);
  if (n > 0) return static_cast<std::size_t>(n);
  if (n == 0) {
    fmt::print(stderr, "{}: the broker closed a connection\n", program_invocation_short_name);
    std::exit(1);
  }
  if (errno != EAGAIN && errno != EINTR) fail("receive");
  return 0;
}

}  // namespace mr::bench
