#pragma once
#include "server/api/consumer_groups.h"

namespace mr::server::api {

/// GET /consumer-groups/{group}/lag and /consumer-groups/{group}/rebalances: docs/http.md.
void add_group_health_routes(http::HttpRouter& router, GroupSources sources);

}  // namespace mr::server::api
