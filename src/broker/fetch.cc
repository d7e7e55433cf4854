#include "broker/fetch.h"

#include "broker/broker.h"

namespace mr::broker {

namespace {

constexpr Duration kCheckPatience = std::chrono::seconds(2);

struct Budget {
  std::uint64_t bytes_left;
  bool first_whole = true;  ///< nothing found yet: the first batch comes whole however large (traps.md 61)
};

/// Does the reader's last epoch fit ours? (traps.md 64)
std::optional<storage::Log::EpochEnd> divergence(const FetchItem& item, const replication::Partition& partition) {
  if (item.last_fetched_epoch.v < 0) return std::nullopt;
  storage::Log::EpochEnd end = partition.log().epoch_end(item.last_fetched_epoch);
  if (end.epoch < item.last_fetched_epoch || end.end < item.offset) return end;
  return std::nullopt;
}

/// Home shard: one look at one partition.
void read_one(ShardState& shard, FetchItem& item, Budget& budget, bool read_committed) {
  item.error.reset();
  item.diverging.reset();
  item.data = {};
  item.to_check = false;
  PartitionRef partition = shard.find(item.topic, item.partition);
  if (partition == nullptr) {
    item.error = shard.missing(item.topic, item.partition);
    return;
  }
  if (auto fenced = partition->check_leader_epoch(item.current_epoch); !fenced.ok()) {
    item.error = fenced.error();
    return;
  }
  item.high_watermark = partition->high_watermark();
  item.last_stable = partition->last_stable_offset();
  item.log_start = partition->log_start();
  if (auto fork = divergence(item, *partition)) {
    if (fork->epoch == kNoLeaderEpoch || item.offset < item.log_start) {
      item.error = Errc::offset_out_of_range;
    } else {
      item.diverging = fork;
    }
    return;
  }
  Offset end = read_committed ? item.last_stable : item.high_watermark;
  std::uint64_t bytes_max = std::min(item.bytes_max, budget.bytes_left);
  auto read = partition->read(item.offset, end, bytes_max, budget.first_whole);
  if (!read.ok()) {
    if (read.code() == Errc::corrupt_batch) ++shard.corrupt_answers;
    item.error = read.error();
    return;
  }
  item.data = std::move(*read);
  if (item.data.bytes > 0) {
    budget.first_whole = false;
    item.to_check = shard.read_checks.wanted(item.data);
  }
  budget.bytes_left -= std::min(budget.bytes_left, item.data.bytes);
}

bool any_to_check(std::span<const FetchItem> items) { return std::ranges::any_of(items, &FetchItem::to_check); }

/// Home shard: checks what read_one() found, one partition after the other. `answered`: there is something to send
/// already, so that nobody has to wait past the deadline for more.
Task<void> check_items(ShardState& shard, std::span<FetchItem> items, const FetchOptions& options, bool answered) {
  const TaskContext& context = co_await current_context();
  for (FetchItem& item : items) {
    if (!item.to_check) {
      answered = answered || item.data.bytes > 0;
      continue;
    }
    item.to_check = false;
    PartitionRef partition = shard.find(item.topic, item.partition);
    if (partition == nullptr) item.error = shard.missing(item.topic, item.partition);
    bool late = answered && context.executor->now() >= options.deadline;
    if (partition == nullptr || late) {
      item.data = {};
      continue;
    }
    // Whoever has to wait for long answers nothing for now: others are in front, and the disk is slow.
    TimePoint patience = std::max(options.deadline, context.executor->now() + kCheckPatience);
    auto checked = co_await shard.read_checks.check(*partition, item.data, options.memory, patience);
    if (!checked.ok()) {
      item.data = {};
      bool no_turn = checked.code() == Errc::cancelled || checked.code() == Errc::timed_out;
      if (checked.code() == Errc::corrupt_batch) ++shard.corrupt_answers;
      if (!no_turn) item.error = std::move(checked).error();
    }
    answered = answered || item.data.bytes > 0;
  }
}

/// The items one home shard has a part in, for a wait.
struct HomeGroup {
  ShardId home;
  std::vector<FetchItem*> items;
};

/// Registers on home shards and pokes the connection's shard when a watermark moves past what was read.
class Poke {
 public:
  explicit Poke(Executor& back) : back_(back) {}

  struct Watch : replication::WatermarkWatcher {
    Poke* poke = nullptr;
    void on_watermark() override { poke->fire(); }
  };

