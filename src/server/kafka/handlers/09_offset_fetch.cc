// OffsetFetch v1-10. v2 all topics and a top-level error; v5 leader epoch; v6 flexible; v7 require stable; v8 many
// groups; v9 members of consumer groups; v10 topic ids. Rules: traps.md 84.
#include "server/kafka/handlers/groups.h"
#include "wire/api/offset_fetch.h"

namespace mr::server::kafka {

namespace {

using namespace wire::offset_fetch;

template <class Partition>
void fill(Exchange& x, const coordinator::FetchedOffset& from, Partition& to) {
  to.partition_index = from.partition;
  to.committed_offset = from.offset;
  to.committed_leader_epoch = from.leader_epoch;
  to.metadata = x.arena.copy(from.metadata);
  to.error_code = kafka_error(from.error);
}

template <class Topic>
void fill(Exchange& x, const coordinator::FetchedTopic& from, Topic& to) {
  to.name = x.arena.copy(from.topic);
  if constexpr (requires { to.topic_id; }) to.topic_id = from.topic_id;
  using Partition = std::remove_reference_t<decltype(to.partitions[0])>;
  to.partitions = x.arena.list<Partition>(from.partitions.size());
  for (std::size_t p = 0; p < from.partitions.size(); ++p) fill(x, from.partitions[p], to.partitions[p]);
}

/// Every partition asked for, without an offset and with `error`.
template <class Asked, class Topic>
void refuse(Exchange& x, const Asked& asked, KafkaError error, Topic& to) {
  to.name = asked.name;
  if constexpr (requires { to.topic_id; }) to.topic_id = asked.topic_id;
  using Partition = std::remove_reference_t<decltype(to.partitions[0])>;
  to.partitions = x.arena.list<Partition>(asked.partition_indexes.size());
  for (std::size_t p = 0; p < asked.partition_indexes.size(); ++p)
    to.partitions[p] = {
        .partition_index = asked.partition_indexes[p], .committed_offset = Offset{-1}, .error_code = error};
}

/// Asks for one group and writes its topics. `by_id`: topics are named by their ids, in the answer too.
template <class Topic, class Asked>
Task<KafkaError> fetch_group(Exchange& x, coordinator::FetchOffsetsRequest wanted,
                             const std::optional<wire::List<Asked>>& topics, bool by_id, wire::List<Topic>& answer) {
  auto table = x.broker->topics(x.shard);
  std::vector<bool> known;
  if (topics) {
    wanted.topics.emplace();
    for (const Asked& asked : *topics) {
      std::string_view name = asked.name;
      TopicId id;
      broker::TopicRef topic;
      if constexpr (requires { asked.topic_id; }) {
        if (by_id) topic = table->find(asked.topic_id);
      }
      if (!by_id) topic = table->find(name);
      if (topic != nullptr) {
        name = topic->name;
        id = topic->id;
      }
      known.push_back(!by_id || topic != nullptr);
      if (known.back())
        wanted.topics->push_back({owned(name), id, {asked.partition_indexes.begin(), asked.partition_indexes.end()}});
    }
  }
  coordinator::FetchOffsetsAnswer found = co_await x.groups->fetch_offsets(std::move(wanted));
  if (!topics) {
    // Of topics that are gone nobody could say the id.
    if (by_id) std::erase_if(found.topics, [](const auto& topic) { return topic.topic_id == TopicId{}; });
    answer = x.arena.list<Topic>(found.topics.size());
    for (std::size_t t = 0; t < found.topics.size(); ++t) fill(x, found.topics[t], answer[t]);
    co_return kafka_error(found.error);
  }
  // From v2 on a group's error stands alone; v1 has no place for it but the partitions.
  if (found.error && x.head.version >= 2) co_return kafka_error(found.error);
  answer = x.arena.list<Topic>(topics->size());
  std::size_t next = 0;
  for (std::size_t t = 0; t < topics->size(); ++t) {
    if (!known[t]) {
      refuse(x, (*topics)[t], KafkaError::unknown_topic_id, answer[t]);
    } else if (found.error) {
      refuse(x, (*topics)[t], kafka_error(found.error), answer[t]);
    } else {
      fill(x, found.topics[next++], answer[t]);
    }
  }
  co_return KafkaError::none;
}

}  // namespace

Task<Result<void>> handle_offset_fetch(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  Response response;
  if (x.head.version < 8) {
    response.error_code =
        co_await fetch_group(x, {.group = owned(request.group_id), .require_stable = request.require_stable},
                             request.topics, false, response.topics);
    co_return x.answer(response);
  }
  response.groups = x.arena.list<OffsetFetchResponseGroup>(request.groups.size());
  for (std::size_t g = 0; g < request.groups.size(); ++g) {
    MR_CO_TRY_VOID(x.check_built_bytes());
    const OffsetFetchRequestGroup& asked = request.groups[g];
    OffsetFetchResponseGroup& to = response.groups[g];
    to.group_id = asked.group_id;
    to.error_code = co_await fetch_group(x,
                                         {.group = owned(asked.group_id),
                                          .member = owned(asked.member_id),
                                          .member_epoch = asked.member_epoch,
                                          .require_stable = request.require_stable},
                                         asked.topics, x.head.version >= 10, to.topics);
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
