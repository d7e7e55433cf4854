#include "broker/place_partitions.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace mr::broker {

Task<Result<Broker::Found>> Broker::find_partitions() {
  Env& env = per_shard_[0]->env;
  Found found;
  for (std::size_t d = 0; d < directories_.size(); ++d) {
    LogDirectory& directory = directories_[d];
    if (!directory.online()) continue;
    auto listed = co_await offload(env, [&] { return directory.data->partitions(); });
    if (!listed.ok()) {
      if (listed.code() == Errc::resource_exhausted) co_return std::move(listed).error();  // about this process
      directory_failed(d, listed.error());
      continue;
    }
    for (const storage::PartitionDir& entry : *listed) {
      if (!entry.topic_id) {
        found.unnamed.emplace(entry.name, d);
        continue;
      }
      auto [at, first] = found.by_id.emplace(PartitionKey{*entry.topic_id, entry.name.partition}, d);
      if (!first)
        co_return Error(Errc::corrupt_data,
                        fmt::format("{} lies in {} and in {}: move the one that is not to be served away",
                                    entry.name.to_string(), directories_[at->second].path, directory.path));
    }
  }
  co_return found;
}

Broker::Place Broker::place(const metastore::TopicRecord& topic, const metastore::PartitionRecord& partition,
                            Found& found) const {
  if (auto at = found.by_id.find({topic.id, partition.index}); at != found.by_id.end()) {
    Place place{.directory = at->second};
    found.by_id.erase(at);
    return place;
  }
  std::optional<std::size_t> noted;  // what the metastore says
  if (!partition.directory.is_zero()) {
    for (std::size_t d = 0; d < directories_.size(); ++d)
      if (directories_[d].online() && directories_[d].data->directory_id() == partition.directory) noted = d;
    if (!noted)
      return {.unknown =
                  Error(Errc::disk_failed, fmt::format("it lies in the log directory with directory.id {}, which "
                                                       "is not there",
                                                       partition.directory.to_string()))};
  }
  // Of several without a name the others are what a failed creation has left. One that lies elsewhere alone may be this
  // partition, moved: nothing else is there to be taken for it.
  auto [first, last] = found.unnamed.equal_range({topic.name, partition.index});
  if (first != last) {
    auto at = std::find_if(first, last, [&](const auto& entry) { return entry.second == noted; });
    if (at == last) at = first;
    Place place{.directory = at->second};
    found.unnamed.erase(at);
    return place;
  }
  if (noted) return {.directory = *noted, .is_new = true};
  if (!all_directories_online())
    return {.unknown = Error(Errc::disk_failed, "it may lie in a log directory that is offline")};
  auto picked = pick_data_directory();
  if (!picked.ok()) return {.unknown = picked.error()};
  return {.directory = *picked, .is_new = true};
}

}  // namespace mr::broker
