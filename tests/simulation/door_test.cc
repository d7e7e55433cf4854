// Aim: clients that misbehave at the Kafka door neither keep the broker from stopping nor make it hold memory for them.
// Method: the real broker in a World, and clients that do what no honest one does.
#include <gtest/gtest.h>

#include <set>

#include "base/log.h"
#include "sim/network.h"
#include "tests/simulation/broker_node.h"
#include "tests/simulation/link.h"
#include "wire/api/create_topics.h"
#include "wire/api/fetch.h"
#include "wire/api/produce.h"

namespace mr::sim {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  explicit Fixture(std::uint32_t shards = 2)
      : world({.seed = 21}), broker_host(world.add_host("b")), node(broker_host, {.shards = shards}) {
    set_log_level(LogLevel::off);
    node.start();
    MR_CHECK(world.run_until([&] { return node.running(); }, 60s) == RunEnd::done);
    client = &world.add_host("c").start(1);
    link = connect();
  }
  std::unique_ptr<Link> connect() {
    auto opened = run(Link::open(env(), {broker_host.address(), 9092}, "rude"));
    MR_CHECK(opened.ok());
    return std::move(*opened);
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

Task<Result<void>> create_topic(Link& link, std::string_view name) {
  wire::create_topics::CreatableTopic wanted{.name = name, .num_partitions = 3, .replication_factor = 1};
  wire::create_topics::Request request{.topics = {&wanted, 1}, .timeout_ms = 10'000};
  MR_CO_TRY(auto answer, co_await link.call<wire::create_topics::Response>(request, 7, 30s));
  MR_CHECK(answer.body.topics[0].error_code == wire::KafkaError::none);
  co_return Result<void>{};
}

/// A fetch in a session, or one that begins it, of all partitions of "t", or one that forgets them.
struct SessionFetch {
  std::int32_t id = 0;
  std::int32_t epoch = 0;
  bool names_all = false;
  bool forgets_all = false;
  std::int32_t max_wait_ms = 0;

  Task<Result<void>> send(Link& link) {
    wire::Arena arena;
    wire::fetch::Request request{
        .max_wait_ms = max_wait_ms, .min_bytes = 1, .max_bytes = 1 << 20, .session_id = id, .session_epoch = epoch};
    if (names_all) {
      request.topics = arena.list<wire::fetch::FetchTopic>(1);
      request.topics[0].topic = "t";
      request.topics[0].partitions = arena.list<wire::fetch::FetchPartition>(3);
      for (int i = 0; i < 3; ++i)
        request.topics[0].partitions[i] = {.partition = PartitionIndex{i}, .partition_max_bytes = 1000};
    }
    if (forgets_all) {
      request.forgotten_topics_data = arena.list<wire::fetch::ForgottenTopic>(1);
      request.forgotten_topics_data[0].topic = "t";
      request.forgotten_topics_data[0].partitions = arena.list<PartitionIndex>(3);
      for (int i = 0; i < 3; ++i) request.forgotten_topics_data[0].partitions[i] = PartitionIndex{i};
    }
    MR_CO_TRY_VOID(co_await link.send(request, 12));
    co_return Result<void>{};
  }
  /// The error and the session of the answer.
  std::pair<wire::KafkaError, std::int32_t> say(Fixture& f, Link& link) {
    EXPECT_TRUE(f.run(send(link)).ok());
    auto answer = f.run(hear(link, f.env()));
    MR_CHECK(answer.ok());
    return {answer->body.error_code, answer->body.session_id};
  }
  static Task<Result<Answer<wire::fetch::Response>>> hear(Link& link, Env& env) {
    co_return co_await link.receive<wire::fetch::Response>(env.now() + 30s);
  }
};

// Two connections go on with one session: what the one waits for is taken away by the other. The one that waited hears
// that the session has moved on, and nothing of what is gone is touched.
TEST(Door, ASessionThatTwoGoOnWith) {
  Fixture f(1);
  ASSERT_TRUE(f.run(create_topic(*f.link, "t")).ok());
  auto other = f.connect();
  auto fetch = [&](Link& link, SessionFetch what) { return what.say(f, link); };
  using K = wire::KafkaError;
  for (bool forgets : {false, true}) {
    auto [error, id] = fetch(*f.link, {.names_all = true});
    ASSERT_EQ(error, K::none);
    ASSERT_NE(id, 0);
    SessionFetch waits{.id = id, .epoch = 1, .max_wait_ms = 5000};
    ASSERT_TRUE(f.run(waits.send(*f.link)).ok());
    f.world.run_for(1s);
    EXPECT_EQ(fetch(*other, {.id = id, .epoch = 1}).first, K::invalid_fetch_session_epoch) << "it is taken";
    EXPECT_EQ(fetch(*other, {.id = id, .epoch = 2, .names_all = !forgets, .forgets_all = forgets}),
              std::pair(K::none, forgets ? 0 : id));
    auto waited = f.run(SessionFetch::hear(*f.link, f.env()));
    ASSERT_TRUE(waited.ok());
    EXPECT_EQ(waited->body.error_code, K::invalid_fetch_session_epoch);
    EXPECT_EQ(fetch(*other, {.id = id, .epoch = 3}).first, forgets ? K::fetch_session_id_not_found : K::none);
  }
}

// A client that comes back takes its session down, whichever shard's it was, and gets a new one.
TEST(Door, ASessionEndsWhereverItsReaderComesBack) {
  Fixture f;
  ASSERT_TRUE(f.run(create_topic(*f.link, "t")).ok());
  auto fetch = [&](Link& link, SessionFetch what) { return what.say(f, link); };
  std::set<std::int32_t> shards;
  for (int i = 0; i < 16; ++i) {
    std::int32_t first = fetch(*f.link, {.names_all = true}).second;
    ASSERT_NE(first, 0);
    auto again = f.connect();
    auto [error, id] = fetch(*again, {.id = first, .names_all = true});
    ASSERT_EQ(error, wire::KafkaError::none);
    ASSERT_NE(id, 0);
    ASSERT_NE(id, first);
    shards.insert(id % 2);
    EXPECT_EQ(fetch(*f.link, {.id = first, .epoch = 1}).first, wire::KafkaError::fetch_session_id_not_found);
    EXPECT_EQ(fetch(*again, {.id = id, .epoch = 1}).first, wire::KafkaError::none);
    auto close = [](std::unique_ptr<Link> link) -> Task<void> {
      link->close();
      co_return;
    };
    f.run(close(std::move(again)));
  }
  EXPECT_EQ(shards.size(), 2u) << "connections on both shards";
}

}  // namespace
}  // namespace mr::sim
