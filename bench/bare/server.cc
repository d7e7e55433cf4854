#include "bench/bare/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace mr::bench {
namespace {

constexpr std::size_t kBufferBytes = 512 << 10;
constexpr std::size_t kReadBytes = 256 << 10;
constexpr std::size_t kFrameBytesMax = 64 << 20;

void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  MR_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

/// An answer that has its size in front and the correlation id; to be ended with frame().
FrameWriter answer(std::int32_t id) {
  FrameWriter w;
  w.put<std::int32_t>(0).put(id);
  return w;
}

[[noreturn]] void refuse(std::int16_t key) {
  fmt::print(stderr, "bare: nobody here understands request {}\n", key);
  std::exit(1);
}

}  // namespace

BareServer::BareServer(std::string directory)
    : directory_(std::move(directory)),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  MR_CHECK(::bind(listener_, raw, length) == 0 && ::listen(listener_, 1024) == 0);
  MR_CHECK(::getsockname(listener_, raw, &length) == 0);
  port_ = ntohs(address.sin_port);
  watch(epoll_, listener_);
  watch(epoll_, syncer_.event());
}

void BareServer::run() {
  std::array<epoll_event, 128> events;
  while (true) {
    int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < n; ++i) {
      int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == listener_) {
        accept_one();
      } else if (fd == syncer_.event()) {
        synced();
      } else if (auto at = connections_.find(fd); at != connections_.end()) {
        receive(ConnectionPtr(at->second));
      }
    }
    start_sync();
  }
}

void BareServer::accept_one() {
  int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto c = std::make_shared<Connection>();
  c->fd = fd;
  c->in.resize(kBufferBytes);
  connections_[fd] = c;
  watch(epoll_, fd);
}

void BareServer::receive(const ConnectionPtr& c) {
  ssize_t n = ::recv(c->fd, c->in.data() + c->end, std::min(kReadBytes, c->in.size() - c->end), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    ::close(c->fd);
    connections_.erase(c->fd);
    c->fd = -1;
    return;
  }
  c->end += static_cast<std::size_t>(n);
  std::size_t want = 0;  // of a frame whose end is not here
  while (c->end - c->begin >= 4) {
    std::size_t size = 4 + load_be<std::uint32_t>(c->in.data() + c->begin);
    MR_CHECK(size < kFrameBytesMax);
    want = size;
    if (c->end - c->begin < size) break;
    handle(c, MutableBytes(c->in).subspan(c->begin + 4, size - 4));
    c->begin += size;
    want = 0;
  }
  write_taken();
  send_answers(*c);
  // What is left moves to the front only when there is no room behind it.
  if (c->begin == c->end) c->begin = c->end = 0;
  if (c->begin != 0 && c->in.size() - c->end < kReadBytes) {
    std::memmove(c->in.data(), c->in.data() + c->begin, c->end - c->begin);
    c->end -= c->begin;
    c->begin = 0;
  }
  if (c->begin + want > c->in.size()) c->in.resize(c->begin + want + kReadBytes);
}

void BareServer::handle(const ConnectionPtr& c, MutableBytes request) {
  Cursor body(request);
  auto key = body.take<std::int16_t>();
  auto version = body.take<std::int16_t>();
  auto id = body.take<std::int32_t>();
  body.text();  // client id
  auto reply = [&](const Bytes& frame) { c->out.insert(c->out.end(), frame.begin(), frame.end()); };
  if (key == 0 && version == 9) return produce(c, id, body);
  if (key == 19 && version == 4) return reply(create(id, body));
  if (key == 20 && version == 3) return reply(remove(id, body));
  if (key == 3 && version == 1) return reply(metadata(id, body));
  refuse(key);
}

