#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/broker.h"
#include "coordinator/group_machine.h"
#include "coordinator/group_stats.h"
#include "coordinator/group_types.h"

namespace mr::coordinator {

/// Which of `partitions` partitions of __consumer_offsets keeps a group (traps.md 86).
PartitionIndex partition_of_group(std::string_view group, std::size_t partitions);

/// Consumer groups of all shards, as doors see them. A group lives on the home shard of its partition of
/// __consumer_offsets; calls come in on any shard, go there by one message, and come back by another; none when that is
/// the same shard. All calls may be cancelled (a closed connection): what was asked still happens, the answer is
/// dropped.
///
/// Errors that every answer may have: coordinator_not_available (no topic yet, its log is offline, the disk is full or
/// the commit took too long), coordinator_loading (the log is replayed), not_coordinator (the partition is not ours any
/// more, or we stop), group_overloaded (a bound on waiting requests is reached; retriable). Clients look for the
/// coordinator again or wait, and then repeat.
/// Life: start() after the broker's, stop() before it and after the doors'.
class GroupCoordinator {
 public:
  /// `assignors`: at least one, the first is the default.
  GroupCoordinator(broker::Broker& broker, Assignors assignors);
  GroupCoordinator(const GroupCoordinator&) = delete;
  ~GroupCoordinator();

  /// Shard 0. Returns at once; groups are loaded in the background, and answer coordinator_loading meanwhile.
  Task<void> start();
  /// Shard 0. Every waiting call is answered not_coordinator.
  Task<void> stop();
  /// Waits until all partitions are loaded (or have failed to). Any shard.
  Task<Result<void>> loaded(TimePoint deadline = kForever);

  /// Who coordinates `group`. Makes __consumer_offsets when it is not there, and waits for it. Errors:
  /// invalid_group_id, coordinator_not_available.
  Task<Result<BrokerId>> find(std::string group);

  /// Waits until the round is complete: at most about the longest rebalance timeout in the group.
  Task<JoinAnswer> join(JoinRequest request);
  /// Followers wait for the leader's.
  Task<SyncAnswer> sync(SyncRequest request);
  Task<HeartbeatAnswer> heartbeat(HeartbeatRequest request);
  Task<LeaveAnswer> leave(LeaveRequest request);

  /// KIP-848: joins, lives and leaves. A pattern is compiled off the shard first.
  Task<ConsumerHeartbeatAnswer> consumer_heartbeat(ConsumerHeartbeatRequest request);

  Task<CommitAnswer> commit_offsets(CommitRequest request);
  Task<FetchOffsetsAnswer> fetch_offsets(FetchOffsetsRequest request);
  Task<DeleteOffsetsAnswer> delete_offsets(DeleteOffsetsRequest request);

  /// In the order asked.
  Task<std::vector<GroupDescription>> describe(std::vector<std::string> groups, bool with_rebalances = false);
  /// The same of KIP-848 groups; of each question only groups of its type are found.
  Task<std::vector<ConsumerGroupDescription>> describe_consumers(std::vector<std::string> groups,
                                                                 bool with_rebalances = false);
  /// Groups of all partitions that are loaded, in order of names. `error`: coordinator_loading or
  /// coordinator_not_available when some could not be asked.
  struct Listing {
    std::optional<Error> error;
    std::vector<ListedGroup> groups;
  };
  Task<Listing> list();
  /// In the order asked; null is success. Errors: invalid_group_id, group_not_found, group_not_empty; or the
  /// coordinator's.
  Task<std::vector<std::optional<Error>>> delete_groups(std::vector<std::string> groups);

  /// Sums over all shards, for metrics.
  Task<GroupStats> stats();
  /// Where groups stand, one message per shard; for metrics, since it does not wait until what was committed just now
  /// is on disk. Of more than `most` offsets on a shard, always the same ones as far as they are still there.
  struct Positions {
    std::vector<GroupPosition> positions;
    std::size_t left_out = 0;
    bool whole = true;  ///< false: some partitions are not loaded
  };
  Task<Positions> positions(std::size_t most);

 private:
  struct Shard;
  struct Place {
    std::size_t shard = 0;
    broker::PartitionKey key;
  };

  GroupSettings settings() const;
  std::shared_ptr<const broker::TopicInfo> topic(ShardId here) const;
  /// Where a group lives, as `here` sees it. Errors: coordinator_not_available.
  Result<Place> place(ShardId here, std::string_view group) const;
  /// Asks the machine at `place` and waits.
  Task<Result<GroupAnswer>> ask(Place place, decltype(GroupEvent::what) what, TimePoint deadline);
  /// The same for one group, as the answer's own type; what went wrong goes into its `error`.
  template <class Answer>
  Task<Answer> ask_group(std::string group, decltype(GroupEvent::what) what, Duration timeout);
  /// Makes the machines of all partitions there are, on all shards.
  Task<void> open_partitions();
  void tell_deleted(const broker::TopicRef& deleted);
  void tell_changed(const broker::TopicRef& changed);
  void tell_configs();
  /// Shard 0, until cancelled: warns when there are too many groups or members.
  Task<void> watch_sizes();
  template <class Description, class Ask>
  Task<std::vector<Description>> describe_as(std::vector<std::string> groups, Ask like);
  Task<Result<void>> make_topic();

  broker::Broker& broker_;
  Assignors assignors_;
  /// Shared with messages under way, which may come late.
  std::vector<std::shared_ptr<Shard>> per_shard_;
  bool started_ = false;
};

}  // namespace mr::coordinator
