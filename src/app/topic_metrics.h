#pragma once
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "app/shard_metrics.h"
#include "base/metrics.h"
#include "broker/topic_table.h"

namespace mr::app {

/// Series of topics and of partitions. They go when the topic or the partition does; what came first keeps its series,
/// and what has none is counted (millrace_metrics_left_out).
/// A scrape: begin(), then take() what each shard says of wanted(), then end(). Shard 0.
class TopicMetrics {
 public:
  /// /metrics must stay readable on a broker with many thousands.
  static constexpr std::size_t kTopicSeriesMax = 500;
  static constexpr std::size_t kPartitionSeriesMax = 1000;

  explicit TopicMetrics(MetricsRegistry& registry);

  void begin(const broker::TopicTable& topics);
  /// Those of `shard` that have series, or are about to.
  std::vector<broker::PartitionKey> wanted(ShardId shard) const;
  void take(const ShardNumbers& numbers);
  void end();

 private:
  struct Topic {
    Followed records;
    FollowedDurations<replication::kProduceBounds> durations;
    TopicNumbers now;
  };
  struct Partition {
    std::string topic;
    ShardId home;
    bool taken = false;  ///< some shard has it: it is not offline
    bool shown = false;  ///< the gauges are there
    Gauge log_start = {}, log_end = {}, high_watermark = {}, bytes = {};
  };
  void add(const broker::TopicInfo& topic);
  void show(const broker::PartitionKey& key, Partition& partition);

  MetricsRegistry& registry_;
  std::unordered_map<TopicId, Topic> topics_;
  std::unordered_map<broker::PartitionKey, Partition> partitions_;
  Gauge topics_left_out_, partitions_left_out_;
};

}  // namespace mr::app
