// Aim: calls find their answers however the network cuts and delays bytes; versions are negotiated; deadlines, late
// answers and broken connections end in named errors and leave nothing running. Method: a scripted broker in a World.
#include "client/connection.h"

#include <gtest/gtest.h>

#include "client/scripted_broker.h"
#include "sim/network.h"
#include "wire/api/api_versions.h"
#include "wire/api/describe_cluster.h"
#include "wire/api/metadata.h"

namespace mr::client {
namespace {

using std::chrono::seconds;

/// Answers as a broker that speaks ApiVersions and the given versions of Metadata and DescribeCluster.
void answer_usual(const wire::RequestFrame& head, wire::Writer& out) {
  wire::Arena arena;
  if (head.api->key == wire::ApiKey::api_versions) {
    wire::api_versions::Response response;
    response.api_keys = arena.list<wire::api_versions::ApiVersion>(
        {{.api_key = 18, .min_version = 0, .max_version = 4}, {.api_key = 3, .min_version = 0, .max_version = 9}});
    ASSERT_TRUE(wire::encode_response(out, response, head.version, head.correlation_id).ok());
  } else {
    wire::metadata::Response response;
    std::string cluster = "answer-" + std::to_string(head.correlation_id);
    response.cluster_id = arena.copy(cluster);
    ASSERT_TRUE(wire::encode_response(out, response, head.version, head.correlation_id).ok());
  }
}

struct ConnectionTest : testing::TestWithParam<std::uint64_t> {
  ConnectionTest() {
    broker.answer = answer_usual;
    listener = server.env(ShardId{0}).network.listen({.host = "0.0.0.0", .port = 9092}).value();
    server.spawn(ShardId{0}, "broker", run_broker(broker, server.env(ShardId{0}), *listener));
  }
  ~ConnectionTest() override {
    listener->close();
    world.run_for(seconds(1));
  }
  Env& env() { return client.env(ShardId{0}); }
  template <class T>
  T run(Task<T> task) {
    return world.run(client, ShardId{0}, std::move(task));
  }
  Result<std::unique_ptr<Connection>> open() {
    return run(Connection::open(env(), {"broker", 9092}, {}, world.now() + seconds(5)));
  }

