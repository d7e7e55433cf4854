#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/connection.h"
#include "model/ids.h"
#include "wire/kafka_error.h"

namespace mr::client {

/// A partition as the cluster's metadata has it.
struct PartitionInfo {
  PartitionIndex index;
  BrokerId leader{-1};
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::vector<BrokerId> replicas;
  std::vector<BrokerId> isr;
  wire::KafkaError error{};
};
struct TopicInfo {
  std::string name;
  TopicId id;
  bool internal = false;
  std::vector<PartitionInfo> partitions;  ///< by index
};
struct BrokerInfo {
  BrokerId id;
  Address address;
};
struct ClusterInfo {
  std::string cluster_id;
  BrokerId controller{-1};
  std::vector<BrokerInfo> brokers;
  std::vector<TopicInfo> topics;  ///< in order of names
};

/// A Kafka cluster from a client's side: where it is reached first, who leads what, one connection per broker, opened
/// when first needed and again after it broke. One shard. Life: close() before destruction.
class Cluster {
 public:
  struct Options {
    std::vector<Address> bootstrap;  ///< tried in order
    ConnectionOptions connection;
    Duration retry_pause = std::chrono::milliseconds(100);
  };
  Cluster(Env& env, Options options) : env_(env), options_(std::move(options)) {}
  Cluster(const Cluster&) = delete;
  ~Cluster();

  /// Any broker that answers. Errors: those of Connection::open for the last address tried.
  Task<Result<std::shared_ptr<Connection>>> any(TimePoint deadline);
  /// The broker `id`, as the metadata seen last has it.
  Task<Result<std::shared_ptr<Connection>>> broker(BrokerId id, TimePoint deadline);
  /// A broker that an answer named together with where it is.
  Task<Result<std::shared_ptr<Connection>>> broker(BrokerInfo known, TimePoint deadline);
  Task<Result<std::shared_ptr<Connection>>> controller(TimePoint deadline);

  /// The brokers that are up, fresh.
  Task<Result<std::vector<BrokerInfo>>> brokers(TimePoint deadline);
  /// Everything, fresh.
  Task<Result<ClusterInfo>> describe(TimePoint deadline);
  /// One topic, from what is known or asked for; with `create` it is made when the broker allows that.
  /// Errors: unknown_topic, invalid_topic_name, ...
  Task<Result<TopicInfo>> topic(std::string name, bool create, TimePoint deadline);
  /// Where to produce to and fetch from. Waits out elections until the deadline. Errors: unknown_topic (or partition),
  /// timed_out, those of a connection.
  struct Leader {
    BrokerId id{-1};
    std::shared_ptr<Connection> connection;
    TopicId topic;
    LeaderEpoch epoch = kNoLeaderEpoch;
  };
  Task<Result<Leader>> leader(TopicPartition partition, TimePoint deadline);
  /// What is known of the topic did not hold.
  void forget(const std::string& topic) { topics_.erase(topic); }

  Env& env() { return env_; }
  Duration retry_pause() const { return options_.retry_pause; }
  Task<void> close();

 private:
  Task<Result<ClusterInfo>> load(std::vector<std::string> names, bool all, bool create, TimePoint deadline);
  Task<Result<std::shared_ptr<Connection>>> connected(Address address, TimePoint deadline);

  Env& env_;
  const Options options_;
  std::map<std::string, std::shared_ptr<Connection>> connections_;  ///< by address
  std::map<BrokerId, Address> brokers_;
  BrokerId controller_{-1};
  std::map<std::string, TopicInfo> topics_;
};

}  // namespace mr::client
