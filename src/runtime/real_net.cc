#include "runtime/real_net.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "runtime/real_errno.h"
#include "runtime/real_socket.h"

namespace mr {

Address SocketAddress::to_address() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return {.host = text, .port = ntohs(v4.sin_port)};
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  }
  return {.host = text, .port = ntohs(v6.sin6_port)};
}

std::optional<SocketAddress> numeric_address(const std::string& host, std::uint16_t port) {
  SocketAddress out;
  auto& v4 = reinterpret_cast<sockaddr_in&>(out.storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    out.length = sizeof v4;
    return out;
  }
  if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    out.length = sizeof v6;
    return out;
  }
  return std::nullopt;
}

Result<std::vector<SocketAddress>> resolve(const std::string& host, std::uint16_t port) {
  if (std::optional<SocketAddress> numeric = numeric_address(host, port)) return std::vector{*numeric};
  if (host.empty()) return std::vector{*numeric_address("::", port), *numeric_address("0.0.0.0", port)};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error != 0) return Error(Errc::not_found, fmt::format("{}: {}", host, ::gai_strerror(error)));
  std::vector<SocketAddress> out;
  for (addrinfo* a = found; a != nullptr; a = a->ai_next) {
    if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
    SocketAddress address;
    std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.length = a->ai_addrlen;
    // sin_port and sin6_port stand at the same place.
    reinterpret_cast<sockaddr_in&>(address.storage).sin_port = htons(port);
    out.push_back(address);
  }
  ::freeaddrinfo(found);
  if (out.empty()) return Error(Errc::not_found, host + ": has no IP address");
  // IPv4 first for names: "localhost" then means 127.0.0.1, which is what clients of a fresh broker try.
  std::ranges::partition(out, [](const SocketAddress& a) { return a.family() == AF_INET; });
  return out;
}

