#pragma once
#include <algorithm>

#include "coordinator/consumer_change.h"
#include "coordinator/machine_fixture.h"

namespace mr::coordinator {

inline GroupSettings consumer_settings(GroupSettings settings = {}) {
  settings.assignors = {make_uniform_assignor(), make_range_assignor()};
  return settings;
}

/// Topics "t" (id 0:1) with so many partitions, and what else a test adds.
inline TopicId topic_id(std::uint64_t n) { return TopicId{Uuid{0, n}}; }
inline std::shared_ptr<const broker::TopicTable> with_topic(std::shared_ptr<const broker::TopicTable> table,
                                                            std::string name, std::uint64_t id,
                                                            std::size_t partitions) {
  auto topic = std::make_shared<broker::TopicInfo>();
  topic->name = std::move(name);
  topic->id = topic_id(id);
  topic->partitions.resize(partitions);
  return table->with(topic);
}

/// One machine and KIP-848 members who call it.
struct ConsumerBench : Bench {
  explicit ConsumerBench(GroupSettings settings = {}) : Bench(consumer_settings(std::move(settings))) {
    topics = with_topic(std::make_shared<const broker::TopicTable>(), "t", 1, 4);
    send(TopicsChangedEvent{topics, {}});
  }
  void set_topic(std::string name, std::uint64_t id, std::size_t partitions) {
    topics = with_topic(topics, name, id, partitions);
    send(TopicsChangedEvent{topics, std::move(name)});
  }
  /// A crash: the log is read again, and the host brings the topics.
  void crash() {
    reload();
    jobs.clear();
    send(TopicsChangedEvent{topics, {}});
  }
  static ConsumerHeartbeatRequest join_request(std::string member, std::vector<std::string> topics = {"t"}) {
    return {.group = "g",
            .member = std::move(member),
            .epoch = 0,
            .rebalance_timeout = Millis(30'000),
            .topics = std::move(topics),
            .owned = PartitionSet{},
            .client_id = "c",
            .client_host = "/10.0.0.1"};
  }
  static ConsumerHeartbeatRequest beat(std::string member, std::int32_t epoch,
                                       std::optional<PartitionSet> owned = std::nullopt) {
    return {.group = "g",
            .member = std::move(member),
            .epoch = epoch,
            .owned = std::move(owned),
            .client_id = "c",
            .client_host = "/10.0.0.1"};
  }
  ConsumerHeartbeatAnswer ask(ConsumerHeartbeatRequest request) {
    return Bench::ask<ConsumerHeartbeatAnswer>(std::move(request));
  }
  ConsumerHeartbeatAnswer joins(std::string member) { return ask(join_request(std::move(member))); }
  const ConsumerGroupState& group() const { return consumer_state(state, "g"); }
  ConsumerGroupDescription described() {
    return Bench::ask<std::vector<ConsumerGroupDescription>>(ConsumerDescribeEvent{{"g"}}).at(0);
  }
  std::string state_text() { return described().state; }

  std::shared_ptr<const broker::TopicTable> topics;
};

/// Of topic "t".
inline PartitionSet parts(std::vector<std::int32_t> partitions) {
  return partitions.empty() ? PartitionSet{} : PartitionSet{{topic_id(1), std::move(partitions)}};
}

}  // namespace mr::coordinator
