#pragma once
#include "base/memory_account.h"
#include "runtime/env.h"

namespace mr::broker {

/// `bytes` of `account` for looking into a compressed batch, as soon as they are there. Errors: too_large (it never has
/// as many), request_timed_out (not until `deadline`), cancelled.
Task<Result<MemoryCharge>> memory_to_inflate(Env& env, MemoryAccount& account, std::uint64_t bytes, TimePoint deadline);

}  // namespace mr::broker
