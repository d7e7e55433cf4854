#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "base/uuid.h"
#include "model/ids.h"
#include "runtime/task.h"

namespace mr::metastore {

class Metastore;
struct KeyValue;

/// What the metastore keeps of one partition. On one node the leader and the only replica are this broker.
struct PartitionRecord {
  PartitionIndex index;
  BrokerId leader;
  LeaderEpoch leader_epoch;  ///< grows with each leadership, at least by one at every start of the leader
  std::vector<BrokerId> replicas;
  std::vector<BrokerId> isr;
  Uuid directory;  ///< id of the leader's log directory that holds it (meta.properties); zero: not noted
};

/// What the metastore keeps of one topic.
struct TopicRecord {
  std::string name;
  TopicId id;
  WallMillis created = 0;
  std::map<std::string, std::string> configs;  ///< explicitly set ones only, Kafka's names
  std::vector<PartitionRecord> partitions;     ///< by index, dense from 0
};

/// A half-open range of producer ids that nobody else will ever hand out.
struct ProducerIdBlock {
  std::int64_t first = 0;
  std::int64_t end = 0;
};

/// Typed, guarded operations on the metadata keys (docs/formats/metadata-keys.md). Every change is one guarded
/// transaction or a few idempotent ones (etcd's limit of 128 operations). unknown_outcome is resolved inside by reading
/// back where that can be told, and passed on otherwise. Any shard; the store must outlive this.
class ClusterState {
 public:
  explicit ClusterState(Metastore& store) : store_(store) {}

  /// The cluster's id; `fresh` becomes it when there is none yet.
  Task<Result<std::string>> ensure_cluster_id(std::string fresh);
  Task<Result<std::vector<TopicRecord>>> load_topics();
  /// Errors: topic_exists; invalid_topic_name when another name collides (traps.md 38); conflict.
  Task<Result<void>> create_topic(const TopicRecord& topic);
  /// Adds partitions behind those that the topic has: `added` begins with the number they have come to, without gaps.
  /// All of them or none. Errors: unknown_topic (no such name, or another id), conflict (another number of partitions).
  Task<Result<void>> add_partitions(const std::string& name, TopicId id, std::vector<PartitionRecord> added);
  /// Writes the tombstone of (name, id) and removes the topic in one guarded step. Errors: unknown_topic (no such name,
  /// or another id).
  Task<Result<void>> delete_topic(const std::string& name, TopicId id);
  using Configs = std::map<std::string, std::string>;
  /// What stored configs shall become; asked again when a try did not succeed. Must live until the answer.
  using ConfigChange = std::function<Result<Configs>(const Configs& stored)>;
  /// Brings what the topic's configs are then. Errors: unknown_topic (no such name, or another id), conflict, those of
  /// `change`, with which nothing is written.
  Task<Result<Configs>> alter_topic_configs(const std::string& name, TopicId id, const ConfigChange& change);
  /// What was set for one broker while it ran or, without id, for all; empty when nothing was.
  Task<Result<Configs>> load_broker_configs(std::optional<BrokerId> broker);
  Task<Result<Configs>> alter_broker_configs(std::optional<BrokerId> broker, const ConfigChange& change);
  /// What consumer groups set, by group; a group that sets nothing is not there.
  Task<Result<std::map<std::string, Configs>>> load_group_configs();
  /// `group`: any text that is not empty.
  Task<Result<Configs>> alter_group_configs(const std::string& group, const ConfigChange& change);
  /// Ids of deleted topics whose data may still lie about: the positive evidence that lets data be removed.
  Task<Result<std::vector<TopicId>>> deleted_topics();
  /// After the data of `id` is gone on this broker.
  Task<Result<void>> forget_deleted(TopicId id);
  /// Sets the leader epoch of every listed partition to max(stored, floor) + 1 and returns the new epochs in order.
  struct EpochBump {
    std::string topic;
    PartitionIndex partition;
    LeaderEpoch floor;    ///< the log's own latest epoch
    Uuid directory = {};  ///< where the log lies: noted with the epoch; zero leaves what is noted
  };
  Task<Result<std::vector<LeaderEpoch>>> bump_epochs(const std::vector<EpochBump>& partitions);
  /// None below `floor`. Errors: resource_exhausted when ids run out (they never do).
  Task<Result<ProducerIdBlock>> allocate_producer_ids(std::int64_t count, std::int64_t floor = 0);

 private:
  /// How configs lie in a stored value; null: nothing is stored.
  struct ConfigsIn {
    std::function<Result<Configs>(const KeyValue*)> read;
    std::function<Result<std::string>(const KeyValue*, const Configs&)> write;
    bool drops_empty = false;  ///< the key goes when nothing is set any more
  };
  static ConfigsIn plain_configs();
  Task<Result<Configs>> alter_configs(std::string key, const ConfigsIn& in, const ConfigChange& change);

  Metastore& store_;
};

}  // namespace mr::metastore
