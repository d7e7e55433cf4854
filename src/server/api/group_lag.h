#pragma once
#include "server/api/consumer_groups.h"

namespace mr::server::api {

/// GET /consumer-groups/{group}/lag: docs/http.md.
void add_group_lag_route(http::HttpRouter& router, GroupSources sources);

}  // namespace mr::server::api
