// A warm shard allocates nothing: requests over loopback with deadlines, cross-shard calls and pool work are done many
// times while a counting operator new looks on. Not built with sanitizers, where coroutine frames are not pooled.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "runtime/real_host.h"

namespace {
std::atomic<std::uint64_t> g_allocations{0};

void* counted(std::size_t size) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  void* p = std::malloc(size);
  if (p == nullptr) std::abort();
  return p;
}
}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }

namespace mr {
namespace {

using namespace std::chrono_literals;

Task<void> answers(Stream& stream) {
  std::byte buffer[4096];
  for (;;) {
    auto n = co_await stream.read_some(buffer);
    if (!n.ok() || *n == 0) co_return;
    ByteView pieces[] = {ByteView(buffer).first(1), ByteView(buffer).subspan(1, *n - 1)};
    if (!(co_await stream.write(pieces)).ok()) co_return;
  }
}

Task<void> one_round(RealHost& host, Stream& stream) {
  Env& env = host.env(ShardId{0});
  std::byte bytes[128] = {};
  ByteView piece = bytes;
  MR_CHECK((co_await stream.write(std::span<const ByteView>(&piece, 1), env.now() + 5s)).ok());
  for (std::size_t have = 0; have < sizeof bytes;) {
    auto n = co_await stream.read_some(MutableBytes(bytes).subspan(have), env.now() + 5s);
    MR_CHECK(n.ok() && *n > 0);
    have += *n;
  }
  auto there = [&host] { return host.env(ShardId{1}).shard.v; };
  MR_CHECK((co_await host.shards().call(ShardId{1}, there)) == 1);
  auto task_there = [&there]() -> Task<std::uint32_t> { co_return there(); };
  MR_CHECK((co_await host.shards().call(ShardId{1}, task_there)) == 1);
  auto on_pool = [] { return 1; };
  MR_CHECK((co_await offload(env, on_pool)) == 1);
}

Task<int> rounds(RealHost& host) {
  Env& env = host.env(ShardId{0});
  auto listener = env.network.listen({.host = "127.0.0.1", .port = 0});
  MR_CHECK(listener.ok());
  auto client = co_await env.network.connect((*listener)->local(), env.now() + 5s);
  auto server = co_await (*listener)->accept();
  MR_CHECK(client.ok() && server.ok());
  Scope scope(env.executor);
  scope.spawn("answers", answers(**server));
  for (int i = 0; i < 300; ++i) co_await one_round(host, **client);
  std::uint64_t before = g_allocations.load();
  for (int i = 0; i < 1000; ++i) co_await one_round(host, **client);
  std::uint64_t made = g_allocations.load() - before;
  co_await scope.stop();
  co_return static_cast<int>(made);
}

TEST(RealAllocations, WarmShardMakesNone) {
  RealHost host({.shards = 2, .pool_threads = 1, .handle_signals = false});
  int made = host.run(rounds);
  // Frames move between the shards' pools with the calls, so now and then one list runs empty.
  EXPECT_LE(made, 10) << "in 1000 rounds";
}

}  // namespace
}  // namespace mr
