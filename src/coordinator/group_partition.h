#pragma once
#include <functional>
#include <memory>
#include <unordered_map>

#include "broker/shard_state.h"
#include "coordinator/group_machine.h"
#include "runtime/scope.h"

namespace mr::coordinator {

/// What a call gets, once: the machine's answer, or why there is none (coordinator_loading, coordinator_not_available,
/// not_coordinator).
using GroupReplyTo = std::move_only_function<void(Result<GroupAnswer>)>;

/// The groups of one partition of __consumer_offsets: keeps its machine loaded, hands it events and deadlines, and its
/// answers to whoever asked.
/// Shard: home shard of the partition. Life: run() in a scope; stop() and the end of the scope before destruction.
class GroupPartition {
 public:
  GroupPartition(broker::ShardState& shard, Scope& scope, broker::PartitionKey key, GroupSettings settings)
      : shard_(shard), scope_(scope), key_(key), machine_{settings} {}
  GroupPartition(const GroupPartition&) = delete;
  ~GroupPartition();

  /// Loads, and loads again when the state was thrown away or the log came back, until stop() or the topic is gone.
  Task<void> run();
  /// Answers everybody who waits.
  void stop();

  void call(decltype(GroupEvent::what) what, GroupReplyTo reply);
  /// Nobody waits for an answer. Lost when not loaded: loading looks for itself.
  void tell(decltype(GroupEvent::what) what);

  /// Waits until the first load has succeeded or failed.
  Task<Result<void>> settled(TimePoint deadline);
  bool gone() const { return gone_; }
  GroupStats stats() const;
  /// Of every offset that is held. False: not loaded, nothing was looked at.
  bool for_each_offset(const std::function<void(std::string_view group, std::string_view topic, PartitionIndex,
                                                const StoredOffset&)>& look) const;

 private:
  using Host = broker::StateMachineHost<GroupMachine>;

  /// Decides at once; answers come when the decision is committed.
  void submit(GroupEvent event);
  Task<void> commit(std::shared_ptr<Host> host, Host::Decided decided);
  void deliver(std::vector<GroupReply> replies);
  /// Work of the machine that is too long for the shard.
  template <class Job>
  void start(Job job);
  template <class Job>
  Task<void> work(std::shared_ptr<Host> host, Job job);
  GroupReplyTo take_waiter(WaiterId waiter);
  Task<void> load(broker::PartitionRef partition);
  void forget_deleted_topics();
  bool ready();
  /// Nothing is served until the next load; all who wait are told `why`.
  void close(Error why);
  void arm_timer();

  broker::ShardState& shard_;
  Scope& scope_;
  broker::PartitionKey key_;
  GroupMachine machine_;
  std::shared_ptr<Host> host_;  ///< null: `closed_` says why
  Error closed_{Errc::coordinator_loading};
  std::unordered_map<std::uint64_t, GroupReplyTo> waiters_;
  std::uint64_t last_waiter_ = 0;
  std::size_t committing_ = 0;  ///< decisions of `host_` whose answers wait for the watermark
  TimerId timer_{};
  TimePoint timer_at_ = kForever;
  std::string load_problem_;  ///< of the last load; said once
  Event changed_;
  bool settled_ = false;
  bool gone_ = false;
  bool stopped_ = false;
  GroupStats now_;   ///< of the machine
  GroupStats past_;  ///< counters of those before it
};

/// What a door may be told of an error below: coordinator_loading, not_coordinator or coordinator_not_available.
Error coordinator_error(const Error& error);

}  // namespace mr::coordinator
