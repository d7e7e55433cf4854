// The watch over free space: below the reserve appends are refused, everything else goes on, and it heals by itself.
#include "broker/disk_space.h"

#include <algorithm>

#include "base/log.h"
#include "broker/broker.h"

namespace mr::broker {

namespace {
constexpr Duration kLookEvery = std::chrono::seconds(1);
constexpr Duration kLookAtLeastEvery = std::chrono::seconds(30);
constexpr std::uint64_t kFastestDisk = 2ull << 30;  // bytes a second
}  // namespace

std::uint64_t reserve_of(std::uint64_t setting, bool is_default, std::uint64_t total) {
  return is_default ? std::min(setting, total / 20) : setting;
}

bool is_low(bool was_low, std::uint64_t free, std::uint64_t reserve) {
  if (free < reserve) return true;
  return was_low && free - reserve < reserve / 8;
}

std::uint64_t journal_half(std::uint64_t total, std::uint64_t memory, std::uint32_t shards) {
  constexpr std::uint64_t kMost = 256u << 20, kLeast = 8u << 20;
  std::uint64_t share = total / 256 / shards;
  if (memory > 0) share = std::min(share, memory / 8 / shards);
  return std::clamp(share / kLeast * kLeast, kLeast, kMost);
}

Duration next_look(std::uint64_t free, std::uint64_t reserve) {
  std::uint64_t room = free > reserve ? free - reserve : 0;
  return std::clamp<Duration>(std::chrono::seconds(room / kFastestDisk), kLookEvery, kLookAtLeastEvery);
}

/// Shard 0, until cancelled.
Task<void> Broker::watch_space() {
  Env& env = per_shard_[0]->env;
  for (;;) {
    Duration pause = co_await look_at_space();
    TimePoint looked = env.now();
    if (!(co_await sleep_until(looked + kLookEvery)).ok()) co_return;
    while (!space_bell_->wanted && env.now() < looked + pause) {
      auto asked = co_await space_bell_->rung.wait(looked + pause);
      if (!asked.ok() && asked.code() != Errc::timed_out) co_return;
    }
    space_bell_->wanted = false;
  }
}

/// Until when nobody needs to look again.
Task<Duration> Broker::look_at_space() {
  Env& env = per_shard_[0]->env;
  const bool is_default = settings_.of("disk.reserve.bytes").origin == config::Origin::default_value;
  Duration pause = kLookAtLeastEvery;
  for (std::size_t d = 0; d < directories_.size(); ++d) {
    LogDirectory& directory = directories_[d];
    if (!directory.online()) continue;
    auto space = co_await offload(env, [&] { return directory.data->files().space(directory.path); });
    if (!space.ok()) continue;  // the next write will tell
    directory.space = *space;
    directory.reserve =
        reserve_of(static_cast<std::uint64_t>(config().disk_reserve_bytes), is_default, space->total_bytes);
    bool low = is_low(directory.low, space->free_bytes, directory.reserve);
    if (low != directory.low) co_await set_low(d, low);
    pause = std::min(pause, next_look(space->free_bytes, directory.reserve));
  }
  co_return pause;
}

Task<void> Broker::set_low(std::size_t d, bool low) {
  LogDirectory& directory = directories_[d];
  directory.low = low;
  auto tell = low ? log_error : log_info;
  tell("broker",
       low ? "disk is full: appends are refused until there is room" : "disk has room again: appends are taken",
       {{"log_dir", directory.path},
        {"free_bytes", directory.space.free_bytes},
        {"disk.reserve.bytes", directory.reserve}});
  per_shard_[0]->env.probe.hit(low ? "disk_reserve_reached" : "disk_reserve_restored");
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    co_await shards_.call(ShardId{s}, [this, s, d, low] {
      ShardState& shard = *per_shard_[s];
      shard.gates[d].closed = low;
      if (!low) return;
      // What retention allows to go need not wait for its turn, nor files given up for their delay.
      shard.disk_low.notify_all();
      shard.scope.spawn("retention", apply_retention(ShardId{s}));
    });
  }
}

/// Any shard: an append has met a full disk.
void Broker::disk_was_full(ShardState& shard) {
  shard.env.probe.hit("append_met_full_disk");
  // A wish of one shard at a time: the look that answers it is at most a second away.
  TimePoint now = shard.env.now();
  if (now < shard.next_space_wish) return;
  shard.next_space_wish = now + kLookEvery;
  shards_.env(ShardId{0}).executor.post([bell = space_bell_] {
    bell->wanted = true;
    bell->rung.notify_all();
  });
}

}  // namespace mr::broker
