// Health of the log directories (design section 5 rule 3): one that has failed is left for good, the others serve on.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "broker/broker.h"

namespace mr::broker {

bool Broker::all_directories_online() const { return std::ranges::all_of(directories_, &LogDirectory::online); }

Result<std::size_t> Broker::pick_data_directory() const {
  std::optional<std::size_t> best;
  bool full = false;
  for (std::size_t d = 0; d < directories_.size(); ++d) {
    // One that has just failed may not be known as such yet.
    if (!directories_[d].online() || directories_[d].data->files().failed() != nullptr) continue;
    full = full || directories_[d].low;
    if (directories_[d].low) continue;
    if (!best || directories_[d].partitions < directories_[*best].partitions) best = d;
  }
  if (best) return *best;
  if (full) return Error(Errc::disk_full, "every log directory is full: less than disk.reserve.bytes is free");
  return Error(Errc::disk_failed, "no log directory is online");
}

/// Notes the failure and says so; its partitions are the caller's care.
void Broker::directory_failed(std::size_t d, Error why) {
  LogDirectory& directory = directories_[d];
  if (directory.offline) return;
  log_error("broker", "a log directory is offline until the next start",
            {{"log_dir", directory.path}, {"partitions", directory.partitions}, {"error", why.message()}});
  directory.offline = std::move(why);
}

/// On shard 0, until cancelled.
Task<void> Broker::watch_directories() {
  for (;;) {
    auto failed = std::ranges::find_if(
        directories_, [](const LogDirectory& d) { return d.online() && d.data->files().failed() != nullptr; });
    if (failed != directories_.end()) {
      auto index = static_cast<std::size_t>(failed - directories_.begin());
      co_await take_directory_offline(index, *failed->data->files().failed());
    } else if (!(co_await directory_alarm_->wait()).ok()) {
      co_return;
    }
  }
}

Task<void> Broker::take_directory_offline(std::size_t directory, Error why) {
  per_shard_[0]->env.probe.hit("log_dir_failed");
  directory_failed(directory, why);
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    co_await shards_.call(ShardId{s}, [this, s, directory, &why]() -> Task<void> {
      ShardState& shard = *per_shard_[s];
      std::vector<PartitionKey> keys;
      for (const auto& [key, lies_in] : shard.directory_of)
        if (lies_in == directory) keys.push_back(key);
      std::vector<PartitionRef> partitions;
      for (const PartitionKey& key : keys) {
        PartitionRef partition = shard.take(key);
        shard.offline.emplace(key, ShardState::Offline{partition->name(), why});
        partition->fail();  // all at once, so that nobody waits for a disk that is gone
        partitions.push_back(std::move(partition));
      }
      for (const PartitionRef& partition : partitions) co_await partition->stop();
    });
  }
  if (std::ranges::any_of(directories_, &LogDirectory::online)) co_return;
  Error last(Errc::disk_failed, fmt::format("no log directory is left, the last one was {}: {}",
                                            directories_[directory].path, why.detail()));
  if (auto tell = std::exchange(all_failed_, {})) tell(std::move(last));
}

}  // namespace mr::broker
