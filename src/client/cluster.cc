#include "client/cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/broker_error.h"
#include "wire/api/metadata.h"

namespace mr::client {

namespace {

TopicInfo to_info(const wire::metadata::MetadataResponseTopic& topic) {
  TopicInfo info{.name = std::string(topic.name.value_or("")), .id = topic.topic_id, .internal = topic.is_internal};
  for (const auto& p : topic.partitions) {
    info.partitions.push_back({.index = p.partition_index,
                               .leader = p.leader_id,
                               .leader_epoch = p.leader_epoch,
                               .replicas = {p.replica_nodes.begin(), p.replica_nodes.end()},
                               .isr = {p.isr_nodes.begin(), p.isr_nodes.end()},
                               .error = p.error_code});
  }
  std::ranges::sort(info.partitions, {}, &PartitionInfo::index);
  return info;
}

}  // namespace

Cluster::~Cluster() {
  for (const auto& [address, connection] : connections_) MR_CHECK(connection->broken());
}

Task<void> Cluster::close() {
  auto connections = std::move(connections_);
  connections_.clear();
  for (auto& [address, connection] : connections) co_await connection->close();
}

Task<Result<std::shared_ptr<Connection>>> Cluster::connected(Address address, TimePoint deadline) {
  const std::string key = address.to_string();
  if (auto at = connections_.find(key); at != connections_.end()) {
    if (!at->second->broken()) co_return at->second;
    std::shared_ptr<Connection> old = std::move(at->second);
    connections_.erase(at);
    co_await old->close();
  }
  auto opened = co_await Connection::open(env_, address, options_.connection, deadline);
  if (!opened.ok()) co_return opened.error();
  std::shared_ptr<Connection> connection = std::move(*opened);
  // Somebody else may have connected meanwhile: both stay usable, one is kept.
  auto [at, first] = connections_.emplace(key, connection);
  if (first) co_return connection;
  std::shared_ptr<Connection> other = at->second;
  co_await connection->close();
  co_return other;
}

Task<Result<std::shared_ptr<Connection>>> Cluster::any(TimePoint deadline) {
  for (const auto& [address, connection] : connections_)
    if (!connection->broken()) co_return connection;
  std::vector<Address> candidates = options_.bootstrap;
  for (const auto& [id, address] : brokers_)
    if (std::ranges::find(candidates, address) == candidates.end()) candidates.push_back(address);
  Error last(Errc::invalid_argument, "there is no address to connect to");
  for (const Address& address : candidates) {
    auto connection = co_await connected(address, deadline);
    if (connection.ok()) co_return connection;
    last = connection.error();
    if (last.code() == Errc::cancelled) break;
  }
  co_return last;
}

Task<Result<std::shared_ptr<Connection>>> Cluster::broker(BrokerId id, TimePoint deadline) {
  auto at = brokers_.find(id);
  if (at == brokers_.end()) co_return Error(Errc::not_leader, fmt::format("broker {} is not up", id.v));
  Address address = at->second;
  auto connection = co_await connected(address, deadline);
  if (!connection.ok())
    co_return Error(connection.code(),
                    fmt::format("{}; that is what the cluster advertises for broker {}: if it cannot be reached from "
                                "here, set advertised.listeners on the broker",
                                connection.error().detail(), id.v));
  co_return connection;
}

Task<Result<std::shared_ptr<Connection>>> Cluster::broker(BrokerInfo known, TimePoint deadline) {
  brokers_[known.id] = known.address;
  co_return co_await broker(known.id, deadline);
}

Task<Result<std::shared_ptr<Connection>>> Cluster::controller(TimePoint deadline) {
  if (controller_.v < 0) MR_CO_TRY_VOID(co_await load({}, false, false, deadline));
  if (controller_.v < 0) co_return co_await any(deadline);
  co_return co_await broker(controller_, deadline);
}

Task<Result<ClusterInfo>> Cluster::load(std::vector<std::string> names, bool all, bool create, TimePoint deadline) {
  MR_CO_TRY(auto connection, co_await any(deadline));
  wire::Arena arena;
  wire::metadata::Request request;
  request.allow_auto_topic_creation = create;
  if (all) {
    request.topics.reset();
  } else {
    request.topics = arena.list<wire::metadata::MetadataRequestTopic>(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) (*request.topics)[i].name = names[i];
  }
  MR_CO_TRY(auto reply, co_await connection->call(request, deadline));
  if (reply->error_code != wire::KafkaError::none) co_return broker_error(reply->error_code, "metadata");

  ClusterInfo info{.cluster_id = std::string(reply->cluster_id.value_or("")), .controller = reply->controller_id};
  brokers_.clear();
  controller_ = reply->controller_id;
  for (const auto& b : reply->brokers) {
    Address address{std::string(b.host), static_cast<std::uint16_t>(b.port)};
    brokers_[b.node_id] = address;
    info.brokers.push_back({b.node_id, std::move(address)});
  }
  for (const auto& t : reply->topics) {
    if (t.error_code != wire::KafkaError::none) {
      if (!all) co_return broker_error(t.error_code, fmt::format("topic '{}'", t.name.value_or("")));
      continue;
    }
    TopicInfo topic = to_info(t);
    topics_[topic.name] = topic;
    info.topics.push_back(std::move(topic));
  }
  std::ranges::sort(info.topics, {}, &TopicInfo::name);
  co_return info;
}

Task<Result<std::vector<BrokerInfo>>> Cluster::brokers(TimePoint deadline) {
  MR_CO_TRY(ClusterInfo info, co_await load({}, false, false, deadline));
  co_return std::move(info.brokers);
}

Task<Result<ClusterInfo>> Cluster::describe(TimePoint deadline) { co_return co_await load({}, true, false, deadline); }

Task<Result<TopicInfo>> Cluster::topic(std::string name, bool create, TimePoint deadline) {
  if (auto known = topics_.find(name); known != topics_.end()) co_return known->second;
  for (;;) {
    auto loaded = co_await load({name}, false, create, deadline);
    if (loaded.ok() && !loaded->topics.empty()) co_return std::move(loaded->topics.front());
    if (loaded.ok()) co_return Error(Errc::unknown_topic, fmt::format("topic '{}': the broker does not tell", name));
    // Being created: other brokers than ours say "unknown" or "no leader" first.
    bool again = loaded.code() == Errc::not_leader || (create && loaded.code() == Errc::unknown_topic);
    if (!again || env_.now() + options_.retry_pause >= deadline) co_return loaded.error();
    MR_CO_TRY_VOID(co_await sleep_until(env_.now() + options_.retry_pause));
  }
}

Task<Result<Cluster::Leader>> Cluster::leader(TopicPartition partition, TimePoint deadline) {
  for (;;) {
    // Not the copy that topic() gives: this is asked for every batch, and topics may have thousands of partitions.
    auto known = topics_.find(partition.topic);
    if (known == topics_.end()) {
      MR_CO_TRY_VOID(co_await topic(partition.topic, false, deadline));
      known = topics_.find(partition.topic);
      if (known == topics_.end())
        co_return Error(Errc::unknown_topic, fmt::format("topic '{}': the broker told of another", partition.topic));
    }
    const TopicInfo& info = known->second;
    auto at = std::ranges::lower_bound(info.partitions, partition.partition, {}, &PartitionInfo::index);
    if (at == info.partitions.end() || at->index != partition.partition)
      co_return Error(Errc::unknown_partition, fmt::format("topic '{}' has no partition {}; it has 0 to {}", info.name,
                                                           partition.partition.v, info.partitions.size() - 1));
    if (at->leader.v >= 0 && brokers_.contains(at->leader)) {
      Leader leader{.id = at->leader, .topic = info.id, .epoch = at->leader_epoch};
      MR_CO_TRY(leader.connection, co_await broker(leader.id, deadline));
      co_return leader;
    }
    forget(partition.topic);
    if (env_.now() + options_.retry_pause >= deadline)
      co_return Error(Errc::timed_out, fmt::format("{} has no leader", partition.to_string()));
    MR_CO_TRY_VOID(co_await sleep_until(env_.now() + options_.retry_pause));
  }
}

}  // namespace mr::client
