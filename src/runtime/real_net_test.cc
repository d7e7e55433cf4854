// The production network over loopback, port 0: echo with many connections, half-close, deadlines, cancellation,
// close under waiters, back-pressure, sendfile, and how many calls a request costs.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "runtime/real_host.h"
#include "runtime/real_socket.h"

namespace mr {
namespace {

using namespace std::chrono_literals;

std::span<const ByteView> one(const ByteView& piece) { return {&piece, 1}; }

struct Net {
  explicit Net(RealHost& host) : host(host), env(host.env(ShardId{0})) {}
  RealHost& host;
  Env& env;
  TimePoint in(Duration d) { return env.now() + d; }

  struct Pair {
    std::unique_ptr<Stream> client, server;
  };
  Task<Pair> connected() {
    auto listener = env.network.listen({.host = "127.0.0.1", .port = 0});
    MR_CHECK(listener.ok());
    auto client = co_await env.network.connect((*listener)->local(), in(5s));
    MR_CHECK(client.ok());
    auto server = co_await (*listener)->accept();
    MR_CHECK(server.ok());
    Pair pair{.client = std::move(*client), .server = std::move(*server)};
    co_return pair;
  }
};

/// Runs `body` as main of a host with one shard.
void with_net(Task<void> (*body)(Net)) {
  RealHost host({.shards = 1, .pool_threads = 1, .handle_signals = false});
  auto main = [body](RealHost& h) -> Task<int> {
    co_await body(Net(h));
    co_return 0;
  };
  EXPECT_EQ(host.run(main), 0);
  EXPECT_EQ(host.counters(ShardId{0}).connections, 0u);
}

Task<void> echo(std::unique_ptr<Stream> stream) {
  std::vector<std::byte> buffer(4096);
  for (;;) {
    auto n = co_await stream->read_some(buffer);
    if (!n.ok() || *n == 0) co_return;
    ByteView piece(buffer.data(), *n);
    if (!(co_await stream->write(one(piece))).ok()) co_return;
  }
}
Task<void> serve(Scope& connections, Listener& listener) {
  for (;;) {
    auto stream = co_await listener.accept();
    if (!stream.ok()) co_return;
    connections.spawn("echo", echo(std::move(*stream)));
  }
}
Task<void> ask(Env& env, Address server, std::string text, int rounds, int& good) {
  auto stream = co_await env.network.connect(server, env.now() + 10s);
  if (!stream.ok()) co_return;
  std::string back(text.size(), 0);
  for (int i = 0; i < rounds; ++i) {
    // In three pieces, one of them empty.
    ByteView all = as_bytes(text);
    ByteView pieces[] = {all.first(1), ByteView{}, all.subspan(1)};
    if (!(co_await (*stream)->write(pieces)).ok()) co_return;
    for (std::size_t have = 0; have < back.size();) {
      auto n = co_await (*stream)->read_some(std::as_writable_bytes(std::span(back)).subspan(have), env.now() + 10s);
      if (!n.ok() || *n == 0) co_return;
      have += *n;
    }
    if (back == text) ++good;
  }
}

Task<void> many_connections(Net net) {
  Scope scope(net.env.executor), connections(net.env.executor);
  auto listener = net.env.network.listen({.host = "localhost", .port = 0});
  MR_CHECK(listener.ok());
  EXPECT_NE((*listener)->local().port, 0);
  EXPECT_EQ((*listener)->local().host, "127.0.0.1");
  scope.spawn("serve", serve(connections, **listener));
  Scope clients(net.env.executor);
  int good = 0;
  for (int i = 0; i < 100; ++i) {
    clients.spawn("ask", ask(net.env, (*listener)->local(), std::string(10 + i * 37, 'a' + i % 26), 20, good));
  }
  co_await clients.drained();
  EXPECT_EQ(good, 2000);
  co_await scope.stop();
  co_await connections.stop();
}
TEST(RealNet, EchoWithManyConnections) { with_net(many_connections); }

Task<void> across(RealHost& host, Address server, ShardId shard, int& good) {
  auto fn = [&] { return ask(host.env(shard), server, "hello", 50, good); };
  co_await host.shards().call(shard, fn);
}
Task<int> shards_share(RealHost& host) {
  auto first = host.env(ShardId{0}).network.listen({.host = "127.0.0.1", .port = 0});
  MR_CHECK(first.ok());
  Address address = (*first)->local();
  auto second = host.env(ShardId{1}).network.listen(address);
  EXPECT_TRUE(second.ok()) << "another shard of this host";
  EXPECT_EQ((*second)->local(), address);
  second->reset();
  RealHost other({.shards = 1, .handle_signals = false});
  EXPECT_EQ(other.env(ShardId{0}).network.listen(address).code(), Errc::in_use) << "another broker";
  Scope scope(host.env(ShardId{0}).executor), connections(host.env(ShardId{0}).executor);
  scope.spawn("serve", serve(connections, **first));
  int good = 0;
  co_await across(host, address, ShardId{1}, good);
  co_await scope.stop();
  co_await connections.stop();
  co_return good;
}
TEST(RealNet, ShardsShareAnAddressAndBrokersDoNot) {
  RealHost host({.shards = 2, .handle_signals = false});
  EXPECT_EQ(host.run(shards_share), 50);
}

Task<void> addresses(Net net) {
  auto p = co_await net.connected();
  EXPECT_EQ(p.client->local(), p.server->remote());
  EXPECT_EQ(p.client->remote(), p.server->local());
  auto any = net.env.network.listen({.host = "", .port = 0});
  MR_CHECK(any.ok());
  for (const char* host : {"127.0.0.1", "::1"}) {
    Address to{.host = host, .port = (*any)->local().port};
    auto client = co_await net.env.network.connect(to, net.in(5s));
    if (!client.ok() && to.host == "::1") continue;  // a machine without IPv6
    MR_CHECK(client.ok());
    auto server = co_await (*any)->accept();
    EXPECT_EQ((*server)->local(), to) << "IPv4 shows as IPv4 on a socket for both";
  }
  any->reset();
}
TEST(RealNet, Addresses) { with_net(addresses); }

Task<void> half_close(Net net) {
  auto p = co_await net.connected();
  ByteView text = as_bytes("last words");
  EXPECT_TRUE((co_await p.client->write(one(text))).ok());
  p.client->close();
  p.client->close();
  std::byte buffer[64];
  // A reader that takes less than there is, then all, then the end.
  auto n = co_await p.server->read_some(std::span(buffer).first(4), net.in(5s));
  EXPECT_EQ(*n, 4u);
  n = co_await p.server->read_some(buffer, net.in(5s));
  EXPECT_EQ(*n, 6u);
  n = co_await p.server->read_some(buffer, net.in(5s));
  EXPECT_EQ(*n, 0u);
  EXPECT_EQ((co_await p.client->read_some(buffer)).code(), Errc::connection_closed);
  EXPECT_EQ((co_await p.client->write(one(text))).code(), Errc::connection_closed);
}
TEST(RealNet, EndOfStream) { with_net(half_close); }

Task<void> reads(Stream& stream, TimePoint deadline, std::string& out) {
  std::byte buffer[16];
  auto n = co_await stream.read_some(buffer, deadline);
  out += n.ok() ? std::to_string(*n) : std::string(to_string(n.code()));
}
Task<void> ends_of_waiting(Net net) {
  auto p = co_await net.connected();
  std::string out;
  co_await reads(*p.server, net.in(2ms), out);
  EXPECT_EQ(std::exchange(out, {}), "timed_out");

  Scope scope(net.env.executor);
  scope.spawn("reads", reads(*p.server, kForever, out));
  (void)co_await sleep_until(net.in(1ms));
  co_await scope.stop();
  EXPECT_EQ(std::exchange(out, {}), "cancelled");

  // The stream is as good as before.
  ByteView text = as_bytes("x");
  EXPECT_TRUE((co_await p.client->write(one(text))).ok());
  co_await reads(*p.server, net.in(5s), out);
  EXPECT_EQ(std::exchange(out, {}), "1");

  Scope closing(net.env.executor);
  closing.spawn("reads", reads(*p.server, kForever, out));
  (void)co_await sleep_until(net.in(1ms));
  p.server->close();
  co_await closing.drained();
  EXPECT_EQ(std::exchange(out, {}), "connection_closed");
}
TEST(RealNet, DeadlineCancelClose) { with_net(ends_of_waiting); }

Task<void> accepts(Listener& listener, std::string& out) {
  auto stream = co_await listener.accept();
  out += stream.ok() ? "stream" : std::string(to_string(stream.code()));
}
Task<void> listener_ends(Net net) {
  auto listener = net.env.network.listen({.host = "127.0.0.1", .port = 0});
  MR_CHECK(listener.ok());
  Address address = (*listener)->local();
  std::string out;
  Scope scope(net.env.executor);
  scope.spawn("accepts", accepts(**listener, out));
  (void)co_await sleep_until(net.in(1ms));
  (*listener)->close();
  co_await scope.drained();
  EXPECT_EQ(out, "cancelled");
  auto refused = co_await net.env.network.connect(address, net.in(5s));
  EXPECT_EQ(refused.code(), Errc::connection_refused);
  auto unknown = co_await net.env.network.connect({.host = "no-such-host.invalid", .port = 1}, net.in(5s));
  EXPECT_FALSE(unknown.ok());
  EXPECT_EQ(net.env.network.listen({.host = "192.0.2.1", .port = 0}).code(), Errc::invalid_argument);
}
TEST(RealNet, ListenerAndConnectErrors) { with_net(listener_ends); }

/// What the kernel holds for the socket between `local` and `remote` (SO_SNDBUF or SO_RCVBUF): twice what was asked
/// for.
int buffer_bytes(int which, const Address& local, const Address& remote) {
  for (int fd = 0; fd < 1024; ++fd) {
    SocketAddress own, peer;
    own.length = peer.length = sizeof own.storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own.storage), &own.length) != 0) continue;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer.storage), &peer.length) != 0) continue;
    if (own.to_address() != local || peer.to_address() != remote) continue;
    int bytes = 0;
    socklen_t length = sizeof bytes;
    MR_CHECK(::getsockopt(fd, SOL_SOCKET, which, &bytes, &length) == 0);
    return bytes;
  }
  return -1;
}
Task<void> buffers_are_obeyed(Net net) {
  auto listener = net.env.network.listen({.host = "127.0.0.1", .port = 0}, {.send = 40'000, .receive = 50'000});
  MR_CHECK(listener.ok());
  auto client = co_await net.env.network.connect((*listener)->local(), net.in(10s));
  auto server = co_await (*listener)->accept();
  MR_CHECK(client.ok() && server.ok());
  const Address &here = (*server)->local(), &there = (*server)->remote();
  EXPECT_EQ(buffer_bytes(SO_SNDBUF, here, there), 80'000);
  EXPECT_EQ(buffer_bytes(SO_RCVBUF, here, there), 100'000);
}
TEST(RealNet, AcceptedConnectionsHaveTheBuffersAskedFor) { with_net(buffers_are_obeyed); }

Task<void> writes_all(Stream& stream, ByteView bytes, std::string& out) {
  auto written = co_await stream.write(one(bytes));
  out += written.ok() ? "written" : std::string(to_string(written.code()));
}
Task<void> back_pressure(Net net) {
  auto p = co_await net.connected();
  std::vector<std::byte> big(32 << 20);
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<std::byte>(i * 2654435761u >> 24);
  std::string out;
  Scope scope(net.env.executor);
  scope.spawn("writes", writes_all(*p.client, big, out));
  (void)co_await sleep_until(net.in(5ms));
  EXPECT_EQ(out, "") << "more than any socket buffer holds";
  std::vector<std::byte> got(big.size());
  for (std::size_t have = 0; have < got.size();) {
    auto n = co_await p.server->read_some(MutableBytes(got).subspan(have), net.in(10s));
    MR_CHECK(n.ok() && *n > 0);
    have += *n;
  }
  co_await scope.drained();
  EXPECT_EQ(out, "written");
  EXPECT_TRUE(got == big);
  // A writer that waits hears of the deadline and of the end.
  ByteView piece = big;
  EXPECT_EQ((co_await p.client->write(one(piece), net.in(3ms))).code(), Errc::timed_out);
  out.clear();
  scope.spawn("writes", writes_all(*p.client, big, out));
  (void)co_await sleep_until(net.in(1ms));
  p.server->close();  // with unread bytes: a reset
  co_await scope.drained();
  EXPECT_EQ(out, "connection_closed");
}
TEST(RealNet, BackPressure) { with_net(back_pressure); }

Task<void> sends_range(Stream& stream, File& file, std::uint64_t at, std::uint64_t length, std::string& out) {
  auto sent = co_await stream.send_file(file, at, length);
  out += sent.ok() ? "sent" : std::string(to_string(sent.code()));
}
Task<void> send_files(Net net) {
  char path[] = "/tmp/millrace-send-XXXXXX";
  MR_CHECK(::mkdtemp(path) != nullptr);
  auto file = net.env.files.open(std::string(path) + "/f", OpenMode::create_new);
  MR_CHECK(file.ok());
  std::vector<std::byte> big(5 << 20);
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<std::byte>(i * 40503u >> 12);
  MR_CHECK((*file)->write_at(big, 0).ok());
  auto p = co_await net.connected();
  std::string out;
  Scope scope(net.env.executor);
  scope.spawn("send", sends_range(*p.client, **file, 1000, big.size() - 1000, out));
  std::vector<std::byte> got(big.size() - 1000);
  for (std::size_t have = 0; have < got.size();) {
    auto n = co_await p.server->read_some(MutableBytes(got).subspan(have), net.in(10s));
    MR_CHECK(n.ok() && *n > 0);
    have += *n;
  }
  co_await scope.drained();
  EXPECT_EQ(std::exchange(out, {}), "sent");
  EXPECT_TRUE(std::equal(got.begin(), got.end(), big.begin() + 1000));
  co_await sends_range(*p.client, **file, big.size(), 1, out);
  EXPECT_EQ(out, "io_error") << "past the end";
  EXPECT_TRUE(net.env.files.remove_all(path).ok());
}
TEST(RealNet, SendFile) { with_net(send_files); }

// Filling a small socket buffer again and again takes no call that only says "full"; memory and files alike.
Task<void> full_buffers(Net net) {
  char path[] = "/tmp/millrace-full-XXXXXX";
  MR_CHECK(::mkdtemp(path) != nullptr);
  auto file = net.env.files.open(std::string(path) + "/f", OpenMode::create_new);
  MR_CHECK(file.ok());
  std::vector<std::byte> big(8 << 20);
  MR_CHECK((*file)->write_at(big, 0).ok());
  auto listener = net.env.network.listen({.host = "127.0.0.1", .port = 0}, {.send = 100'000, .receive = 100'000});
  MR_CHECK(listener.ok());
  auto client = co_await net.env.network.connect((*listener)->local(), net.in(10s));
  auto server = co_await (*listener)->accept();
  MR_CHECK(client.ok() && server.ok());
  for (bool from_file : {true, false}) {
    std::string out;
    Scope scope(net.env.executor);
    ShardCounters before = net.host.counters(ShardId{0});
    scope.spawn("send", from_file ? sends_range(**server, **file, 0, big.size(), out) : writes_all(**server, big, out));
    std::vector<std::byte> got(big.size());
    std::size_t reads = 0;
    for (std::size_t have = 0; have < got.size(); ++reads) {
      auto n = co_await (*client)->read_some(MutableBytes(got).subspan(have), net.in(10s));
      MR_CHECK(n.ok() && *n > 0);
      have += *n;
    }
    co_await scope.drained();
    ShardCounters after = net.host.counters(ShardId{0});
    EXPECT_EQ(out, from_file ? "sent" : "written");
    std::uint64_t sends = after.socket_calls - before.socket_calls - reads;
    EXPECT_GE(sends, 10u) << "or the buffer was never full";
    EXPECT_LE(after.socket_waits - before.socket_waits, 2 + sends / 20);
  }
  EXPECT_TRUE(net.env.files.remove_all(path).ok());
}
TEST(RealNet, AFullSocketIsNotAskedAgain) { with_net(full_buffers); }

// A read that took all there was does not ask again, so the end must come as news of its own, however late it came.
Task<void> end_behind_a_short_read(Net net) {
  std::byte buffer[64];
  ByteView text = as_bytes("last words");
  for (bool before_the_read : {true, false}) {
    auto p = co_await net.connected();
    EXPECT_TRUE((co_await p.client->write(one(text))).ok());
    (void)co_await sleep_until(net.in(2ms));  // the edge of the bytes has been seen
    if (before_the_read) p.client->close();
    EXPECT_EQ(*co_await p.server->read_some(buffer, net.in(5s)), text.size());
    if (!before_the_read) p.client->close();
    auto n = co_await p.server->read_some(buffer, net.in(5s));
    EXPECT_TRUE(n.ok() && *n == 0);
  }
}
TEST(RealNet, EndBehindAShortRead) { with_net(end_behind_a_short_read); }

// One recv and one send for a request on each side, and no recv that only says "nothing there".
Task<void> call_count(Net net) {
  Scope scope(net.env.executor), connections(net.env.executor);
  auto listener = net.env.network.listen({.host = "127.0.0.1", .port = 0});
  MR_CHECK(listener.ok());
  scope.spawn("serve", serve(connections, **listener));
  int good = 0;
  // The client's read asks for exactly what comes, so its socket looks as if there were more: one wait each.
  ShardCounters before = net.host.counters(ShardId{0});
  co_await ask(net.env, (*listener)->local(), std::string(128, 'x'), 1000, good);
  ShardCounters after = net.host.counters(ShardId{0});
  EXPECT_EQ(good, 1000);
  std::uint64_t calls = after.socket_calls - before.socket_calls;
  std::uint64_t waits = after.socket_waits - before.socket_waits;
  EXPECT_LE(calls - waits, 4010u);
  EXPECT_LE(waits, 1010u) << "only the client's";
  co_await scope.stop();
  co_await connections.stop();
}
TEST(RealNet, CallsPerRequest) { with_net(call_count); }

// A peer that always has bytes ready must not keep the shard to itself.
Task<void> floods(Stream& stream, bool& stop) {
  std::vector<std::byte> bytes(1 << 16);
  while (!stop) {
    ByteView piece = bytes;
    if (!(co_await stream.write(one(piece))).ok()) co_return;
  }
}
Task<void> drinks(Stream& stream, std::uint64_t& got) {
  std::byte buffer[256];
  for (;;) {
    auto n = co_await stream.read_some(buffer);
    if (!n.ok() || *n == 0) co_return;
    got += *n;
  }
}
Task<void> fairness(Net net) {
  auto p = co_await net.connected();
  Scope scope(net.env.executor);
  bool stop = false;
  std::uint64_t got = 0;
  scope.spawn("floods", floods(*p.client, stop));
  scope.spawn("drinks", drinks(*p.server, got));
  for (int i = 0; i < 20; ++i) (void)co_await sleep_until(net.in(1ms));  // comes back at all only if they let it
  EXPECT_GT(got, 0u);
  co_await scope.stop();  // and cancellation reaches them
}
TEST(RealNet, BusyStreamsAreFair) { with_net(fairness); }

}  // namespace
}  // namespace mr
