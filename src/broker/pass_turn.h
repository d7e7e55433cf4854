#pragma once
#include "runtime/shards.h"

namespace mr::broker {

/// Lets everybody else on this shard go first. Between the pieces of work that is long because there is much of it.
inline Task<void> pass_turn() {
  Executor& executor = *(co_await current_context()).executor;
  detail::Rendezvous turn;
  executor.post([&turn] { turn.finish({}); });
  (void)co_await turn;
}

/// Partitions that are looked at between two turns: some tens of microseconds.
inline constexpr std::size_t kPartitionsATurn = 256;

}  // namespace mr::broker