void BareServer::produce(const ConnectionPtr& c, std::int32_t id, Cursor body) {
  body.tags();
  body.compact_text();  // transactional id
  body.skip(2 + 4);     // acks, timeout
  FrameWriter w = answer(id);
  w.no_tags();
  std::uint32_t topics = body.varint() - 1;
  w.items(topics);
  bool waits = false;
  for (; topics > 0; --topics) {
    auto name = body.compact_text();
    auto at = topics_.find(name);
    MR_CHECK(at != topics_.end());
    waits |= at->second.synced;
    std::uint32_t partitions = body.varint() - 1;
    w.compact_text(name).items(partitions);
    for (; partitions > 0; --partitions) {
      auto index = body.take<std::int32_t>();
      ByteView batch = body.skip(body.varint() - 1);
      body.tags();
      PartitionFile& file = at->second.partitions.at(static_cast<std::size_t>(index));
      // The request lies in the connection's own buffer.
      std::int64_t base = file.take({const_cast<std::byte*>(batch.data()), batch.size()});
      if (file.pending.size() == 1) taken_.push_back(&file);
      w.put(index).put(static_cast<std::int16_t>(base < 0 ? 2 : 0)).put(base);
      w.put<std::int64_t>(-1).put<std::int64_t>(0).items(0).null().no_tags();
    }
    body.tags();
    w.no_tags();
  }
  w.put<std::int32_t>(0).no_tags();
  Bytes frame = w.frame();
  if (waits) {
    waiting_.push_back({c, std::move(frame)});
  } else {
    c->out.insert(c->out.end(), frame.begin(), frame.end());
  }
}

Bytes BareServer::create(std::int32_t id, Cursor body) {
  body.skip(4);  // one topic
  std::string name(body.text());
  auto partitions = body.take<std::int32_t>();
  body.skip(2 + 4);  // replication, no assignments
  bool synced = true;
  for (auto configs = body.take<std::int32_t>(); configs > 0; --configs) {
    synced &= body.text() != "flush.messages";
    body.text();
  }
  bool fresh = !topics_.contains(name);
  if (fresh) topics_[name] = create_files(directory_, name, partitions, synced);
  FrameWriter w = answer(id);
  w.put<std::int32_t>(0).put<std::int32_t>(1).text(name).put(static_cast<std::int16_t>(fresh ? 0 : 36));
  return w.put<std::int16_t>(-1).frame();
}

Bytes BareServer::remove(std::int32_t id, Cursor body) {
  body.skip(4);
  std::string name(body.text());
  auto at = topics_.find(name);
  if (at != topics_.end()) {
    syncer_.wait_idle();
    for (const PartitionFile& file : at->second.partitions) std::erase(dirty_, file.fd);
    remove_files(directory_, name, at->second);
    topics_.erase(at);
  }
  FrameWriter w = answer(id);
  return w.put<std::int32_t>(0).put<std::int32_t>(1).text(name).put<std::int16_t>(0).frame();
}

Bytes BareServer::metadata(std::int32_t id, Cursor body) const {
  body.skip(4);
  std::string name(body.text());
  auto at = topics_.find(name);
  auto partitions = at == topics_.end() ? 0 : static_cast<std::int32_t>(at->second.partitions.size());
  FrameWriter w = answer(id);
  w.put<std::int32_t>(0).put<std::int32_t>(0).put<std::int32_t>(1);
  w.put(static_cast<std::int16_t>(partitions == 0 ? 3 : 0)).text(name).put<std::int8_t>(0).put(partitions);
  for (std::int32_t p = 0; p < partitions; ++p) {
    w.put<std::int16_t>(0).put(p).put<std::int32_t>(0).put<std::int32_t>(0).put<std::int32_t>(0);
  }
  return w.frame();
}

void BareServer::write_taken() {
  for (PartitionFile* file : taken_) {
    file->write();
    if (std::ranges::find(dirty_, file->fd) == dirty_.end()) dirty_.push_back(file->fd);
  }
  taken_.clear();
}

void BareServer::start_sync() {
  if (sync_runs_) return;
  if (!waiting_.empty()) {
    syncing_ = std::exchange(waiting_, {});
    if (dirty_.empty()) return synced();  // their files are gone
    syncer_.start(std::exchange(dirty_, {}));
    sync_runs_ = true;
  }
  if (!sync_runs_) dirty_.clear();  // nobody waits for these
}

void BareServer::synced() {
  syncer_.collect();
  sync_runs_ = false;
  for (auto& [to, frame] : std::exchange(syncing_, {})) {
    bool first = to->out.empty();
    to->out.insert(to->out.end(), frame.begin(), frame.end());
    if (first && to->fd >= 0) waiting_to_send_.push_back(to);
  }
  for (auto& c : std::exchange(waiting_to_send_, {})) send_answers(*c);
}

/// Blocking: answers are small, and a client that does not read them is none of ours.
void BareServer::send_answers(Connection& c) {
  for (std::size_t sent = 0; sent < c.out.size() && c.fd >= 0;) {
    ssize_t n = ::send(c.fd, c.out.data() + sent, c.out.size() - sent, MSG_NOSIGNAL);
    if (n < 0) break;
    sent += static_cast<std::size_t>(n);
  }
  c.out.clear();
}

}  // namespace mr::bench
