#pragma once
#include <functional>

#include "broker/broker.h"
#include "coordinator/group_coordinator.h"
#include "coordinator/lag/lag_watch.h"
#include "server/http/router.h"

namespace mr::server::api {

/// Who answers; null while the broker starts or stops: then 503.
struct GroupSources {
  std::function<broker::Broker*()> broker;
  std::function<coordinator::GroupCoordinator*()> groups;
  std::function<coordinator::LagWatch*()> lags;  ///< there when `groups` are
};

/// GET /consumer-groups, /consumer-groups/{group}, /consumer-groups/{group}/assignments: docs/http.md.
void add_consumer_group_routes(http::HttpRouter& router, GroupSources sources);

}  // namespace mr::server::api
