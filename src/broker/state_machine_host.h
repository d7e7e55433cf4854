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

/// What `record` takes in a batch, at most.
inline std::size_t stored_bytes(const StateRecord& record) {
  constexpr std::size_t kFraming = 30;  // lengths, deltas, attributes
  return kFraming + record.key.size() + (record.value ? record.value->size() : 0);
}

/// Both clocks as one decision sees them: deadlines go by `mono`, what is stored by `wall`.
struct Moment {
  TimePoint mono{};
  WallMillis wall = 0;
};

/// What a machine wants after one event: records, and effects that happen once these and all records before them are
/// committed.
template <class Effect>
struct Decision {
  std::vector<StateRecord> records;
  std::vector<Effect> effects;
  /// What the decision did to the volatile half stays true when its records cannot be appended: then only this event
  /// fails, and the state is kept.
  bool stands_alone = false;
};

/// A coordinator as a machine (design decision 6). Its state has two halves. The durable one is what replaying the log
/// gives: only `apply` changes it. The volatile one is what no record holds (who waits, when sessions end): begin()
/// makes it after a replay, decisions change it, and it goes when the durable one is thrown away. `decide` reads
/// nothing but its arguments and does nothing but change the volatile half and return.
template <class M>
concept StateMachine =
    requires(const M& machine, typename M::State& state, const typename M::State& seen, typename M::Volatile& live,
             typename M::Event event, const Record& record, Moment now, WallMillis written_at) {
      typename M::Effect;
      { M::apply(state, record, written_at) } -> std::same_as<void>;
      /// After a replay: whether what was read can be served.
      { M::check(seen) } -> std::same_as<Result<void>>;
      { machine.begin(seen, now) } -> std::same_as<typename M::Volatile>;
      { machine.decide(seen, live, std::move(event), now) } -> std::same_as<Decision<typename M::Effect>>;
    };

/// Runs one machine over one partition of an internal topic. Events are decided one after the other on the state of all
/// records appended so far; effects come out in order, each after the watermark has passed everything its decision
/// could have seen. A failed append or commit throws the state away; load() builds it anew from what is committed.
/// Shard: home shard of the partition. Life: load(), then submit(); every coroutine of it ended before destruction.
template <StateMachine M>
class StateMachineHost {
 public:
  using State = typename M::State;
  using Volatile = typename M::Volatile;
  using Effect = typename M::Effect;

  StateMachineHost(Env& env, PartitionRef partition, M machine = {})
      : env_(env), partition_(std::move(partition)), machine_(std::move(machine)) {}
  StateMachineHost(const StateMachineHost&) = delete;

  /// Replays the committed log. Events are answered coordinator_loading meanwhile. Errors: replay's, the machine's.
  Task<Result<void>> load() {
    loaded_.reset();
    ++incarnation_;
    std::uint64_t mine = incarnation_;
    // What is appended but not committed yet belongs to decisions made before; wait for it rather than miss it.
    Offset end = partition_->log_end();
    auto settled = co_await partition_->wait_committed(end, kForever);
    MR_CO_TRY_VOID(std::move(settled));
    State fresh{};
    auto replayed = co_await replay(env_, partition_, [&fresh](const Record& record, WallMillis written_at) {
      M::apply(fresh, record, written_at);
    });
    MR_CO_TRY_VOID(std::move(replayed));
    MR_CO_TRY_VOID(M::check(fresh));
    if (mine != incarnation_) co_return Errc::coordinator_loading;  // somebody started over
    Volatile live = machine_.begin(fresh, now());
    loaded_.emplace(std::move(fresh), std::move(live));
    co_return Result<void>{};
  }
  bool loaded() const { return loaded_.has_value(); }
  const PartitionRef& partition() const { return partition_; }
  /// Only when loaded.
  const State& state() const { return loaded_->state; }
  const Volatile& live() const { return loaded_->live; }

  /// Decides `event`, appends what it wants, and returns its effects once they may be seen. Errors: coordinator_loading
  /// (not loaded, or thrown away meanwhile), request_timed_out, not_leader, disk_full, disk_failed, cancelled. After an
  /// error of the append the event had no effect; after one of the commit its outcome is unknown, and the state is
  /// thrown away.
  Task<Result<std::vector<Effect>>> submit(typename M::Event event, TimePoint deadline) {
    auto decided = decide(std::move(event));
    if (!decided.ok()) co_return decided.error();
    co_return co_await committed(std::move(*decided), deadline);
  }

  /// The two halves of submit(), for those who need the state in between.
  struct Decided {
    std::vector<Effect> effects;
    Offset end{0};  ///< the effects may be seen once this is committed
    std::uint64_t incarnation = 0;
  };
  Result<Decided> decide(typename M::Event event) {
    if (!loaded_) return Errc::coordinator_loading;
    Decision<Effect> decision = machine_.decide(loaded_->state, loaded_->live, std::move(event), now());
    Offset before = partition_->log_end();
    auto appended = append(decision.records);
    if (!appended.ok()) {
      if (!decision.stands_alone || partition_->log_end() != before) discard();
      return appended.error();
    }
    // Even an answer without records depends on all records its decision has seen.
    return Decided{std::move(decision.effects), partition_->log_end(), incarnation_};
  }
  Task<Result<std::vector<Effect>>> committed(Decided decided, TimePoint deadline) {
    auto committed = co_await partition_->wait_committed(decided.end, deadline);
    if (decided.incarnation != incarnation_) co_return Errc::coordinator_loading;
    if (!committed.ok()) {
      if (committed.code() != Errc::cancelled) discard();  // else only the caller has gone
      co_return committed.error();
    }
    co_return std::move(decided.effects);
  }

 private:
  struct Loaded {
    State state;
    Volatile live;
  };

  Moment now() const { return {env_.now(), env_.clock.wall()}; }

  /// One batch; more when they do not fit one. Machines keep what must not be torn below that size.
  Result<void> append(const std::vector<StateRecord>& records) {
    const auto batch_bytes_max = static_cast<std::size_t>(partition_->config().batch_bytes_max);
    WallMillis now = env_.clock.wall();
    BatchBuilder builder;
    for (const StateRecord& record : records) {
      if (builder.count() > 0 && builder.bytes() + stored_bytes(record) > batch_bytes_max) {
        MR_TRY_VOID(append_batch(builder, now));
        builder.clear();
      }
      NewRecord wanted{.timestamp = now, .key = record.key};
      if (record.value) wanted.value = *record.value;
      builder.add(wanted);
    }
    if (builder.count() == 0) return {};
    return append_batch(builder, now);
  }

  Result<void> append_batch(const BatchBuilder& builder, WallMillis now) {
    MR_TRY(std::vector<std::byte> batch, builder.build());
    auto appended = partition_->append_internal(batch, now);
    if (!appended) return appended.error().error;
    // State changes by applying the very bytes that replay will see.
    RecordReader reader(ByteView(batch).subspan(BatchHeader::kBytes), builder.count());
    for (Record record; reader.next(record);) M::apply(loaded_->state, record, now);
    MR_CHECK(reader.ok());
    return {};
  }

  void discard() {
    loaded_.reset();
    ++incarnation_;
    env_.probe.hit("state_machine_discarded");
    log_warn("broker", "coordinator state thrown away; it must be loaded again",
             {{"partition", partition_->name().to_string()}});
  }

  Env& env_;
  PartitionRef partition_;
  M machine_;
  std::optional<Loaded> loaded_;
  std::uint64_t incarnation_ = 0;  ///< grows when the state is thrown away or loaded
};

}  // namespace mr::broker
