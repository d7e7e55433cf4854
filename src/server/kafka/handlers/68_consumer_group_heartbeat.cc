// ConsumerGroupHeartbeat v0-1. v1 the client makes its member id, and may subscribe by a pattern. Rules: traps.md
// 87-91.
#include <algorithm>

#include "server/kafka/handlers/groups.h"
#include "wire/api/consumer_group_heartbeat.h"

namespace mr::server::kafka {

namespace {

using namespace wire::consumer_group_heartbeat;

coordinator::PartitionSet partitions(const wire::List<TopicPartitions>& topics) {
  coordinator::PartitionSet set;
  for (const TopicPartitions& topic : topics) {
    if (topic.partitions.empty()) continue;
    std::vector<std::int32_t>& into = set[topic.topic_id];
    for (PartitionIndex partition : topic.partitions) into.push_back(partition.v);
    coordinator::sort_once(into);
  }
  return set;
}

Assignment assignment(Exchange& x, const coordinator::PartitionSet& set) {
  Assignment to{.topic_partitions = x.arena.list<TopicPartitions>(set.size())};
  std::size_t t = 0;
  for (const auto& [id, partitions] : set) {
    TopicPartitions& topic = to.topic_partitions[t++];
    topic.topic_id = id;
    topic.partitions = x.arena.list<PartitionIndex>(partitions.size());
    for (std::size_t p = 0; p < partitions.size(); ++p) topic.partitions[p] = PartitionIndex{partitions[p]};
  }
  return to;
}

/// As many as a broker has topics and partitions: longer lists are refused before anything is made of them.
constexpr std::size_t kListedMax = 100'000;

std::string_view too_long(const Request& request) {
  if (request.subscribed_topic_names && request.subscribed_topic_names->size() > kListedMax)
    return "SubscribedTopicNames has more than 100000 names.";
  std::size_t partitions = 0;
  if (request.topic_partitions)
    for (const TopicPartitions& topic : *request.topic_partitions)
      partitions += std::max<std::size_t>(topic.partitions.size(), 1);
  return partitions > kListedMax ? "TopicPartitions has more than 100000 partitions." : "";
}

}  // namespace

Task<Result<void>> handle_consumer_group_heartbeat(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  if (const std::string_view why = too_long(request); !why.empty()) {
    Response refused;
    refused.error_code = KafkaError::invalid_request;
    refused.error_message = why;
    co_return x.answer(refused);
  }
  coordinator::ConsumerHeartbeatRequest wanted{.group = owned(request.group_id),
                                               .member = owned(request.member_id),
                                               .epoch = request.member_epoch,
                                               .instance = owned(request.instance_id),
                                               .rack = owned(request.rack_id),
                                               .regex = owned(request.subscribed_topic_regex),
                                               .assignor = owned(request.server_assignor),
                                               .client_id = owned(x.context.client_id),
                                               .client_host = "/" + x.context.remote->host};
  wanted.makes_id = x.head.version >= 1;
  if (request.rebalance_timeout_ms != -1) wanted.rebalance_timeout = Millis(request.rebalance_timeout_ms);
  if (request.subscribed_topic_names)
    wanted.topics.emplace(request.subscribed_topic_names->begin(), request.subscribed_topic_names->end());
  if (request.topic_partitions) wanted.owned = partitions(*request.topic_partitions);

  coordinator::ConsumerHeartbeatAnswer answer = co_await x.groups->consumer_heartbeat(std::move(wanted));
  Response response;
  response.error_code = kafka_error(answer.error);
  if (answer.error) {
    response.error_message =
        x.arena.copy(answer.error->detail().empty() ? answer.error->message() : answer.error->detail());
    co_return x.answer(response);
  }
  response.member_id = x.arena.copy(answer.member);
  response.member_epoch = answer.epoch;
  response.heartbeat_interval_ms = static_cast<std::int32_t>(answer.heartbeat_interval.count());
  if (answer.assignment) response.assignment = assignment(x, *answer.assignment);
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