  sim::World world{{.seed = GetParam()}};
  sim::Process& client = world.add_host("client").start(1);
  sim::Process& server = world.add_host("broker").start(1);
  ScriptedBroker broker;
  std::unique_ptr<Listener> listener;
};
INSTANTIATE_TEST_SUITE_P(Seeds, ConnectionTest, testing::Values(1, 2, 3, 4, 5));

Task<Result<std::string>> cluster_id(Connection& connection, TimePoint deadline) {
  wire::metadata::Request request;
  auto reply = co_await connection.call(request, deadline);
  if (!reply.ok()) co_return reply.error();
  co_return std::string((*reply)->cluster_id.value_or(""));
}
Task<void> keep(Task<Result<std::string>> task, std::optional<Result<std::string>>* into) {
  into->emplace(co_await std::move(task));
}

Task<Result<void>> send_and_close(Connection& connection, const wire::metadata::Request& request, int times,
                                  TimePoint deadline) {
  for (int i = 0; i < times; ++i) MR_CO_TRY_VOID(co_await connection.send(request, deadline));
  co_await connection.close();
  co_return Result<void>{};
}

// Who sends without waiting for answers (acks=0) and ends has sent everything.
TEST_P(ConnectionTest, CloseTakesBackNothingThatWasSent) {
  broker.answer = [](const wire::RequestFrame& head, wire::Writer& out) {
    if (head.api->key == wire::ApiKey::api_versions) answer_usual(head, out);
  };
  auto connection = open();
  ASSERT_TRUE(connection.ok()) << connection.error().message();
  wire::Arena arena;
  wire::metadata::Request request;
  const std::string name(30'000, 'x');
  request.topics = arena.list<wire::metadata::MetadataRequestTopic>({{.name = name}, {.name = name}, {.name = name}});
  auto sent = run(send_and_close(**connection, request, 20, world.now() + seconds(5)));
  ASSERT_TRUE(sent.ok()) << sent.error().message();
  world.run_for(seconds(5));
  EXPECT_EQ(broker.seen.size(), 21u);
}

TEST_P(ConnectionTest, SpeaksTheNewestVersionOfBoth) {
  auto connection = open();
  ASSERT_TRUE(connection.ok()) << connection.error().message();
  EXPECT_EQ((*connection)->choose(wire::metadata::kApi, std::nullopt).value(), 9);
  EXPECT_EQ((*connection)->choose(wire::metadata::kApi, 4).value(), 4);
  EXPECT_EQ((*connection)->choose(wire::metadata::kApi, 10).code(), Errc::unsupported_version);
  EXPECT_EQ((*connection)->choose(wire::describe_cluster::kApi, std::nullopt).code(), Errc::unsupported_version);
  auto answer = run(cluster_id(**connection, world.now() + seconds(5)));
  EXPECT_EQ(answer.value(), "answer-1");
  EXPECT_EQ(broker.seen.back().version, 9);
  run((*connection)->close());
}

// An old broker answers ApiVersions v4 in the layout of v0 with UNSUPPORTED_VERSION; v0 is asked next.
TEST_P(ConnectionTest, FallsBackToTheOldestApiVersions) {
  broker.answer = [](const wire::RequestFrame& head, wire::Writer& out) {
    if (head.version == 0) return answer_usual(head, out);
    wire::api_versions::Response response;
    response.error_code = wire::KafkaError::unsupported_version;
    ASSERT_TRUE(wire::encode_response(out, response, 0, head.correlation_id).ok());
  };
  auto connection = open();
  ASSERT_TRUE(connection.ok()) << connection.error().message();
  EXPECT_EQ(broker.seen.size(), 2u);
  EXPECT_EQ((*connection)->choose(wire::metadata::kApi, std::nullopt).value(), 9);
  run((*connection)->close());
}

TEST_P(ConnectionTest, OverlappingCallsEachGetTheirOwnAnswer) {
  broker.hold_until = 1;
  auto connection = open();
  ASSERT_TRUE(connection.ok());
  broker.hold_until = 11;  // the handshake and all ten must be there before one is answered
  std::vector<std::optional<Result<std::string>>> answers(10);
  for (auto& answer : answers)
    client.spawn(ShardId{0}, "call", keep(cluster_id(**connection, world.now() + seconds(5)), &answer));
  EXPECT_EQ(world.run_until([&] { return answers.back().has_value(); }, seconds(5)), sim::RunEnd::done);
  for (std::size_t i = 0; i < answers.size(); ++i)
    EXPECT_EQ(answers[i]->value(), "answer-" + std::to_string(i + 1)) << "seed " << GetParam();
  run((*connection)->close());
}

TEST_P(ConnectionTest, ALateAnswerDoesNotDisturbTheNextCall) {
  auto connection = open();
  ASSERT_TRUE(connection.ok());
  broker.delay = seconds(2);
  EXPECT_EQ(run(cluster_id(**connection, world.now() + seconds(1))).code(), Errc::timed_out);
  EXPECT_EQ(run(cluster_id(**connection, world.now() + seconds(30))).value(), "answer-2");
  run((*connection)->close());
}

TEST_P(ConnectionTest, CallsEndWhenTheBrokerGoes) {
  auto connection = open();
  ASSERT_TRUE(connection.ok());
  broker.hold_until = 100;
  broker.close_after = 4;
  std::vector<std::optional<Result<std::string>>> answers(3);
  for (auto& answer : answers) client.spawn(ShardId{0}, "call", keep(cluster_id(**connection, kForever), &answer));
  EXPECT_EQ(world.run_until([&] { return answers.back().has_value(); }, seconds(5)), sim::RunEnd::done);
  for (auto& answer : answers) EXPECT_EQ(answer->code(), Errc::connection_closed);
  EXPECT_TRUE((*connection)->broken());
  EXPECT_EQ(run(cluster_id(**connection, kForever)).code(), Errc::connection_closed);
  run((*connection)->close());
}

TEST_P(ConnectionTest, AnAnswerNobodyAskedForBreaksTheConnection) {
  broker.answer = [](const wire::RequestFrame& head, wire::Writer& out) {
    wire::RequestFrame other = head;
    if (head.api->key != wire::ApiKey::api_versions) other.correlation_id += 7;
    answer_usual(other, out);
  };
  auto connection = open();
  ASSERT_TRUE(connection.ok());
  EXPECT_EQ(run(cluster_id(**connection, world.now() + seconds(5))).code(), Errc::malformed);
  EXPECT_TRUE((*connection)->broken());
  run((*connection)->close());
}

TEST_P(ConnectionTest, RefusedAndSilentPeersAreNamed) {
  auto refused = run(Connection::open(env(), {"broker", 1}, {}, world.now() + seconds(5)));
  EXPECT_EQ(refused.code(), Errc::connection_refused);
  EXPECT_NE(refused.error().detail().find("broker:1"), std::string::npos);
  broker.hold_until = 100;
  EXPECT_EQ(open().code(), Errc::timed_out);
}

}  // namespace
}  // namespace mr::client
