// Aim: the fake network carries every byte once and in order however it is cut up, pushes back, and shows each fault:
// refusal, reset, half close, partition, death of a process, failing accepts. Method: coroutine pairs in a World.
#include "sim/network.h"

#include <gtest/gtest.h>

#include <set>

namespace mr::sim {
namespace {

using std::chrono::seconds;

struct Pair {
  std::unique_ptr<Stream> client, server;
};

Task<void> accept_one(Listener& listener, std::unique_ptr<Stream>* into) {
  auto stream = co_await listener.accept();
  if (stream.ok()) *into = std::move(*stream);
}

Task<Errc> connect_to(Env& env, Address address, std::unique_ptr<Stream>* into, Duration limit = seconds(5)) {
  auto stream = co_await env.network.connect(address, env.now() + limit);
  if (!stream.ok()) co_return stream.code();
  *into = std::move(*stream);
  co_return Errc::cancelled;
}

/// Two hosts, a listener on the second.
struct Net {
  explicit Net(std::uint64_t seed = 1)
      : world({.seed = seed}), client_host(world.add_host("client")), server_host(world.add_host("server")) {
    listener = server().network.listen({.host = "0.0.0.0", .port = 9092}).value();
  }
  ~Net() {
    listener->close();
    world.run_for(seconds(1));
  }
  Env& client() { return client_process.env(ShardId{0}); }
  Env& server() { return server_process.env(ShardId{0}); }
  Pair connected() {
    Pair pair;
    server_process.spawn(ShardId{0}, "accept", accept_one(*listener, &pair.server));
    world.run(client_process, ShardId{0}, connect_to(client(), {"server", 9092}, &pair.client));
    EXPECT_EQ(world.run_until([&] { return pair.server != nullptr; }, seconds(5)), RunEnd::done);
    return pair;
  }

  World world;
  Host& client_host;
  Host& server_host;
  Process& client_process = client_host.start(1);
  Process& server_process = server_host.start(2);
  std::unique_ptr<Listener> listener;
};

Task<void> send_all(Stream& stream, std::string text, Errc* end, bool close = true) {
  ByteView piece = as_bytes(text);
  auto sent = co_await stream.write(std::span(&piece, 1));
  *end = sent.ok() ? Errc::cancelled : sent.code();
  if (close) finish_sending(stream);
}

Task<void> read_all(Stream& stream, std::size_t chunk, std::string* text, Errc* end, std::set<std::size_t>* sizes) {
  std::vector<std::byte> into(chunk);
  while (true) {
    auto count = co_await stream.read_some(into);
    if (!count.ok()) {
      *end = count.code();
      co_return;
    }
    if (*count == 0) {
      *end = Errc::cancelled;
      co_return;
    }
    sizes->insert(*count);
    text->append(as_text(ByteView(into).first(*count)));
  }
}

std::string pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26 + i / 4096 % 3);
  return text;
}

