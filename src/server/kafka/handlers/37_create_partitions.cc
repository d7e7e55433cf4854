// CreatePartitions v0-3. v2 flexible. The count is the new total (traps.md 39). The timeout is a wait for other
// brokers: the answer comes when every shard here serves the new partitions.
#include "server/kafka/handlers/handlers.h"
#include "wire/api/create_partitions.h"

namespace mr::server::kafka {

namespace {

using namespace wire::create_partitions;

broker::PartitionsSpec spec_of(const CreatePartitionsTopic& asked) {
  broker::PartitionsSpec spec{.topic = std::string(asked.name), .count = asked.count};
  if (!asked.assignments) return spec;
  spec.assignment.emplace();
  for (const auto& assignment : *asked.assignments)
    spec.assignment->emplace_back(assignment.broker_ids.begin(), assignment.broker_ids.end());
  return spec;
}

}  // namespace

Task<Result<void>> handle_create_partitions(Exchange& x) {
  MR_CO_TRY(auto request, x.decode<Request>());
  // A name that stands there twice is answered once, with an error, as Apache Kafka does.
  std::unordered_map<std::string_view, std::size_t> times;
  std::vector<const CreatePartitionsTopic*> wanted;
  for (const CreatePartitionsTopic& asked : request.topics)
    if (++times[asked.name] == 1) wanted.push_back(&asked);
  Response response;
  response.results = x.arena.list<CreatePartitionsTopicResult>(wanted.size());
  for (std::size_t t = 0; t < wanted.size(); ++t) {
    CreatePartitionsTopicResult& answer = response.results[t];
    answer.name = wanted[t]->name;
    answer.error_message.reset();
    if (times[wanted[t]->name] > 1) {
      answer.error_code = KafkaError::invalid_request;
      answer.error_message = "the request names this topic twice";
      continue;
    }
    auto added = co_await x.broker->create_partitions(spec_of(*wanted[t]), request.validate_only);
    if (added.ok()) continue;
    answer.error_code = kafka_error(added.error());
    if (!added.error().detail().empty()) answer.error_message = x.arena.copy(added.error().detail());
  }
  co_return x.answer(response);
}

}  // namespace mr::server::kafka
