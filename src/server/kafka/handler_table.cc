#include "server/kafka/handlers/handlers.h"
#include "wire/api/alter_configs.h"
#include "wire/api/alter_partition_reassignments.h"
#include "wire/api/alter_replica_log_dirs.h"
#include "wire/api/api_versions.h"
#include "wire/api/consumer_group_describe.h"
#include "wire/api/consumer_group_heartbeat.h"
#include "wire/api/create_partitions.h"
#include "wire/api/create_topics.h"
#include "wire/api/delete_groups.h"
#include "wire/api/delete_records.h"
#include "wire/api/delete_topics.h"
#include "wire/api/describe_cluster.h"
#include "wire/api/describe_configs.h"
#include "wire/api/describe_groups.h"
#include "wire/api/describe_log_dirs.h"
#include "wire/api/describe_producers.h"
#include "wire/api/describe_topic_partitions.h"
#include "wire/api/elect_leaders.h"
#include "wire/api/fetch.h"
#include "wire/api/find_coordinator.h"
#include "wire/api/heartbeat.h"
#include "wire/api/incremental_alter_configs.h"
#include "wire/api/init_producer_id.h"
#include "wire/api/join_group.h"
#include "wire/api/leave_group.h"
#include "wire/api/list_config_resources.h"
#include "wire/api/list_groups.h"
#include "wire/api/list_offsets.h"
#include "wire/api/list_partition_reassignments.h"
#include "wire/api/metadata.h"
#include "wire/api/offset_commit.h"
#include "wire/api/offset_delete.h"
#include "wire/api/offset_fetch.h"
#include "wire/api/offset_for_leader_epoch.h"
#include "wire/api/produce.h"
#include "wire/api/sync_group.h"

namespace mr::server::kafka {

std::span<const ApiEntry> handler_table() {
  static constexpr ApiEntry kTable[] = {
      {&wire::produce::kApi, handle_produce},
      {&wire::fetch::kApi, handle_fetch},
      {&wire::list_offsets::kApi, handle_list_offsets},
      {&wire::metadata::kApi, handle_metadata},
      {&wire::offset_commit::kApi, handle_offset_commit},
      {&wire::offset_fetch::kApi, handle_offset_fetch},
      {&wire::find_coordinator::kApi, handle_find_coordinator},
      {&wire::join_group::kApi, handle_join_group},
      {&wire::heartbeat::kApi, handle_heartbeat},
      {&wire::leave_group::kApi, handle_leave_group},
      {&wire::sync_group::kApi, handle_sync_group},
      {&wire::describe_groups::kApi, handle_describe_groups},
      {&wire::list_groups::kApi, handle_list_groups},
      {&wire::api_versions::kApi, handle_api_versions},
      {&wire::create_topics::kApi, handle_create_topics},
      {&wire::delete_topics::kApi, handle_delete_topics},
      {&wire::delete_records::kApi, handle_delete_records},
      {&wire::init_producer_id::kApi, handle_init_producer_id},
      {&wire::offset_for_leader_epoch::kApi, handle_offset_for_leader_epoch},
      {&wire::describe_configs::kApi, handle_describe_configs},
      {&wire::alter_configs::kApi, handle_alter_configs},
      {&wire::alter_replica_log_dirs::kApi, handle_alter_replica_log_dirs},
      {&wire::describe_log_dirs::kApi, handle_describe_log_dirs},
      {&wire::create_partitions::kApi, handle_create_partitions},
      {&wire::delete_groups::kApi, handle_delete_groups},
      {&wire::elect_leaders::kApi, handle_elect_leaders},
      {&wire::incremental_alter_configs::kApi, handle_incremental_alter_configs},
      {&wire::alter_partition_reassignments::kApi, handle_alter_partition_reassignments},
      {&wire::list_partition_reassignments::kApi, handle_list_partition_reassignments},
      {&wire::offset_delete::kApi, handle_offset_delete},
      {&wire::describe_cluster::kApi, handle_describe_cluster},
      {&wire::describe_producers::kApi, handle_describe_producers},
      {&wire::consumer_group_heartbeat::kApi, handle_consumer_group_heartbeat},
      {&wire::consumer_group_describe::kApi, handle_consumer_group_describe},
      {&wire::list_config_resources::kApi, handle_list_config_resources},
      {&wire::describe_topic_partitions::kApi, handle_describe_topic_partitions},
  };
  return kTable;
}

}  // namespace mr::server::kafka