TEST(SimNetwork, CarriesEveryByteInOrderInPiecesOfAnySize) {
  std::set<std::size_t> sizes;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Net net(seed);
    Pair pair = net.connected();
    EXPECT_EQ(pair.client->remote().to_string(), "10.0.0.2:9092");
    EXPECT_EQ(pair.server->local().to_string(), "10.0.0.2:9092");
    EXPECT_EQ(pair.server->remote(), pair.client->local());
    std::string text = pattern(300'000), got;
    Errc sent = Errc::internal, read = Errc::internal;
    net.client_process.spawn(ShardId{0}, "send", send_all(*pair.client, text, &sent));
    net.server_process.spawn(ShardId{0}, "read", read_all(*pair.server, 20'000, &got, &read, &sizes));
    net.world.run_for(seconds(10));
    EXPECT_EQ(sent, Errc::cancelled);
    EXPECT_EQ(read, Errc::cancelled) << "an end, not an error";
    EXPECT_TRUE(got == text) << "seed " << seed;
  }
  EXPECT_TRUE(sizes.contains(1));
  EXPECT_TRUE(sizes.contains(20'000));
  EXPECT_GT(sizes.size(), 20u);
}

TEST(SimNetwork, FullBuffersPushBack) {
  Net net;
  net.world.network().buffer_bytes = 10'000;
  Pair pair = net.connected();
  Errc sent = Errc::internal, read = Errc::internal;
  net.client_process.spawn(ShardId{0}, "send", send_all(*pair.client, pattern(50'000), &sent));
  net.world.run_for(seconds(10));
  EXPECT_EQ(sent, Errc::internal) << "nobody reads, so write must not have returned";
  EXPECT_NE(net.world.describe().find("write waits"), std::string::npos);
  std::string got;
  std::set<std::size_t> sizes;
  net.server_process.spawn(ShardId{0}, "read", read_all(*pair.server, 1'000, &got, &read, &sizes));
  net.world.run_for(seconds(10));
  EXPECT_EQ(sent, Errc::cancelled);
  EXPECT_EQ(got.size(), 50'000u);
}

TEST(SimNetwork, HalfClosedStreamStillCarriesTheOtherDirection) {
  Net net;
  Pair pair = net.connected();
  finish_sending(*pair.client);
  Errc sent = Errc::internal, server_read = Errc::internal, client_read = Errc::internal;
  std::string to_server, to_client;
  std::set<std::size_t> sizes;
  net.server_process.spawn(ShardId{0}, "r", read_all(*pair.server, 100, &to_server, &server_read, &sizes));
  net.server_process.spawn(ShardId{0}, "w", send_all(*pair.server, "answer", &sent));
  net.client_process.spawn(ShardId{0}, "r", read_all(*pair.client, 100, &to_client, &client_read, &sizes));
  net.world.run_for(seconds(1));
  EXPECT_EQ(server_read, Errc::cancelled);
  EXPECT_EQ(to_client, "answer");
  EXPECT_EQ(client_read, Errc::cancelled);
}

TEST(SimNetwork, CloseEndsOwnWaitsAndThePeerHearsOfIt) {
  Net net;
  Pair pair = net.connected();
  Errc mine = Errc::internal, theirs = Errc::internal, sent = Errc::internal;
  std::string text;
  std::set<std::size_t> sizes;
  net.client_process.spawn(ShardId{0}, "r", read_all(*pair.client, 100, &text, &mine, &sizes));
  net.server_process.spawn(ShardId{0}, "r", read_all(*pair.server, 100, &text, &theirs, &sizes));
  net.world.run_for(Millis(1));
  pair.client->close();
  pair.client->close();
  net.world.run_for(seconds(1));
  EXPECT_EQ(mine, Errc::connection_closed);
  EXPECT_EQ(theirs, Errc::cancelled) << "an orderly end";
  net.server_process.spawn(ShardId{0}, "w", send_all(*pair.server, "into the void", &sent, false));
  net.world.run_for(seconds(1));
  EXPECT_EQ(sent, Errc::cancelled) << "the first write cannot know yet";
  net.server_process.spawn(ShardId{0}, "w", send_all(*pair.server, "again", &sent));
  net.world.run_for(seconds(1));
  EXPECT_EQ(sent, Errc::connection_closed);
}

TEST(SimNetwork, ResetBreaksBothEnds) {
  Net net;
  Pair pair = net.connected();
  Errc a = Errc::internal, b = Errc::internal;
  std::string text;
  std::set<std::size_t> sizes;
  net.client_process.spawn(ShardId{0}, "r", read_all(*pair.client, 100, &text, &a, &sizes));
  net.server_process.spawn(ShardId{0}, "r", read_all(*pair.server, 100, &text, &b, &sizes));
  net.world.run_for(Millis(1));
  EXPECT_EQ(net.world.network().reset_connections(net.client_host), 1u);
  net.world.run_for(seconds(1));
  EXPECT_EQ(a, Errc::connection_closed);
  EXPECT_EQ(b, Errc::connection_closed);
  EXPECT_EQ(net.world.network().open_connections(), 0u);
}

TEST(SimNetwork, RandomResetsFire) {
  Net net;
  net.world.network().reset_one_in = 20;
  for (int i = 0; i < 10; ++i) {
    Pair pair = net.connected();
    Errc sent = Errc::internal, read = Errc::internal;
    std::string got;
    std::set<std::size_t> sizes;
    net.client_process.spawn(ShardId{0}, "w", send_all(*pair.client, pattern(200'000), &sent));
    net.server_process.spawn(ShardId{0}, "r", read_all(*pair.server, 5'000, &got, &read, &sizes));
    net.world.run_for(seconds(5));
    EXPECT_EQ(got, pattern(200'000).substr(0, got.size())) << "a broken stream ends early but never skips";
  }
  EXPECT_GT(net.world.network().resets(), 3u);
}

TEST(SimNetwork, PartitionDelaysAndHealingDelivers) {
  Net net;
  Pair pair = net.connected();
  net.world.network().partition(net.client_host, net.server_host);
  Errc sent = Errc::internal, read = Errc::internal;
  std::string got;
  std::set<std::size_t> sizes;
  net.client_process.spawn(ShardId{0}, "w", send_all(*pair.client, "hello", &sent));
  net.server_process.spawn(ShardId{0}, "r", read_all(*pair.server, 100, &got, &read, &sizes));
  std::unique_ptr<Stream> none;
  Errc refused =
      net.world.run(net.client_process, ShardId{0}, connect_to(net.client(), {"server", 9092}, &none, seconds(3)));
  EXPECT_EQ(refused, Errc::timed_out);
  EXPECT_EQ(got, "");
  net.world.network().heal();
  net.world.run_for(seconds(1));
  EXPECT_EQ(got, "hello");
}

TEST(SimNetwork, HealingKeepsTheOrderOfBytes) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Net net(seed);
    Pair pair = net.connected();
    Errc sent = Errc::internal, read = Errc::internal;
    std::string got, text = pattern(400'000);
    std::set<std::size_t> sizes;
    net.client_process.spawn(ShardId{0}, "w", send_all(*pair.client, text, &sent));
    net.server_process.spawn(ShardId{0}, "r", read_all(*pair.server, 5'000, &got, &read, &sizes));
    for (int i = 0; i < 20; ++i) {
      net.world.run_for(std::chrono::microseconds(300));
      net.world.network().partition(net.client_host, net.server_host);
      net.world.run_for(std::chrono::microseconds(150));
      net.world.network().heal();
    }
    net.world.run_for(seconds(5));
    ASSERT_TRUE(got == text) << "seed " << seed;
  }
}

TEST(SimNetwork, ConnectSaysWhyNot) {
  Net net;
  std::unique_ptr<Stream> none;
  auto try_connect = [&](Address address) {
    return net.world.run(net.client_process, ShardId{0}, connect_to(net.client(), address, &none));
  };
  EXPECT_EQ(try_connect({"server", 1}), Errc::connection_refused);
  EXPECT_EQ(try_connect({"127.0.0.1", 9092}), Errc::connection_refused) << "that is the client's own host";
  EXPECT_EQ(try_connect({"nobody", 9092}), Errc::not_found);
  EXPECT_EQ(try_connect({"10.0.0.2", 9092}), Errc::cancelled) << "connected";
  EXPECT_EQ(net.client().network.listen({"10.0.0.2", 1}).code(), Errc::invalid_argument);
  auto again = net.server_process.env(ShardId{1}).network.listen({"", 9092});
  EXPECT_TRUE(again.ok()) << "shards of one process share a port";
  EXPECT_EQ(net.server_host.start(1).env(ShardId{0}).network.listen({"", 9092}).code(), Errc::in_use);
  EXPECT_NE(net.server().network.listen({"", 0}).value()->local().port, 0);
}

TEST(SimNetwork, ConnectionsSpreadOverTheShardsThatListen) {
  Net net;
  auto second = net.server_process.env(ShardId{1}).network.listen({"0.0.0.0", 9092}).value();
  std::vector<std::unique_ptr<Stream>> clients(20);
  for (auto& client : clients) {
    net.world.run(net.client_process, ShardId{0}, connect_to(net.client(), {"server", 9092}, &client));
  }
  net.world.run_for(Millis(10));
  std::unique_ptr<Stream> one, two;
  net.server_process.spawn(ShardId{0}, "a", accept_one(*net.listener, &one));
  net.server_process.spawn(ShardId{1}, "a", accept_one(*second, &two));
  net.world.run_for(Millis(10));
  EXPECT_TRUE(one && two);
}

TEST(SimNetwork, DeathOfAProcessBreaksItsConnectionsAndFreesItsPort) {
  Net net;
  Pair pair = net.connected();
  Errc client = Errc::internal, ghost = Errc::internal;
  std::string text;
  std::set<std::size_t> sizes;
  net.client_process.spawn(ShardId{0}, "r", read_all(*pair.client, 100, &text, &client, &sizes));
  net.server_process.spawn(ShardId{0}, "r", read_all(*pair.server, 100, &text, &ghost, &sizes));
  net.world.run_for(Millis(1));
  net.server_host.crash(CrashMode::keep_all);
  net.world.run_for(seconds(1));
  EXPECT_EQ(client, Errc::connection_closed);
  EXPECT_EQ(ghost, Errc::connection_closed);
  std::unique_ptr<Stream> none;
  EXPECT_EQ(net.world.run(net.client_process, ShardId{0}, connect_to(net.client(), {"server", 9092}, &none)),
            Errc::connection_refused);
  EXPECT_TRUE(net.server_host.start(1).env(ShardId{0}).network.listen({"", 9092}).ok());
}

Task<Errc> accept_code(Listener& listener) {
  auto stream = co_await listener.accept();
  co_return stream.ok() ? Errc::cancelled : stream.code();
}

TEST(SimNetwork, AcceptCanRunOutOfDescriptors) {
  Net net;
  net.world.network().fail_accepts(net.server_host, 1);
  std::unique_ptr<Stream> client;
  net.world.run(net.client_process, ShardId{0}, connect_to(net.client(), {"server", 9092}, &client));
  EXPECT_EQ(net.world.run(net.server_process, ShardId{0}, accept_code(*net.listener)), Errc::resource_exhausted);
  EXPECT_EQ(net.world.run(net.server_process, ShardId{0}, accept_code(*net.listener)), Errc::cancelled) << "accepted";
}

Task<Errc> read_until(Env& env, Stream& stream) {
  std::byte byte{};
  auto count = co_await stream.read_some(std::span(&byte, 1), env.now() + Millis(10));
  co_return count.ok() ? Errc::internal : count.code();
}

Task<Errc> file_through(Stream& stream, File& file, std::uint64_t at, std::uint64_t length) {
  auto sent = co_await stream.send_file(file, at, length);
  co_return sent.ok() ? Errc::cancelled : sent.code();
}

TEST(SimNetwork, DeadlinesEndWaitsAndFilesGoThrough) {
  Net net;
  Pair pair = net.connected();
  EXPECT_EQ(net.world.run(net.client_process, ShardId{0}, read_until(net.client(), *pair.client)), Errc::timed_out);
  auto file = net.server().files.open("/f", OpenMode::create).value();
  std::string text = pattern(40'000), got;
  ASSERT_TRUE(file->write_at(as_bytes(text), 0).ok());
  Errc read = Errc::internal;
  std::set<std::size_t> sizes;
  net.client_process.spawn(ShardId{0}, "r", read_all(*pair.client, 9'000, &got, &read, &sizes));
  EXPECT_EQ(net.world.run(net.server_process, ShardId{0}, file_through(*pair.server, *file, 100, 39'000)),
            Errc::cancelled);
  EXPECT_EQ(net.world.run(net.server_process, ShardId{0}, file_through(*pair.server, *file, 39'999, 2)),
            Errc::io_error);
  pair.server->close();
  net.world.run_for(seconds(1));
  EXPECT_EQ(got, text.substr(100, 39'000) + text.substr(39'999));
}

}  // namespace
}  // namespace mr::sim
