// `millrace bench groups`: what a broker takes of consumer groups: heartbeats, commits, rounds.
#include <fmt/format.h>

#include <algorithm>

#include "cli/bench_group_load.h"
#include "cli/do.h"

namespace mr::cli {

namespace {

constexpr std::uint32_t kConnections = 10;

Result<void> check(const BenchGroups& command) {
  const bool rounds = command.work == GroupWork::join || command.work == GroupWork::rebalance;
  if (command.work == GroupWork::join && command.consumer_protocol)
    return Error(
        Errc::invalid_argument,
        "join is for --protocol classic: members of KIP-848 join with a heartbeat; see heartbeat and rebalance");
  if (rounds && !command.consumer_protocol && command.connections < command.members)
    return Error(Errc::invalid_argument,
                 fmt::format("--connections must be {} at least, as many as --members: a member that joins holds its "
                             "connection until all have",
                             command.members));
  return {};
}

Task<Result<int>> groups(Session& session, BenchGroups command) {
  if (command.connections == 0) command.connections = std::max(kConnections, command.members);
  MR_CO_TRY_VOID(check(command));
  MR_CO_TRY(client::TopicInfo topic, co_await bench_topic(session, command.topic, command.partitions));
  if (static_cast<std::size_t>(command.commit_partitions) > topic.partitions.size())
    co_return Error(Errc::invalid_argument,
                    fmt::format("--commit-partitions {}: topic '{}' has {}", command.commit_partitions, topic.name,
                                plural(topic.partitions.size(), "partition")));
  GroupLoad load(session, command, std::move(topic));
  co_return co_await load.run();
}

}  // namespace

int run(const Common& common, const BenchGroups& command) {
  return with_cluster_until_signal(common, [&](Session& session) { return groups(session, command); });
}

}  // namespace mr::cli
