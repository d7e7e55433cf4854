// Aim: the whole broker on real threads, files and sockets, for the thread sanitizer's eyes: several shards, producers
// and consumers on all of them, topics made and deleted meanwhile, long polls dropped in the middle, a clean stop and a
// second start. Method: a broker on one host, clients on another in the same process; every record is checked.
#include "app/node.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>

#include "client/admin.h"
#include "client/cluster.h"
#include "client/produce.h"
#include "client/read.h"
#include "wire/api/fetch.h"
#include "wire/api/list_offsets.h"

namespace mr::app {
namespace {

using namespace std::chrono_literals;

constexpr int kPartitions = 6;
constexpr int kBatches = 60;
constexpr int kRecordsPerBatch = 4;

HostOptions quiet(std::uint32_t shards) { return {.shards = shards, .pool_threads = 3, .handle_signals = false}; }

Task<int> serve(RealHost&, Node& node, std::promise<std::uint16_t>& port, RealHost& host) {
  auto started = co_await node.start();
  if (!started.ok()) {
    ADD_FAILURE() << started.error().message();
    port.set_value(0);
    co_return 1;
  }
  port.set_value(node.kafka().front().port);
  co_await host.stop_requested();
  auto stopped = co_await node.stop();
  co_return stopped.ok() ? 0 : 2;
}

/// A broker on its own threads from construction to destruction.
class RunningBroker {
 public:
  explicit RunningBroker(const std::string& directory) : host_(quiet(3)) {
    auto settings = config::load_broker_settings({{.name = "log.dirs", .value = directory},
                                                  {.name = "listeners", .value = "127.0.0.1:0"},
                                                  {.name = "http.listeners", .value = "127.0.0.1:0"}});
    MR_CHECK(settings.ok());
    node_ = std::make_unique<Node>(host_, std::move(*settings),
                                   coordinator::Assignors{coordinator::make_uniform_assignor()});
    std::promise<std::uint16_t> port;
    auto arrived = port.get_future();
    host_.start([this, &port](RealHost& host) { return serve(host, *node_, port, host); });
    port_ = arrived.get();
  }
  ~RunningBroker() {
    host_.request_stop();
    EXPECT_EQ(host_.wait(), 0) << "a clean stop";
  }
  Address address() const { return {"127.0.0.1", port_}; }

