#include "broker/inflating.h"

#include <fmt/format.h>

#include "runtime/wait.h"

namespace mr::broker {

Task<Result<MemoryCharge>> memory_to_inflate(Env& env, MemoryAccount& account, std::uint64_t bytes,
                                             TimePoint deadline) {
  if (bytes > account.limit())
    co_return Error(Errc::too_large, fmt::format("inflating the batch takes {} bytes of memory; {} is the most (an "
                                                 "eighth of `memory`)",
                                                 bytes, account.limit()));
  for (;;) {
    MemoryCharge charge = MemoryCharge::take(account, bytes);
    if (charge) co_return std::move(charge);
    env.probe.hit("inflating_budget_full");
    if (env.now() >= deadline)
      co_return Error(Errc::request_timed_out, fmt::format("no memory yet to inflate the batch: {} bytes", bytes));
    MR_CO_TRY_VOID(co_await sleep_until(std::min(deadline, env.now() + Millis(5))));
  }
}

}  // namespace mr::broker
