// What the broker says of its disks and of who writes to it; nothing here changes anything.
#include <fmt/format.h>

#include <algorithm>

#include "broker/broker.h"
#include "broker/pass_turn.h"

namespace mr::broker {

Task<std::vector<Broker::LogDirView>> Broker::describe_log_dirs(std::optional<std::vector<PartitionKey>> wanted) {
  auto views = co_await shards_.call(ShardId{0}, [this] { return view_directories(); });
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    co_await shards_.call(ShardId{s}, [this, s, &views, &wanted]() -> Task<void> {
      const ShardState& shard = *per_shard_[s];
      auto add = [&](const PartitionKey& key, const PartitionRef& partition) {
        auto directory = shard.directory_of.find(key);
        if (directory == shard.directory_of.end()) return;
        views[directory->second].partitions.push_back({partition->name(), partition->log().bytes()});
      };
      std::vector<PartitionKey> all;
      if (!wanted) {
        all.reserve(shard.partitions.size());
        for (const auto& [key, partition] : shard.partitions) all.push_back(key);
      }
      std::size_t done = 0;
      for (const PartitionKey& key : wanted ? *wanted : all) {
        if (PartitionRef partition = shard.find(key.topic, key.partition)) add(key, partition);
        if (++done % kPartitionsATurn == 0) co_await pass_turn();
      }
    });
  }
  const TaskContext& context = co_await current_context();
  co_await offload(per_shard_[context.executor->shard().v]->env, [&] {
    for (LogDirView& view : views) std::ranges::sort(view.partitions, {}, &LogDirView::Partition::name);
  });
  co_return views;
}

/// On shard 0.
Task<std::vector<Broker::LogDirView>> Broker::view_directories() {
  std::vector<LogDirView> views;
  for (const LogDirectory& directory : directories_) {
    LogDirView& view = views.emplace_back();
    view.path = directory.path;
    view.offline = directory.offline;
  }
  for (std::size_t d = 0; d < views.size(); ++d) {
    if (views[d].offline) continue;
    LogDirectory& directory = directories_[d];
    auto space = co_await offload(per_shard_[0]->env, [&] { return directory.data->files().space(directory.path); });
    if (space.ok()) views[d].space = *space;
  }
  co_return views;
}

Task<Result<std::vector<storage::Log::ProducerInfo>>> Broker::producers(TopicId topic, PartitionIndex partition,
                                                                        ShardId home, TimePoint deadline) {
  using Answer = Result<std::vector<storage::Log::ProducerInfo>>;
  co_return co_await shards_.call(home, [this, topic, partition, home, deadline]() -> Task<Answer> {
    ShardState& shard = *per_shard_[home.v];
    PartitionRef found = shard.find(topic, partition);
    if (found == nullptr) co_return shard.missing(topic, partition);
    // What a power cut could take back is not told.
    const Offset end = found->log_end();
    auto known = found->log().producers();
    MR_CO_TRY_VOID(co_await found->wait_committed(end, deadline));
    co_return known;
  });
}

Task<void> Broker::check_moves(std::span<ReplicaMove> wanted) {
  co_await shards_.call(ShardId{0}, [this, wanted] {
    for (ReplicaMove& move : wanted) move.outcome = check_move(move);
  });
}

/// On shard 0.
Result<void> Broker::check_move(const ReplicaMove& move) const {
  auto target = std::ranges::find(directories_, move.log_dir, &LogDirectory::path);
  if (target == directories_.end()) return Error(Errc::not_found, move.log_dir + " is not one of log.dirs");
  if (!target->online()) return Error(Errc::disk_failed, target->offline->message());
  auto lies_in = directory_of_.find(move.key);
  if (lies_in == directory_of_.end()) return Errc::unknown_partition;
  if (directories_[lies_in->second].path == move.log_dir) return {};
  return Error(Errc::policy_violation,
               fmt::format("it lies in {}: moving a partition to another log directory is not supported",
                           directories_[lies_in->second].path));
}

}  // namespace mr::broker