 private:
  RealHost host_;
  std::unique_ptr<Node> node_;
  std::uint16_t port_ = 0;
};

struct Client {
  Client(Env& env, Address broker) : env(env), cluster(env, {.bootstrap = {broker}}) {}
  TimePoint deadline() { return env.now() + 60s; }
  Env& env;
  client::Cluster cluster;
};

std::string text_of(int partition, int i) { return fmt::format("p{}-{}", partition, i); }

Task<void> produce_all(Env& env, Address broker, int partition) {
  Client c(env, broker);
  client::Producer producer(c.cluster, {.acks = -1, .codec = partition % 2 == 0 ? Codec::none : Codec::lz4});
  for (int b = 0; b < kBatches; ++b) {
    std::vector<std::string> texts;
    for (int r = 0; r < kRecordsPerBatch; ++r) texts.push_back(text_of(partition, b * kRecordsPerBatch + r));
    std::vector<NewRecord> records;
    for (const std::string& text : texts) records.push_back({.timestamp = 1000 + b, .value = as_bytes(text)});
    auto sent = co_await producer.send({"t", PartitionIndex{partition}}, records, c.deadline());
    EXPECT_TRUE(sent.ok()) << sent.error().message();
    if (sent.ok()) EXPECT_EQ(sent->base_offset.v, b * kRecordsPerBatch);
  }
  co_await c.cluster.close();
}

Task<void> consume_all(Env& env, Address broker, int partition) {
  Client c(env, broker);
  Inflater inflater;
  Offset next{0};
  while (next.v < kBatches * kRecordsPerBatch) {
    auto fetched = co_await client::fetch(c.cluster, {"t", PartitionIndex{partition}}, next, {.wait_max = Millis(200)},
                                          c.deadline());
    if (!fetched.ok()) {
      ADD_FAILURE() << fetched.error().message();
      break;
    }
    auto walked = fetched->only().for_each(inflater, [&](const client::Fetched::Item& item) {
      EXPECT_EQ(as_text(*item.record->value), text_of(partition, static_cast<int>(item.offset.v)));
      return true;
    });
    EXPECT_TRUE(walked.ok());
    if (!walked.ok()) break;
    next = *walked;
  }
  co_await c.cluster.close();
}

Task<void> churn_topics(Env& env, Address broker, int who) {
  Client c(env, broker);
  for (int i = 0; i < 6; ++i) {
    std::string name = fmt::format("churn-{}-{}", who, i);
    auto made = co_await client::create_topic(c.cluster, {.name = name, .partitions = 3}, c.deadline());
    EXPECT_TRUE(made.ok()) << made.error().message();
    // Somebody waits on the topic while it goes: the poll ends with an error or nothing, never with a hang.
    (void)co_await client::fetch(c.cluster, {name, PartitionIndex{1}}, Offset{0}, {.wait_max = Millis(5)},
                                 c.deadline());
    auto gone = co_await client::delete_topic(c.cluster, name, c.deadline());
    EXPECT_TRUE(gone.ok()) << gone.error().message();
  }
  co_await c.cluster.close();
}

/// A consumer that goes away while its long poll waits on three shards.
Task<void> leave_mid_poll(Env& env, Address broker) {
  auto connection = co_await client::Connection::open(env, broker, {}, env.now() + 10s);
  EXPECT_TRUE(connection.ok());
  if (!connection.ok()) co_return;
  wire::fetch::Request request;
  std::array<wire::fetch::FetchPartition, kPartitions> partitions;
  for (int p = 0; p < kPartitions; ++p) {
    partitions[static_cast<std::size_t>(p)].partition = PartitionIndex{p};
    partitions[static_cast<std::size_t>(p)].partition_max_bytes = 1 << 20;
  }
  std::array<wire::fetch::FetchTopic, 1> topics;
  topics[0].topic = "idle";
  topics[0].partitions = {partitions.data(), partitions.size()};
  request.topics = {topics.data(), topics.size()};
  request.max_wait_ms = 30'000;
  request.min_bytes = 1;
  auto left = co_await (*connection)->call(request, env.now() + 20ms, wire::Version{12});
  EXPECT_FALSE(left.ok());
  co_await (*connection)->close();
}

Task<void> make_topic(Env& env, Address broker) {
  Client c(env, broker);
  auto made = co_await client::create_topic(c.cluster, {.name = "t", .partitions = kPartitions}, c.deadline());
  EXPECT_TRUE(made.ok()) << made.error().message();
  auto idle = co_await client::create_topic(c.cluster, {.name = "idle", .partitions = kPartitions}, c.deadline());
  EXPECT_TRUE(idle.ok()) << idle.error().message();
  co_await c.cluster.close();
}

/// Runs `work` of one shard of the clients' host to its end.
Task<void> on_shard(RealHost& host, std::uint32_t shard, std::function<void(Scope&, Env&)> work) {
  Env& env = host.env(ShardId{shard});
  co_await host.shards().call(ShardId{shard}, [&]() -> Task<void> {
    Scope scope(env.executor);
    work(scope, env);
    co_await scope.drained();
  });
}

Task<int> everybody(RealHost& host, Address broker) {
  co_await make_topic(host.env(ShardId{0}), broker);
  Scope both(host.env(ShardId{0}).executor);
  for (std::uint32_t s = 0; s < 2; ++s) {
    both.spawn("clients", on_shard(host, s, [broker, s](Scope& scope, Env& env) {
                 for (int p = static_cast<int>(s); p < kPartitions; p += 2) {
                   scope.spawn("produce", produce_all(env, broker, p));
                   scope.spawn("consume", consume_all(env, broker, p));
                   scope.spawn("consume", consume_all(env, broker, kPartitions - 1 - p));
                 }
                 scope.spawn("churn", churn_topics(env, broker, static_cast<int>(s)));
                 scope.spawn("leave", leave_mid_poll(env, broker));
               }));
  }
  co_await both.drained();
  co_return 0;
}

/// Leader epochs after a second start: the first record keeps the epoch it was written in, the end has the new one.
Task<void> check_epochs(Env& env, Address broker) {
  auto connection = co_await client::Connection::open(env, broker, {}, env.now() + 10s);
  if (!connection.ok()) {
    ADD_FAILURE() << connection.error().message();
    co_return;
  }
  LeaderEpoch first_epoch;
  for (WallMillis special : {client::kEarliestOffset, client::kLatestOffset}) {
    wire::list_offsets::Request request;
    std::array<wire::list_offsets::ListOffsetsPartition, 1> partitions;
    partitions[0].timestamp = special;
    std::array<wire::list_offsets::ListOffsetsTopic, 1> topics;
    topics[0] = {.name = "t", .partitions = {partitions.data(), 1}};
    request.topics = {topics.data(), 1};
    auto reply = co_await (*connection)->call(request, env.now() + 10s);
    EXPECT_TRUE(reply.ok());
    if (!reply.ok()) break;
    LeaderEpoch epoch = (*reply)->topics[0].partitions[0].leader_epoch;
    if (special == client::kEarliestOffset) {
      first_epoch = epoch;
    } else {
      EXPECT_GT(epoch, first_epoch);
    }
  }
  co_await (*connection)->close();
}

Task<int> readers(RealHost& host, Address broker) {
  Scope scope(host.env(ShardId{0}).executor);
  for (int p = 0; p < kPartitions; ++p) scope.spawn("consume", consume_all(host.env(ShardId{0}), broker, p));
  scope.spawn("epochs", check_epochs(host.env(ShardId{0}), broker));
  co_await scope.drained();
  co_return 0;
}

TEST(Node, ManyClientsOnManyShardsAndASecondStart) {
  std::string directory = testing::TempDir() + fmt::format("millrace-node-test-{:x}", make_real_rng()->next());
  {
    RunningBroker broker(directory);
    RealHost clients(quiet(2));
    Address address = broker.address();
    EXPECT_EQ(clients.run([address](RealHost& host) { return everybody(host, address); }), 0);
  }
  {
    RunningBroker again(directory);
    RealHost clients(quiet(1));
    Address address = again.address();
    EXPECT_EQ(clients.run([address](RealHost& host) { return readers(host, address); }), 0);
  }
  EXPECT_TRUE(real_files().remove_all(directory).ok());
}

TEST(Node, TwoBrokersInOneProcess) {
  std::string base = testing::TempDir() + fmt::format("millrace-node-test-{:x}", make_real_rng()->next());
  {
    RunningBroker first(base + "/a");
    RunningBroker second(base + "/b");
    RealHost clients(quiet(1));
    Address a = first.address(), b = second.address();
    EXPECT_NE(a, b);
    EXPECT_EQ(clients.run([a, b](RealHost& host) -> Task<int> {
      co_await make_topic(host.env(ShardId{0}), a);
      co_await make_topic(host.env(ShardId{0}), b);  // no clash: they share nothing
      co_return 0;
    }),
              0);
  }
  EXPECT_TRUE(real_files().remove_all(base).ok());
}

}  // namespace
}  // namespace mr::app