  /// Home shard. Fires at once when something moved since the read.
  void watch(ShardState& shard, HomeGroup& group, std::vector<std::unique_ptr<Watch>>& watches, bool read_committed) {
    for (FetchItem* item : group.items) {
      PartitionRef partition = shard.find(item->topic, item->partition);
      Offset seen = read_committed ? item->last_stable : item->high_watermark;
      if (partition == nullptr ||
          (read_committed ? partition->last_stable_offset() : partition->high_watermark()) > seen) {
        fire();
        return;
      }
      auto watch = std::make_unique<Watch>();
      watch->poke = this;
      partition->watch(*watch);
      watches.push_back(std::move(watch));
    }
  }

  /// Connection's shard. timed_out and cancelled end the poll.
  Task<Result<void>> wait(TimePoint deadline) {
    while (!poked_) MR_CO_TRY_VOID(co_await poked_event_.wait(deadline));
    co_return Result<void>{};
  }

 private:
  void fire() {
    if (fired_.exchange(true)) return;
    back_.post([this] {
      poked_ = true;
      poked_event_.notify_all();
    });
  }

  Executor& back_;
  std::atomic<bool> fired_ = false;  // any home shard
  bool poked_ = false;               // connection's shard
  Event poked_event_;
};

/// Returns after everything this shard has posted to itself so far has run.
Task<void> settle(Executor& here) {
  detail::Rendezvous behind;
  here.post([&] { behind.finish({}); });
  (void)co_await behind;
}

Task<Result<void>> wait_for_data(Broker& broker, std::vector<HomeGroup>& groups, const FetchOptions& options) {
  const TaskContext& context = co_await current_context();
  // Watches live and die on their home shard; a poke that is under way arrives before the answer to unwatch does, since
  // one sender's posts keep their order.
  Poke poke(*context.executor);
  std::vector<std::vector<std::unique_ptr<Poke::Watch>>> watches(groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    co_await broker.shards().call(groups[i].home, [&, i] {
      poke.watch(broker.shard(groups[i].home), groups[i], watches[i], options.read_committed);
    });
  }
  Result<void> outcome = co_await poke.wait(options.deadline);
  for (std::size_t i = 0; i < groups.size(); ++i)
    co_await broker.shards().call(groups[i].home, [&, i] { watches[i].clear(); });
  co_await settle(*context.executor);  // a poke from this very shard may still be posted
  co_return outcome;
}

}  // namespace

Task<void> fetch(Broker& broker, std::span<FetchItem> items, FetchOptions options) {
  const TaskContext& context = co_await current_context();
  ShardId here = context.executor->shard();
  std::uint64_t bytes_min = std::min(options.bytes_min, options.bytes_max);
  for (;;) {
    Budget budget{.bytes_left = options.bytes_max};
    std::uint64_t bytes = 0;
    bool urgent = items.empty();
    for (std::size_t i = 0; i < items.size();) {
      ShardId home = items[i].home;
      std::size_t end = i;
      while (end < items.size() && (items[end].home == home || items[end].refused)) ++end;
      auto read_run = [&, i, end] {
        for (std::size_t k = i; k < end; ++k)
          if (!items[k].refused) read_one(broker.shard(home), items[k], budget, options.read_committed);
      };
      if (home == here) {
        read_run();
      } else {
        co_await broker.shards().call(home, read_run);
      }
      std::span<FetchItem> run = items.subspan(i, end - i);
      if (any_to_check(run)) {
        bool answered = std::ranges::any_of(items.first(i), [](const FetchItem& item) { return item.data.bytes > 0; });
        co_await broker.shards().call(home, [&] { return check_items(broker.shard(home), run, options, answered); });
      }
      i = end;
    }
    for (FetchItem& item : items) {
      bytes += item.data.bytes;
      urgent = urgent || item.error || item.diverging;
    }
    if (urgent || bytes >= bytes_min || context.executor->now() >= options.deadline) co_return;

    std::vector<HomeGroup> groups;
    for (FetchItem& item : items) {
      auto group = std::ranges::find(groups, item.home, &HomeGroup::home);
      if (group == groups.end()) group = groups.insert(groups.end(), HomeGroup{item.home, {}});
      group->items.push_back(&item);
    }
    for (FetchItem& item : items) item.data = {};  // pins are not held over a wait
    Result<void> waited = co_await wait_for_data(broker, groups, options);
    if (!waited.ok() && waited.code() == Errc::cancelled) co_return;
    if (!waited.ok()) options.deadline = context.executor->now();  // one last look
  }
}

}  // namespace mr::broker
