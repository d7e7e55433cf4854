#include "app/topic_metrics.h"

namespace mr::app {

namespace {

Gauge left_out(MetricsRegistry& registry, std::string_view what) {
  return registry.gauge("millrace_metrics_left_out", "How many have no series of their own because there are too many.",
                        {{"what", what}});
}

}  // namespace

TopicMetrics::TopicMetrics(MetricsRegistry& registry)
    : registry_(registry),
      topics_left_out_(left_out(registry, "topics")),
      partitions_left_out_(left_out(registry, "partitions")) {}

void TopicMetrics::begin(const broker::TopicTable& table) {
  // What is gone goes first: a topic made anew under an old name begins at 0.
  for (auto& [id, topic] : topics_) {
    if (table.find(id) != nullptr) continue;
    topic.records.counter.forget();
    topic.durations.histogram.forget();
  }
  std::erase_if(topics_, [&](const auto& entry) { return table.find(entry.first) == nullptr; });
  std::erase_if(partitions_, [&](const auto& entry) {
    auto topic = table.find(entry.first.topic);
    return topic == nullptr || topic->partition(entry.first.partition) == nullptr;
  });
  for (auto& [id, topic] : topics_) topic.now = {};
  for (auto& [key, partition] : partitions_) partition.taken = false;
  for (const auto& [name, topic] : table.topics()) {
    if (topics_.size() >= kTopicSeriesMax && partitions_.size() >= kPartitionSeriesMax) break;
    add(*topic);
  }
  topics_left_out_.set(static_cast<std::int64_t>(table.topics().size() - topics_.size()));
  partitions_left_out_.set(static_cast<std::int64_t>(table.partition_count() - partitions_.size()));
}

void TopicMetrics::add(const broker::TopicInfo& topic) {
  if (topics_.size() < kTopicSeriesMax && !topics_.contains(topic.id)) {
    Topic fresh{.records = {registry_.counter("queue_messages_produced_total", "Records appended since the start.",
                                              {{"topic", topic.name}})},
                .durations = {registry_.histogram("queue_produce_duration_seconds",
                                                  "From the arrival of a produced batch to its commit.",
                                                  replication::kProduceBounds.seconds(), {{"topic", topic.name}})},
                .now = {}};
    topics_.emplace(topic.id, std::move(fresh));
  }
  for (std::size_t i = 0; i < topic.partitions.size() && partitions_.size() < kPartitionSeriesMax; ++i) {
    const broker::PartitionKey key{topic.id, PartitionIndex{static_cast<std::int32_t>(i)}};
    partitions_.try_emplace(key, Partition{.topic = topic.name, .home = topic.partitions[i].home});
  }
}

std::vector<broker::PartitionKey> TopicMetrics::wanted(ShardId shard) const {
  std::vector<broker::PartitionKey> keys;
  for (const auto& [key, partition] : partitions_)
    if (partition.home == shard) keys.push_back(key);
  return keys;
}

void TopicMetrics::take(const ShardNumbers& numbers) {
  for (const auto& [id, more] : numbers.topics) {
    auto at = topics_.find(id);
    if (at == topics_.end()) continue;
    at->second.now.appended_records += more.appended_records;
    at->second.now.produce_durations += more.produce_durations;
  }
  for (const PartitionNumbers& now : numbers.partitions) {
    auto at = partitions_.find(now.key);
    if (at == partitions_.end()) continue;
    Partition& one = at->second;
    if (!one.shown) show(now.key, one);
    one.taken = true;
    one.log_start.set(now.log_start.v);
    one.log_end.set(now.log_end.v);
    one.high_watermark.set(now.high_watermark.v);
    one.bytes.set(static_cast<std::int64_t>(now.bytes));
  }
}

void TopicMetrics::show(const broker::PartitionKey& key, Partition& partition) {
  const std::string index = std::to_string(key.partition.v);
  auto gauge = [&](std::string_view name, std::string_view help) {
    return registry_.gauge(name, help, {{"topic", partition.topic}, {"partition", index}});
  };
  partition.log_start = gauge("millrace_partition_log_start_offset", "First readable offset.");
  partition.log_end = gauge("millrace_partition_log_end_offset", "Next offset.");
  partition.high_watermark = gauge("millrace_partition_high_watermark", "Consumers read below this.");
  partition.bytes = gauge("queue_partition_size_bytes", "Bytes of the partition's segment files.");
  partition.shown = true;
}

void TopicMetrics::end() {
  for (auto& [id, topic] : topics_) {
    topic.records.follow(topic.now.appended_records);
    topic.durations.follow(topic.now.produce_durations);
  }
  for (auto& [key, partition] : partitions_)
    if (!partition.taken && partition.shown)
      partition = Partition{.topic = std::move(partition.topic), .home = partition.home};
}

}  // namespace mr::app
