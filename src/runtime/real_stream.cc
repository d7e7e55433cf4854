#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runtime/real_errno.h"
#include "runtime/real_socket.h"

namespace mr {

void Socket::on_ready(std::uint32_t events) {
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) hung_up_ = true;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
    read_ready_ = true;
    readable_.notify_all();
  }
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) writable_.notify_all();
}

void Socket::close() {
  if (fd_ < 0) return;
  ::close(std::exchange(fd_, -1));  // also takes it out of the epoll set
  readable_.notify_all();
  writable_.notify_all();
}

int Socket::release() {
  loop_.unwatch(fd_);
  return std::exchange(fd_, -1);
}

namespace {

constexpr std::size_t kPiecesPerCall = 64;
constexpr std::size_t kSendFileBytesPerCall = 1 << 20;
constexpr std::size_t kCopyBytes = 64 << 10;
/// After this a sender asks again, should a call have been short though the socket had room: then no edge comes.
constexpr Duration kAskAgain = std::chrono::milliseconds(100);

/// Lets others run, and notices cancellation.
struct Yield : Waiter {
  Yield() : Waiter(kForever) {}
  template <class P>
  bool await_suspend(std::coroutine_handle<P> self) {
    if (!Waiter::await_suspend(self)) return false;
    finish({});
    return true;
  }
};

class RealStream final : public Stream {
 public:
  RealStream(EventLoop& loop, int fd, Address local, Address remote)
      : socket_(loop, fd), local_(std::move(local)), remote_(std::move(remote)) {
    loop.count_connection(1);
  }
  ~RealStream() override { close(); }

  Result<void> watch() { return socket_.loop().watch(socket_.fd(), socket_); }

  Task<Result<std::size_t>> read_some(MutableBytes into, TimePoint deadline) override {
    if (into.empty()) co_return Error(Errc::invalid_argument, "read into an empty buffer");
    if (loop().should_yield()) MR_CO_TRY_VOID(co_await Yield());
    for (;;) {
      if (socket_.closed()) co_return Errc::connection_closed;
      if (socket_.read_ready()) {
        ssize_t n = ::recv(socket_.fd(), into.data(), into.size(), 0);
        loop().count_socket_call();
        if (n > 0) {
          // Less than asked for: the kernel has no more, and the next byte brings an edge. Spares the recv that would
          // only say so. (After a hang-up there are no more edges, so read_ready() stays true.)
          if (static_cast<std::size_t>(n) < into.size()) socket_.clear_read_ready();
          co_return static_cast<std::size_t>(n);
        }
        if (n == 0) co_return std::size_t{0};
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return errno_error(errno, "recv");
        loop().count_socket_wait();
        socket_.clear_read_ready();
        if (socket_.hung_up()) co_return Errc::connection_closed;
      }
      MR_CO_TRY_VOID(co_await socket_.readable().wait(deadline));
    }
  }

  Task<Result<void>> write(std::span<const ByteView> pieces, TimePoint deadline, bool more) override {
    if (loop().should_yield()) MR_CO_TRY_VOID(co_await Yield());
    std::size_t skip = 0;  // bytes of the first piece already sent
    bool full = false;
    while (!pieces.empty()) {
      if (socket_.closed()) co_return Errc::connection_closed;
      if (std::exchange(full, false)) {
        MR_CO_TRY_VOID(short_of(deadline, co_await socket_.writable().wait(ask_again(deadline))));
        continue;
      }
      std::size_t offered = 0;
      ssize_t n = send_pieces(pieces, skip, more, offered);
      if (n >= 0) {
        advance(pieces, skip, static_cast<std::size_t>(n));
        full = static_cast<std::size_t>(n) < offered;
      } else if (errno == EAGAIN) {
        loop().count_socket_wait();
        MR_CO_TRY_VOID(co_await socket_.writable().wait(deadline));
      } else if (errno != EINTR) {
        co_return errno_error(errno, "send");
      }
    }
    co_return Result<void>{};
  }