namespace {

constexpr int kBacklog = 4096;  // the kernel cuts it to net.core.somaxconn

struct OwnedFd {
  int fd = -1;
  explicit OwnedFd(int fd) : fd(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  OwnedFd& operator=(OwnedFd&&) = delete;
  ~OwnedFd() {
    if (fd >= 0) ::close(fd);
  }
  int release() { return std::exchange(fd, -1); }
};

Result<OwnedFd> bound_socket(const SocketAddress& address, bool shared, const std::string& what) {
  OwnedFd socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.fd < 0) return errno_error(errno, what);
  int on = 1;
  int off = 0;
  (void)::setsockopt(socket.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (shared) (void)::setsockopt(socket.fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (address.family() == AF_INET6) (void)::setsockopt(socket.fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(socket.fd, address.get(), address.length) != 0) return errno_error(errno, what);
  return socket;
}

/// Addresses that this process listens on. SO_REUSEPORT lets our shards share an address, but would also let in a
/// second broker of the same user: so the first listener of an address asks for it exclusively once, and others of the
/// same host follow.
class ListenRegistry {
 public:
  static ListenRegistry& instance() {
    static ListenRegistry registry;
    return registry;
  }

  Result<OwnedFd> bind(const void* host, const SocketAddress& address, const std::string& what) {
    std::lock_guard lock(mutex_);
    Address wanted = address.to_address();
    auto known = sockets_.find(wanted.to_string());
    if (known != sockets_.end()) {
      if (known->second.host != host) return Error(Errc::in_use, what + ": another broker of this process does");
    } else if (wanted.port != 0) {
      MR_TRY(OwnedFd alone, bound_socket(address, false, what));
      (void)alone;
    }
    return bound_socket(address, true, what);
  }
  void enter(const void* host, const Address& address) {
    std::lock_guard lock(mutex_);
    Entry& entry = sockets_[address.to_string()];
    entry.host = host;
    ++entry.count;
  }
  void leave(const Address& address) {
    std::lock_guard lock(mutex_);
    auto entry = sockets_.find(address.to_string());
    if (entry != sockets_.end() && --entry->second.count == 0) sockets_.erase(entry);
  }

 private:
  struct Entry {
    const void* host = nullptr;
    int count = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Entry> sockets_;
};

class RealListener final : public Listener {
 public:
  RealListener(EventLoop& loop, int fd, Address local) : socket_(loop, fd), local_(std::move(local)) {}
  ~RealListener() override { close(); }
  Result<void> watch() { return socket_.loop().watch(socket_.fd(), socket_); }

  Task<Result<std::unique_ptr<Stream>>> accept() override {
    for (;;) {
      if (socket_.closed()) co_return Errc::cancelled;
      if (socket_.read_ready()) {
        SocketAddress remote;
        remote.length = sizeof remote.storage;
        int fd = ::accept4(socket_.fd(), reinterpret_cast<sockaddr*>(&remote.storage), &remote.length,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
        socket_.loop().count_socket_call();
        if (fd >= 0) co_return make_stream(socket_.loop(), fd, remote);
        if (errno == EAGAIN) {
          socket_.loop().count_socket_wait();
          socket_.clear_read_ready();
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
          co_return errno_error(errno, "accept");
        } else {
          // What is left is the new connection's trouble (reset before we came to it), not the listener's.
          if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) co_return errno_error(errno, "accept");
          continue;
        }
      }
      MR_CO_TRY_VOID(co_await socket_.readable().wait());
    }
  }

  const Address& local() const override { return local_; }
  void close() override {
    if (socket_.closed()) return;
    socket_.close();
    ListenRegistry::instance().leave(local_);
  }

 private:
  Socket socket_;
  Address local_;
};

Result<std::unique_ptr<Listener>> listen_one(EventLoop& loop, const void* host, const SocketAddress& address,
                                             const SocketBuffers& buffers, const std::string& what) {
  MR_TRY(OwnedFd socket, ListenRegistry::instance().bind(host, address, what));
  // Before listen(2): accepted sockets inherit them, and the window's scale is agreed on in the handshake.
  if (buffers.send >= 0) (void)::setsockopt(socket.fd, SOL_SOCKET, SO_SNDBUF, &buffers.send, sizeof buffers.send);
  if (buffers.receive >= 0)
    (void)::setsockopt(socket.fd, SOL_SOCKET, SO_RCVBUF, &buffers.receive, sizeof buffers.receive);
  if (::listen(socket.fd, kBacklog) != 0) return errno_error(errno, what);
  SocketAddress bound;
  bound.length = sizeof bound.storage;
  if (::getsockname(socket.fd, reinterpret_cast<sockaddr*>(&bound.storage), &bound.length) != 0) {
    return errno_error(errno, what);
  }
  Address local = bound.to_address();
  ListenRegistry::instance().enter(host, local);
  auto listener = std::make_unique<RealListener>(loop, socket.release(), local);
  MR_TRY_VOID(listener->watch());
  return std::unique_ptr<Listener>(std::move(listener));
}

/// Names are looked up on the pool. Whoever asked may leave before the answer comes.
struct Lookup {
  OneShot<bool> done;
  Result<std::vector<SocketAddress>> addresses = Errc::cancelled;
};

Task<Result<std::vector<SocketAddress>>> look_up(EventLoop& loop, OffloadPool& pool, std::string host,
                                                 std::uint16_t port, TimePoint deadline) {
  if (std::optional<SocketAddress> numeric = numeric_address(host, port)) co_return std::vector{*numeric};
  auto lookup = std::make_shared<Lookup>();
  pool.run([lookup, host, port] { lookup->addresses = resolve(host, port); }, loop,
           [lookup] { lookup->done.set(true); }, Urgency::now);
  MR_CO_TRY(bool done, co_await lookup->done.wait(deadline));
  (void)done;
  co_return std::move(lookup->addresses);
}

Task<Result<std::unique_ptr<Stream>>> connect_one(EventLoop& loop, const SocketAddress& address, std::string what,
                                                  TimePoint deadline) {
  OwnedFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.fd < 0) co_return errno_error(errno, what);
  if (::connect(fd.fd, address.get(), address.length) == 0) co_return make_stream(loop, fd.release(), address);
  if (errno != EINPROGRESS && errno != EINTR) co_return errno_error(errno, what);
  Socket connecting(loop, fd.release());
  MR_CO_TRY_VOID(loop.watch(connecting.fd(), connecting));
  for (;;) {
    MR_CO_TRY_VOID(co_await connecting.writable().wait(deadline));
    int error = 0;
    socklen_t length = sizeof error;
    if (::getsockopt(connecting.fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error != 0) co_return errno_error(error, what);
    SocketAddress peer;
    peer.length = sizeof peer.storage;
    if (::getpeername(connecting.fd(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.length) == 0) break;
  }
  co_return make_stream(loop, connecting.release(), address);
}

}  // namespace

Result<std::unique_ptr<Listener>> RealNetwork::listen(const Address& address, const SocketBuffers& buffers) {
  std::string what = "listen on " + address.to_string();
  MR_TRY(auto candidates, resolve(address.host, address.port));
  Result<std::unique_ptr<Listener>> listener = Error(Errc::not_found, what);
  for (const SocketAddress& candidate : candidates) {
    listener = listen_one(loop_, &pool_, candidate, buffers, what);
    if (listener.ok() || listener.code() == Errc::in_use) break;
  }
  return listener;
}

Task<Result<std::unique_ptr<Stream>>> RealNetwork::connect(Address address, TimePoint deadline) {
  std::string what = "connect to " + address.to_string();
  MR_CO_TRY(auto candidates, co_await look_up(loop_, pool_, address.host, address.port, deadline));
  Result<std::unique_ptr<Stream>> stream = Error(Errc::not_found, what);
  for (const SocketAddress& candidate : candidates) {
    stream = co_await connect_one(loop_, candidate, what, deadline);
    if (stream.ok() || stream.code() == Errc::cancelled || stream.code() == Errc::timed_out) break;
  }
  co_return stream;
}

}  // namespace mr
