// Aim: clients that misbehave at the Kafka door neither keep the broker from stopping nor make it hold memory for them.
// Method: the real broker in a World, and clients that do what no honest one does.
#include <gtest/gtest.h>

#include "base/log.h"
#include "sim/network.h"
#include "tests/simulation/broker_node.h"
#include "tests/simulation/link.h"
#include "wire/api/fetch.h"
#include "wire/api/produce.h"

namespace mr::sim {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  Fixture() : world({.seed = 21}), broker_host(world.add_host("b")), node(broker_host, {}) {
    set_log_level(LogLevel::off);
    node.start();
    MR_CHECK(world.run_until([&] { return node.running(); }, 60s) == RunEnd::done);
    client = &world.add_host("c").start(1);
    auto opened = run(Link::open(env(), {broker_host.address(), 9092}, "rude"));
    MR_CHECK(opened.ok());
    link = std::move(*opened);
  }
  ~Fixture() {
    auto close = [](std::unique_ptr<Link> link) -> Task<void> {
      link->close();
      co_return;
    };
    run(close(std::move(link)));
    if (node.running()) node.stop();
    world.run_until([&] { return node.stopped(); }, 60s);
  }
  Env& env() { return client->env(ShardId{0}); }
  template <class T>
  T run(Task<T> task) {
    return world.run(*client, ShardId{0}, std::move(task));
  }

  World world;
  Host& broker_host;
  BrokerNode node;
  Process* client;
  std::unique_ptr<Link> link;
};

// Answers of produces wait to be sent, the client has said its last word and reads nothing: a stop must not wait for
// the idle time-out of that connection.
TEST(Door, StopsWithAClientThatReadsNothing) {
  Fixture f;
  auto send = [](Link& link) -> Task<void> {
    wire::Arena arena;
    std::string name(240, 'x');  // no such topic
    wire::produce::Request request;
    request.acks = -1;
    request.timeout_ms = 1000;
    request.topic_data = arena.list<wire::produce::TopicProduceData>(40);
    for (auto& topic : request.topic_data) {
      topic.name = name;
      topic.partition_data = arena.list<wire::produce::PartitionProduceData>(1);
    }
    for (int i = 0; i < 40; ++i) EXPECT_TRUE((co_await link.send(request, 9)).ok());
    finish_sending(link.stream());
  };
  f.run(send(*f.link));
  f.world.run_for(2s);
  ASSERT_EQ(f.world.network().open_connections(), 1u) << "the test is about a connection that is still there";
  f.node.stop();
  EXPECT_EQ(f.world.run_until([&] { return f.node.stopped(); }, 30s), RunEnd::done);
}

TEST(Door, AFetchOfMorePartitionsThanThereCanBeEndsTheConnection) {
  Fixture f;
  auto fetch = [](Link& link) -> Task<Result<Answer<wire::fetch::Response>>> {
    wire::Arena arena;
    wire::fetch::Request request;
    request.max_wait_ms = INT32_MAX;
    request.topics = arena.list<wire::fetch::FetchTopic>(1);
    request.topics[0].topic = "t";
    request.topics[0].partitions = arena.list<wire::fetch::FetchPartition>(100'001);
    co_return co_await link.call<wire::fetch::Response>(request, 12, 30s);
  };
  auto answer = f.run(fetch(*f.link));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.code(), Errc::connection_closed);
}

}  // namespace
}  // namespace mr::sim
