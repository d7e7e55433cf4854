// Aim: an idempotent producer gets its id also from a broker that is still loading. Method: a scripted broker in a
// World.
#include "client/produce.h"

#include <gtest/gtest.h>

#include "client/scripted_broker.h"
#include "sim/network.h"
#include "wire/api/init_producer_id.h"
#include "wire/api/metadata.h"
#include "wire/api/produce.h"

namespace mr::client {
namespace {

using std::chrono::seconds;

struct ProducerTest : testing::Test {
  ProducerTest() {
    broker.on<wire::metadata::Request>(9, [](const auto&, auto& response, wire::Arena& arena, wire::Version) {
      response.brokers = arena.list<wire::metadata::MetadataResponseBroker>(
          {{.node_id = BrokerId{7}, .host = "broker", .port = 9092}});
      response.topics = arena.list<wire::metadata::MetadataResponseTopic>(1);
      response.topics[0].name = "t";
      response.topics[0].partitions =
          arena.list<wire::metadata::MetadataResponsePartition>({{.leader_id = BrokerId{7}}});
    });
    broker.on<wire::produce::Request>(9, [](const auto&, auto& response, wire::Arena& arena, wire::Version) {
      response.responses = arena.list<wire::produce::TopicProduceResponse>(1);
      response.responses[0].name = "t";
      response.responses[0].partition_responses =
          arena.list<wire::produce::PartitionProduceResponse>({{.base_offset = Offset{5}}});
    });
    listener = server.env(ShardId{0}).network.listen({.host = "0.0.0.0", .port = 9092}).value();
    server.spawn(ShardId{0}, "broker", run_broker(broker, server.env(ShardId{0}), *listener));
  }
  ~ProducerTest() override {
    world.run(client, ShardId{0}, cluster.close());
    listener->close();
    world.run_for(seconds(1));
  }
  /// InitProducerId answers `errors` one by one, then an id.
  void ids_after(std::vector<wire::KafkaError> errors) {
    broker.on<wire::init_producer_id::Request>(
        4, [errors, next = std::size_t{0}](const auto&, auto& response, wire::Arena&, wire::Version) mutable {
          if (next < errors.size()) {
            response.error_code = errors[next++];
          } else {
            response.producer_id = ProducerId{9};
            response.producer_epoch = ProducerEpoch{0};
          }
        });
  }
  Result<Produced> send() {
    Producer producer(cluster, {});
    const NewRecord record{.value = as_bytes("v")};
    return world.run(client, ShardId{0},
                     producer.send({"t", PartitionIndex{0}}, std::span(&record, 1), world.now() + seconds(5)));
  }

  sim::World world{{.seed = 1}};
  sim::Process& client = world.add_host("client").start(1);
  sim::Process& server = world.add_host("broker").start(1);
  ApiBroker broker;
  std::unique_ptr<Listener> listener;
  Cluster cluster{client.env(ShardId{0}), {.bootstrap = {{"broker", 9092}}}};
};

TEST_F(ProducerTest, WaitsForABrokerThatLoadsWhatItNeedsForIds) {
  using K = wire::KafkaError;
  ids_after({K::coordinator_load_in_progress, K::coordinator_not_available});
  auto produced = send();
  ASSERT_TRUE(produced.ok()) << produced.error().message();
  EXPECT_EQ(produced->base_offset.v, 5);
  EXPECT_EQ(broker.calls(wire::ApiKey::init_producer_id), 3u);
}

TEST_F(ProducerTest, OtherRefusalsOfAnIdAreFinal) {
  ids_after({wire::KafkaError::cluster_authorization_failed});
  EXPECT_EQ(send().code(), Errc::unauthorized);
  EXPECT_EQ(broker.calls(wire::ApiKey::init_producer_id), 1u);
}

}  // namespace
}  // namespace mr::client
