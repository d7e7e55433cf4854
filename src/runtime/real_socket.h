#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <vector>

#include "runtime/event_loop.h"

namespace mr {

/// An address as the kernel has it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  /// IPv4 in IPv6 reads as IPv4.
  Address to_address() const;
};

/// Blocks when `host` is a name. An empty host is every interface, IPv6 first. Errors: not_found.
Result<std::vector<SocketAddress>> resolve(const std::string& host, std::uint16_t port);
/// `host` when it is numeric, without asking anybody.
std::optional<SocketAddress> numeric_address(const std::string& host, std::uint16_t port);

/// A non-blocking socket registered with its shard's loop. A call that would block clears its flag and waits for the
/// next edge.
class Socket : public FdWatch {
 public:
  Socket(EventLoop& loop, int fd) : loop_(loop), fd_(fd) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { close(); }

  void on_ready(std::uint32_t events) override;
  /// Ends both directions and wakes everybody who waits. Idempotent.
  void close();
  /// Gives up the descriptor, open and no longer watched.
  int release();
  int fd() const { return fd_; }
  bool closed() const { return fd_ < 0; }
  EventLoop& loop() { return loop_; }

  /// May a read give something other than "would block"?
  bool read_ready() const { return read_ready_ || hung_up_; }
  void clear_read_ready() { read_ready_ = false; }
  bool hung_up() const { return hung_up_; }
  Event& readable() { return readable_; }
  Event& writable() { return writable_; }

 private:
  EventLoop& loop_;
  int fd_;
  // A fresh socket may hold bytes already: the first read tries.
  bool read_ready_ = true;
  bool hung_up_ = false;
  Event readable_;
  Event writable_;
};

/// Takes over `fd`, which is connected and non-blocking. Errors: resource_exhausted, io_error; `fd` is then closed.
Result<std::unique_ptr<Stream>> make_stream(EventLoop& loop, int fd, const SocketAddress& remote);

}  // namespace mr
