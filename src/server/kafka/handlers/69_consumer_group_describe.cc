// ConsumerGroupDescribe v0-1. v1 whether a member speaks the classic protocol. Rules: traps.md 93.
#include <algorithm>

#include "server/kafka/handlers/groups.h"
#include "wire/api/consumer_group_describe.h"

namespace mr::server::kafka {

namespace {

using namespace wire::consumer_group_describe;

constexpr std::int8_t kClassicMember = 0;
constexpr std::int8_t kConsumerMember = 1;

/// Topics that are gone have no name and are left out, as Kafka does.
Assignment assignment(Exchange& x, const coordinator::PartitionSet& set) {
  auto table = x.broker->topics(x.shard);
  auto topics = x.arena.list<TopicPartitions>(set.size());
  std::size_t t = 0;
  for (const auto& [id, partitions] : set) {
    const broker::TopicRef topic = table->find(id);
    if (topic == nullptr) continue;
    TopicPartitions& to = topics[t++];
    to.topic_id = id;
    to.topic_name = x.arena.copy(topic->name);
    to.partitions = x.arena.list<PartitionIndex>(partitions.size());
    for (std::size_t p = 0; p < partitions.size(); ++p) to.partitions[p] = PartitionIndex{partitions[p]};
  }
  return {.topic_partitions = {topics.data(), t}};
}

void describe(Exchange& x, const coordinator::ConsumerMemberDescription& from, Member& to) {
  to.member_id = x.arena.copy(from.member);
  to.instance_id = lent(x, from.asks.instance);
  to.rack_id = lent(x, from.asks.rack);
  to.member_epoch = from.epoch;
  to.client_id = x.arena.copy(from.asks.client_id);
  to.client_host = x.arena.copy(from.asks.client_host);
  to.subscribed_topic_names = x.arena.list<std::string_view>(from.asks.topics.size());
  std::ranges::transform(from.asks.topics, to.subscribed_topic_names.begin(),
                         [&](const std::string& topic) { return x.arena.copy(topic); });
  to.subscribed_topic_regex = from.asks.regex ? x.arena.copy(*from.asks.regex) : std::string_view();
  to.assignment = assignment(x, from.assigned);
  to.target_assignment = assignment(x, from.target);
  to.member_type = from.asks.classic ? kClassicMember : kConsumerMember;
}

void describe(Exchange& x, const coordinator::ConsumerGroupDescription& from, DescribedGroup& to) {
  to.group_id = x.arena.copy(from.group);
  to.authorized_operations = kNoOperations;
  to.error_code = kafka_error(from.error);
  if (from.error) {
    to.error_message = x.arena.copy(from.error->detail());
    return;
  }
  to.group_state = x.arena.copy(from.state);
  to.group_epoch = from.epoch;
  to.assignment_epoch = from.target_epoch;
  to.assignor_name = x.arena.copy(from.assignor);
  to.members = x.arena.list<Member>(from.members.size());
  for (std::size_t m = 0; m < from.members.size(); ++m) describe(x, from.members[m], to.members[m]);
}

}  // namespace

Task<Result<void>> handle_consumer_group_describe(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  auto found = co_await x.groups->describe_consumers({request.group_ids.begin(), request.group_ids.end()});
  Response response;
  response.groups = x.arena.list<DescribedGroup>(found.size());
  for (std::size_t g = 0; g < found.size(); ++g) {
    MR_CO_TRY_VOID(x.check_built_bytes());
    describe(x, found[g], response.groups[g]);
    if (request.include_authorized_operations && !found[g].error)
      response.groups[g].authorized_operations = kGroupOperations;
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
