#pragma once
#include <string>
#include <string_view>

#include "base/memory_account.h"
#include "base/units.h"
#include "runtime/env.h"

namespace mr::broker {

/// Who asks, through which door, until when. Every door fills one per request and hands it down.
struct RequestContext {
  std::string_view listener;  ///< name of the listener the request came in on
  std::string_view principal = "User:ANONYMOUS";
  std::string_view client_id;
  const Address* local = nullptr;  ///< our side of the connection: what Metadata answers by default (decision 10)
  const Address* remote = nullptr;
  TimePoint received{};
  TimePoint deadline = kForever;
  Duration throttle{0};             ///< time the client is asked to stay away; filled by quotas
  MemoryAccount* memory = nullptr;  ///< what the request's buffers are charged to
};

}  // namespace mr::broker
