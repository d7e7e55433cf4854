#pragma once
#include <memory>
#include <unordered_map>
#include <vector>

#include "broker/topic_table.h"
#include "config/broker_settings.h"
#include "config/group_config.h"
#include "replication/compaction.h"
#include "replication/group_commit.h"
#include "replication/partition.h"
#include "replication/read_checks.h"
#include "runtime/env.h"
#include "runtime/scope.h"
#include "runtime/wait.h"
#include "storage/page_cache_window.h"
#include "storage/waiting_tail.h"

namespace mr::broker {

struct PartitionKey {
  TopicId topic;
  PartitionIndex partition;
  friend bool operator==(const PartitionKey&, const PartitionKey&) = default;
};

}  // namespace mr::broker

template <>
struct std::hash<mr::broker::PartitionKey> {
  std::size_t operator()(const mr::broker::PartitionKey& key) const noexcept {
    return std::hash<mr::TopicId>{}(key.topic) + static_cast<std::size_t>(key.partition.v) * 0x9e3779b97f4a7c15ull;
  }
};

namespace mr::broker {

/// Shared so that a coroutine that waits on a partition keeps it alive over the deletion of its topic. Home shard only.
using PartitionRef = std::shared_ptr<replication::Partition>;

/// What one shard of the broker owns. That shard only.
struct ShardState {
  ShardState(Env& e, std::uint64_t read_sample_one_in)
      : env(e), read_checks(e, read_sample_one_in), scope(e.executor) {}

  Env& env;
  std::shared_ptr<const TopicTable> topics = std::make_shared<const TopicTable>();
  std::shared_ptr<const config::BrokerSettings> settings;  ///< as they hold now
  /// Of consumer groups that set something.
  std::shared_ptr<const config::GroupConfigs> group_configs = std::make_shared<const config::GroupConfigs>();
  /// Of what its logs write; null: the page cache is the kernel's. Above the partitions, which go first.
  std::unique_ptr<storage::PageCacheWindow> window;
  Event window_due;
  storage::WaitingTails tails;  ///< of its logs; above the partitions, which go first
  /// By entry of log.dirs; null where that was offline at the start. Above the partitions, which go first.
  std::vector<std::shared_ptr<replication::GroupCommit>> commits;
  std::unordered_map<PartitionKey, PartitionRef> partitions;
  std::unordered_map<PartitionKey, std::size_t> directory_of;  ///< of each of `partitions`: which entry of log.dirs
  /// Partitions of ours whose log could not be opened or whose directory has failed, with the reason: served to nobody
  /// until a restart finds them well or, when only room was lacking, until there is some (reopen.cc).
  struct Offline {
    TopicPartition name;
    Error why;
  };
  std::unordered_map<PartitionKey, Offline> offline;
  replication::ReadChecks read_checks;
  std::vector<replication::AppendGate> gates;  ///< by entry of log.dirs
  Event disk_low;                              ///< some disk got below its reserve
  TimePoint next_space_wish{};
  /// Batches of clients that were not taken, by reason.
  struct Refused {
    std::uint64_t disk_reserve = 0, disk_full = 0, log_dir_offline = 0;
  } refused;
  Semaphore inflating{1};             ///< batches of clients off the shard, one at a time
  std::uint64_t recompressed = 0;     ///< batches that were stored with their topic's codec
  storage::RecoveryCounts recovered;  ///< of all logs opened here
  std::uint64_t corrupt_answers = 0;  ///< looks at a partition that met damage
  replication::CompactionStats compaction;
  Scope scope;  ///< retention and other housekeeping of this shard

  /// Null when this shard does not own it (any more).
  PartitionRef find(TopicId topic, PartitionIndex partition) const {
    auto it = partitions.find(PartitionKey{topic, partition});
    return it == partitions.end() ? nullptr : it->second;
  }
  /// Takes it out, if it is there.
  PartitionRef take(const PartitionKey& key) {
    auto it = partitions.find(key);
    if (it == partitions.end()) return nullptr;
    PartitionRef partition = std::move(it->second);
    partitions.erase(it);
    directory_of.erase(key);
    return partition;
  }
  /// Why find() found nothing: the log is offline, or this shard does not own it.
  Error missing(TopicId topic, PartitionIndex partition) const {
    auto it = offline.find(PartitionKey{topic, partition});
    return it == offline.end() ? Error(Errc::not_leader) : Error(Errc::disk_failed, it->second.why.message());
  }
};

}  // namespace mr::broker