  Task<Result<void>> send_file(File& file, std::uint64_t position, std::uint64_t length, TimePoint deadline) override {
    if (file.native_handle() < 0) co_return co_await copy_file(file, position, length, deadline);
    if (loop().should_yield()) MR_CO_TRY_VOID(co_await Yield());
    auto offset = static_cast<off_t>(position);
    bool full = false;
    while (length > 0) {
      if (socket_.closed()) co_return Errc::connection_closed;
      if (std::exchange(full, false)) {
        MR_CO_TRY_VOID(short_of(deadline, co_await socket_.writable().wait(ask_again(deadline))));
        continue;
      }
      std::size_t some = std::min<std::uint64_t>(length, kSendFileBytesPerCall);
      ssize_t n = ::sendfile(socket_.fd(), file.native_handle(), &offset, some);
      loop().count_socket_call();
      if (n > 0) {
        length -= static_cast<std::uint64_t>(n);
        full = static_cast<std::size_t>(n) < some;
        if (length > 0 && !full && loop().should_yield()) MR_CO_TRY_VOID(co_await Yield());
      } else if (n == 0) {
        co_return Error(Errc::io_error, "sendfile: the file is shorter than the range");
      } else if (errno == EAGAIN) {
        loop().count_socket_wait();
        MR_CO_TRY_VOID(co_await socket_.writable().wait(deadline));
      } else if (errno != EINTR) {
        co_return errno_error(errno, "sendfile");
      }
    }
    co_return Result<void>{};
  }

  void close() override {
    if (socket_.closed()) return;
    socket_.close();
    loop().count_connection(-1);
  }
  const Address& local() const override { return local_; }
  const Address& remote() const override { return remote_; }

 private:
  EventLoop& loop() { return socket_.loop(); }

  // A call that took less than it was offered has filled the socket's buffer: the next one would only say so, and
  // sendfile looks up the pages first. The edge comes when there is room again.
  TimePoint ask_again(TimePoint deadline) { return std::min(deadline, loop().now() + kAskAgain); }
  /// Of a wait until ask_again(): that time having come is an error only at the deadline.
  Result<void> short_of(TimePoint deadline, Result<void> waited) {
    if (!waited.ok() && waited.code() == Errc::timed_out && loop().now() < deadline) return {};
    return waited;
  }

  /// `offered`: how many bytes it was called with.
  ssize_t send_pieces(std::span<const ByteView> pieces, std::size_t skip, bool more, std::size_t& offered) {
    iovec vectors[kPiecesPerCall];
    std::size_t count = std::min(pieces.size(), kPiecesPerCall);
    for (std::size_t i = 0; i < count; ++i) {
      std::size_t from = i == 0 ? skip : 0;
      vectors[i].iov_base = const_cast<std::byte*>(pieces[i].data() + from);
      vectors[i].iov_len = pieces[i].size() - from;
      offered += vectors[i].iov_len;
    }
    msghdr message{};
    message.msg_iov = vectors;
    message.msg_iovlen = count;
    loop().count_socket_call();
    // More follows in the next call: do not push a small segment for these.
    return ::sendmsg(socket_.fd(), &message, MSG_NOSIGNAL | (more || pieces.size() > count ? MSG_MORE : 0));
  }
  static void advance(std::span<const ByteView>& pieces, std::size_t& skip, std::size_t sent) {
    while (!pieces.empty() && sent >= pieces[0].size() - skip) {
      sent -= pieces[0].size() - skip;
      skip = 0;
      pieces = pieces.subspan(1);
    }
    skip += sent;
  }

  /// For files that have no descriptor.
  Task<Result<void>> copy_file(File& file, std::uint64_t position, std::uint64_t length, TimePoint deadline) {
    std::vector<std::byte> buffer(std::min<std::uint64_t>(length, kCopyBytes));
    while (length > 0) {
      MutableBytes part(buffer.data(), std::min<std::uint64_t>(length, buffer.size()));
      MR_CO_TRY(std::size_t n, file.read_at(part, position));
      if (n == 0) co_return Error(Errc::io_error, "the file is shorter than the range");
      ByteView piece = part.first(n);
      MR_CO_TRY_VOID(co_await write(std::span<const ByteView>(&piece, 1), deadline, length > n));
      position += n;
      length -= n;
    }
    co_return Result<void>{};
  }

  Socket socket_;
  Address local_;
  Address remote_;
};

}  // namespace

Result<std::unique_ptr<Stream>> make_stream(EventLoop& loop, int fd, const SocketAddress& remote) {
  int on = 1;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  SocketAddress local;
  local.length = sizeof local.storage;
  (void)::getsockname(fd, reinterpret_cast<sockaddr*>(&local.storage), &local.length);
  auto stream = std::make_unique<RealStream>(loop, fd, local.to_address(), remote.to_address());
  MR_TRY_VOID(stream->watch());
  return std::unique_ptr<Stream>(std::move(stream));
}

}  // namespace mr
