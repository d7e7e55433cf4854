#pragma once
#include <concepts>
#include <optional>
#include <vector>

#include "base/log.h"
#include "broker/replay.h"
#include "broker/shard_state.h"
#include "model/batch_builder.h"

namespace mr::broker {

/// A key and a value to be written to an internal topic; no value is a tombstone.
struct StateRecord {
  std::vector<std::byte> key;
  std::optional<std::vector<std::byte>> value;
};

/// What a machine wants after one event: records, and effects that happen once these and all records before them are
/// committed.
template <class Effect>
struct Decision {
  std::vector<StateRecord> records;
  std::vector<Effect> effects;
};

/// A coordinator as a machine (design decision 6): `decide` is pure, `apply` is the only thing that changes state, and
/// replay after a crash calls nothing but `apply`.
template <class M>
concept StateMachine = requires(typename M::State state, const typename M::State& seen, const typename M::Event& event,
                                const Record& record, WallMillis now) {
  typename M::Effect;
  { M::apply(state, record) } -> std::same_as<void>;
  { M::decide(seen, event, now) } -> std::same_as<Decision<typename M::Effect>>;
};

/// Runs one machine over one partition of an internal topic. Events are decided one after the other on the state of all
/// records appended so far; effects come out in order, each after the watermark has passed everything its decision
/// could have seen. A failed append or commit throws the state away; load() builds it anew from what is committed.
/// Shard: home shard of the partition. Life: load(), then submit(); every coroutine of it ended before destruction.
template <StateMachine M>
class StateMachineHost {
 public:
  using State = typename M::State;
  using Effect = typename M::Effect;

  StateMachineHost(Env& env, PartitionRef partition) : env_(env), partition_(std::move(partition)) {}
  StateMachineHost(const StateMachineHost&) = delete;

  /// Replays the committed log. Events are answered coordinator_loading meanwhile. Errors: replay's.
  Task<Result<void>> load() {
    state_.reset();
    ++incarnation_;
    std::uint64_t mine = incarnation_;
    // What is appended but not committed yet belongs to decisions made before; wait for it rather than miss it.
    Offset end = partition_->log_end();
    auto settled = co_await partition_->wait_committed(end, kForever);
    MR_CO_TRY_VOID(std::move(settled));
    State fresh{};
    auto replayed = co_await replay(env_, partition_, [&fresh](const Record& record) { M::apply(fresh, record); });
    MR_CO_TRY_VOID(std::move(replayed));
    if (mine != incarnation_) co_return Errc::coordinator_loading;  // somebody started over
    state_.emplace(std::move(fresh));
    co_return Result<void>{};
  }
  bool loaded() const { return state_.has_value(); }
  /// Only when loaded.
  const State& state() const { return *state_; }

  /// Decides `event`, appends what it wants, and returns its effects once they may be seen. Errors: coordinator_loading
  /// (not loaded, or thrown away meanwhile), request_timed_out, not_leader, disk_full, disk_failed. After an error of
  /// the append the event had no effect; after one of the commit its outcome is unknown, and the state is thrown away.
  Task<Result<std::vector<Effect>>> submit(typename M::Event event, TimePoint deadline) {
    if (!state_) co_return Errc::coordinator_loading;
    std::uint64_t mine = incarnation_;
    Decision<Effect> decision = M::decide(*state_, event, env_.clock.wall());
    if (!decision.records.empty()) {
      auto appended = append(decision.records);
      if (!appended.ok()) {
        discard();
        co_return appended.error();
      }
    }
    // Even an answer without records depends on all records its decision has seen.
    auto committed = co_await partition_->wait_committed(partition_->log_end(), deadline);
    if (mine != incarnation_) co_return Errc::coordinator_loading;
    if (!committed.ok()) {
      discard();
      co_return committed.error();
    }
    co_return std::move(decision.effects);
  }

 private:
  Result<void> append(const std::vector<StateRecord>& records) {
    BatchBuilder builder;
    WallMillis now = env_.clock.wall();
    for (const StateRecord& record : records) {
      NewRecord wanted{.timestamp = now, .key = record.key};
      if (record.value) wanted.value = *record.value;
      builder.add(wanted);
    }
    MR_TRY(std::vector<std::byte> batch, builder.build());
    auto appended = partition_->append_internal(batch, now);
    if (!appended) return appended.error().error;
    // State changes by applying the very bytes that replay will see.
    RecordReader reader(ByteView(batch).subspan(BatchHeader::kBytes), builder.count());
    for (Record record; reader.next(record);) M::apply(*state_, record);
    MR_CHECK(reader.ok());
    return {};
  }

  void discard() {
    state_.reset();
    ++incarnation_;
    env_.probe.hit("state_machine_discarded");
    log_warn("broker", "coordinator state thrown away; it must be loaded again",
             {{"partition", partition_->name().to_string()}});
  }

  Env& env_;
  PartitionRef partition_;
  std::optional<State> state_;
  std::uint64_t incarnation_ = 0;  ///< grows when the state is thrown away or loaded
};

}  // namespace mr::broker
