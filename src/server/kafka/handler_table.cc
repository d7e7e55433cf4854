#include "server/kafka/handlers/handlers.h"
#include "wire/api/api_versions.h"
#include "wire/api/create_topics.h"
#include "wire/api/delete_topics.h"
#include "wire/api/describe_cluster.h"
#include "wire/api/describe_configs.h"
#include "wire/api/fetch.h"
#include "wire/api/find_coordinator.h"
#include "wire/api/init_producer_id.h"
#include "wire/api/list_offsets.h"
#include "wire/api/metadata.h"
#include "wire/api/offset_for_leader_epoch.h"
#include "wire/api/produce.h"

namespace mr::server::kafka {

std::span<const ApiEntry> handler_table() {
  static constexpr ApiEntry kTable[] = {
      {&wire::produce::kApi, handle_produce},
      {&wire::fetch::kApi, handle_fetch},
      {&wire::list_offsets::kApi, handle_list_offsets},
      {&wire::metadata::kApi, handle_metadata},
      {&wire::find_coordinator::kApi, handle_find_coordinator},
      {&wire::api_versions::kApi, handle_api_versions},
      {&wire::create_topics::kApi, handle_create_topics},
      {&wire::delete_topics::kApi, handle_delete_topics},
      {&wire::init_producer_id::kApi, handle_init_producer_id},
      {&wire::offset_for_leader_epoch::kApi, handle_offset_for_leader_epoch},
      {&wire::describe_configs::kApi, handle_describe_configs},
      {&wire::describe_cluster::kApi, handle_describe_cluster},
  };
  return kTable;
}

}  // namespace mr::server::kafka
