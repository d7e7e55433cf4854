#pragma once
#include "broker/broker.h"
#include "server/kafka/error_map.h"
#include "server/kafka/exchange.h"
#include "server/kafka/kafka_server.h"

namespace mr::server::kafka {

// One per API, in handlers/KEY_name.cc; registered in handler_table.cc.
Task<Result<void>> handle_produce(Exchange& x);
Task<Result<void>> handle_fetch(Exchange& x);
Task<Result<void>> handle_list_offsets(Exchange& x);
Task<Result<void>> handle_metadata(Exchange& x);
Task<Result<void>> handle_offset_commit(Exchange& x);
Task<Result<void>> handle_offset_fetch(Exchange& x);
Task<Result<void>> handle_find_coordinator(Exchange& x);
Task<Result<void>> handle_join_group(Exchange& x);
Task<Result<void>> handle_heartbeat(Exchange& x);
Task<Result<void>> handle_leave_group(Exchange& x);
Task<Result<void>> handle_sync_group(Exchange& x);
Task<Result<void>> handle_describe_groups(Exchange& x);
Task<Result<void>> handle_list_groups(Exchange& x);
Task<Result<void>> handle_api_versions(Exchange& x);
Task<Result<void>> handle_create_topics(Exchange& x);
Task<Result<void>> handle_delete_topics(Exchange& x);
Task<Result<void>> handle_delete_records(Exchange& x);
Task<Result<void>> handle_init_producer_id(Exchange& x);
Task<Result<void>> handle_offset_for_leader_epoch(Exchange& x);
Task<Result<void>> handle_describe_configs(Exchange& x);
Task<Result<void>> handle_alter_configs(Exchange& x);
Task<Result<void>> handle_alter_replica_log_dirs(Exchange& x);
Task<Result<void>> handle_describe_log_dirs(Exchange& x);
Task<Result<void>> handle_create_partitions(Exchange& x);
Task<Result<void>> handle_delete_groups(Exchange& x);
Task<Result<void>> handle_elect_leaders(Exchange& x);
Task<Result<void>> handle_incremental_alter_configs(Exchange& x);
Task<Result<void>> handle_alter_partition_reassignments(Exchange& x);
Task<Result<void>> handle_list_partition_reassignments(Exchange& x);
Task<Result<void>> handle_offset_delete(Exchange& x);
Task<Result<void>> handle_describe_cluster(Exchange& x);
Task<Result<void>> handle_describe_producers(Exchange& x);
Task<Result<void>> handle_consumer_group_heartbeat(Exchange& x);
Task<Result<void>> handle_consumer_group_describe(Exchange& x);
Task<Result<void>> handle_list_config_resources(Exchange& x);
Task<Result<void>> handle_describe_topic_partitions(Exchange& x);

using wire::KafkaError;

/// Where clients of this listener should connect: advertised.listeners, else the local address of the client's own
/// connection (design decision 10). Text lives as long as the exchange.
struct Endpoint {
  std::string_view host;
  std::int32_t port;
};
Endpoint advertised(const Exchange& x);

/// Who leads and who holds a partition, into what Metadata or DescribeTopicPartitions answers of it.
template <class Partition>
void fill_place(Exchange& x, const broker::PartitionPlace& place, Partition& answer) {
  answer.leader_id = place.leader;
  answer.leader_epoch = place.leader_epoch;
  answer.replica_nodes = x.arena.list<BrokerId>(place.replicas.size());
  std::ranges::copy(place.replicas, answer.replica_nodes.begin());
  answer.isr_nodes = x.arena.list<BrokerId>(place.isr.size());
  std::ranges::copy(place.isr, answer.isr_nodes.begin());
}

/// "Not asked for" in the authorized-operations fields (traps.md 35).
inline constexpr std::int32_t kNoOperations = INT32_MIN;
/// Everything that can be done to a topic, a group or the cluster, where nobody forbids anything: bits by the numbers
/// that Kafka gives READ (3), WRITE, CREATE, DELETE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS
/// and IDEMPOTENT_WRITE (12).
inline constexpr std::int32_t kTopicOperations =
    1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
inline constexpr std::int32_t kGroupOperations = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;
inline constexpr std::int32_t kClusterOperations = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

}  // namespace mr::server::kafka
