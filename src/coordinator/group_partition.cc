#include "coordinator/group_partition.h"

#include <set>

#include "base/log.h"
#include "runtime/shards.h"

namespace mr::coordinator {

namespace {
constexpr Duration kRetryLeast = std::chrono::milliseconds(50);
constexpr Duration kRetryMost = std::chrono::seconds(5);
}  // namespace

Error coordinator_error(const Error& error) {
  switch (error.code()) {
    case Errc::coordinator_loading:
    case Errc::not_coordinator:
    case Errc::coordinator_not_available:
      return error;
    case Errc::cancelled:  // we stop: what was asked may have happened, and asking again finds out
    case Errc::not_leader:
    case Errc::shutting_down:
      return Error(Errc::not_coordinator, error.message());
    default:
      return Error(Errc::coordinator_not_available, error.message());
  }
}

GroupPartition::~GroupPartition() {
  MR_CHECK(waiters_.empty());
  shard_.env.executor.cancel_timer(timer_);
}

Task<void> GroupPartition::run() {
  Duration retry = kRetryLeast;
  while (!stopped_) {
    broker::PartitionRef partition = shard_.find(key_.topic, key_.partition);
    if (partition == nullptr && shard_.topics->find(key_.topic) == nullptr) break;
    if (partition == nullptr) {
      closed_ = coordinator_error(shard_.missing(key_.topic, key_.partition));
      settled_ = true;
      changed_.notify_all();
    } else {
      co_await load(std::move(partition));
    }
    const bool served = host_ != nullptr;
    Result<void> waited;
    while (waited.ok() && ready()) waited = co_await changed_.wait();
    retry = served ? kRetryLeast : std::min(retry * 2, kRetryMost);
    if (!served && waited.ok()) waited = co_await sleep_until(shard_.env.now() + retry);
    if (!waited.ok()) break;
  }
  gone_ = true;
  close(Errc::not_coordinator);
}

Task<void> GroupPartition::load(broker::PartitionRef partition) {
  closed_ = Errc::coordinator_loading;
  const std::string name = partition->name().to_string();
  auto host = std::make_shared<Host>(shard_.env, std::move(partition), machine_);
  const TimePoint began = shard_.env.now();
  Result<void> loaded = co_await host->load();
  settled_ = true;
  if (stopped_) co_return;
  if (!loaded.ok()) {
    ++past_.loads_failed;
    closed_ = coordinator_error(loaded.error());
    if (load_problem_ != loaded.error().message())
      log_error("coordinator", "groups of a partition could not be loaded; it is tried again until they can",
                {{"partition", name}, {"error", loaded.error().message()}});
    load_problem_ = loaded.error().message();
    changed_.notify_all();
    co_return;
  }
  ++past_.loads;
  load_problem_.clear();
  host_ = std::move(host);
  now_ = host_->live().stats;
  const GroupState& state = host_->state();
  if (!state.groups.empty() || !state.consumers.empty())
    log_info("coordinator", "groups loaded",
             {{"partition", name},
              {"groups", host_->live().groups.size() + host_->live().consumers.size()},
              {"offsets", state.offsets},
              {"ms", std::chrono::duration_cast<Millis>(shard_.env.now() - began).count()}});
  tell(GroupConfigsEvent{shard_.group_configs});
  tell(TopicsChangedEvent{shard_.topics, {}});
  forget_deleted_topics();
  arm_timer();
  changed_.notify_all();
}

/// A topic may have gone while nobody was there to write its tombstones.
void GroupPartition::forget_deleted_topics() {
  std::set<std::pair<std::string, TopicId>> gone;
  TopicId known;  // most look-ups are for the topic before
  for (const auto& [group, durable] : host_->state().groups)
    for (const auto& [topic, partitions] : durable.offsets)
      for (const auto& [partition, offset] : partitions) {
        if (offset.topic_id == known || offset.topic_id.v.is_zero()) continue;
        if (shard_.topics->find(offset.topic_id) != nullptr) {
          known = offset.topic_id;
        } else {
          gone.emplace(topic, offset.topic_id);
        }
      }
  for (const auto& [topic, id] : gone) tell(TopicDeletedEvent{topic, id});
}

/// The log may have been closed, or opened anew, since the load.
bool GroupPartition::ready() {
  if (host_ && host_->loaded() && shard_.find(key_.topic, key_.partition) == host_->partition()) return true;
  if (host_) close(Errc::coordinator_loading);
  return false;
}

void GroupPartition::close(Error why) {
  if (host_) {
    host_.reset();
    committing_ = 0;
    if (!stopped_) ++past_.discarded;
    now_.groups = now_.groups_active = now_.members = now_.offsets = 0;
    past_ += std::exchange(now_, {});
  }
  closed_ = std::move(why);
  shard_.env.executor.cancel_timer(timer_);
  timer_at_ = kForever;
  auto waiters = std::exchange(waiters_, {});
  for (auto& [id, reply] : waiters) reply(closed_);
  changed_.notify_all();
}

Task<Result<void>> GroupPartition::settled(TimePoint deadline) {
  while (!settled_) MR_CO_TRY_VOID(co_await changed_.wait(deadline));
  co_return Result<void>{};
}

void GroupPartition::stop() {
  stopped_ = true;
  settled_ = true;
  close(Errc::not_coordinator);
}

void GroupPartition::call(decltype(GroupEvent::what) what, GroupReplyTo reply) {
  if (stopped_ || !ready()) {
    reply(closed_);
    return;
  }
  const WaiterId waiter{++last_waiter_};
  waiters_.emplace(waiter.v, std::move(reply));
  submit({waiter, std::move(what)});
}

void GroupPartition::tell(decltype(GroupEvent::what) what) {
  if (!stopped_ && ready()) submit({WaiterId{0}, std::move(what)});
}

void GroupPartition::submit(GroupEvent event) {
  const WaiterId waiter = event.waiter;
  auto decided = host_->decide(std::move(event));
  if (!host_->loaded()) {
    close(coordinator_error(decided.error()));
    return;
  }
  now_ = host_->live().stats;
  arm_timer();
  if (!decided.ok()) {
    if (GroupReplyTo reply = take_waiter(waiter)) reply(coordinator_error(decided.error()));
    return;
  }
  if (committing_ == 0 && host_->partition()->high_watermark() >= decided->end) {
    deliver(std::move(decided->effects));
    return;
  }
  ++committing_;
  scope_.spawn("group decision", commit(host_, std::move(*decided)));
}

Task<void> GroupPartition::commit(std::shared_ptr<Host> host, Host::Decided decided) {
  // No deadline: others may wait for what this decision brings. Callers have their own.
  auto replies = co_await host->committed(std::move(decided), kForever);
  if (host != host_) co_return;  // everybody has been told
  --committing_;
  if (replies.ok()) {
    deliver(std::move(*replies));
  } else {
    close(coordinator_error(replies.error()));
  }
}

template <class Job>
void GroupPartition::start(Job job) {
  scope_.spawn("group job", work(host_, std::move(job)));
}

template <class Job>
Task<void> GroupPartition::work(std::shared_ptr<Host> host, Job job) {
  auto found = co_await offload(shard_.env, [&job] { return mr::coordinator::run(job); });
  // A state that was thrown away meanwhile has forgotten that it asked.
  if (host == host_) tell(std::move(found));
}

GroupReplyTo GroupPartition::take_waiter(WaiterId waiter) {
  auto at = waiters_.find(waiter.v);
  if (at == waiters_.end()) return {};
  GroupReplyTo reply = std::move(at->second);
  waiters_.erase(at);
  return reply;
}

void GroupPartition::deliver(std::vector<GroupReply> replies) {
  for (GroupReply& one : replies) {
    if (one.waiter == kNobody) {
      std::visit(
          [this](auto& job) {
            if constexpr (requires { mr::coordinator::run(job); }) start(std::move(job));
          },
          one.answer);
      continue;
    }
    GroupReplyTo reply = take_waiter(one.waiter);
    MR_CHECK(reply != nullptr);
    reply(std::move(one.answer));
  }
}

void GroupPartition::arm_timer() {
  if (!host_ || !host_->loaded()) return;
  const TimePoint next = host_->live().deadlines.next();
  if (next >= timer_at_) return;
  shard_.env.executor.cancel_timer(timer_);
  timer_at_ = next;
  timer_ = shard_.env.executor.add_timer(next, [this] {
    timer_at_ = kForever;
    tell(TickEvent{});
  });
}

GroupStats GroupPartition::stats() const {
  GroupStats sum = past_;
  if (!host_ || !host_->loaded()) return sum;
  sum += now_;
  sum.groups += host_->live().groups.size() + host_->live().consumers.size();
  sum.offsets += host_->state().offsets;
  return sum;
}

bool GroupPartition::for_each_offset(
    const std::function<void(std::string_view, std::string_view, PartitionIndex, const StoredOffset&)>& look) const {
  if (!host_ || !host_->loaded()) return false;
  for (const auto& [group, durable] : host_->state().groups)
    for (const auto& [topic, partitions] : durable.offsets)
      for (const auto& [partition, stored] : partitions) look(group, topic, PartitionIndex{partition}, stored);
  return true;
}

}  // namespace mr::coordinator
