#include "replication/group_commit.h"

#include "base/check.h"
#include "base/log.h"
#include "runtime/shards.h"

namespace mr::replication {

namespace {
/// Statements wait so long for a block that has to be synced anyway.
constexpr Duration kStatementsWait = Millis(10);
constexpr Duration kSyncEvery = Millis(1000);
constexpr Duration kRetryGrowthAfter = Millis(1000);
/// Files that one half syncs at a time: it must not crowd out the syncs that somebody waits for.
constexpr std::size_t kDestageAtOnce = 2;
}  // namespace

CommitStats& CommitStats::operator+=(const CommitStats& other) {
  blocks += other.blocks;
  syncs += other.syncs;
  sync_nanoseconds += other.sync_nanoseconds;
  carried_batches += other.carried_batches;
  carried_bytes += other.carried_bytes;
  statements += other.statements;
  destages += other.destages;
  waiting_bytes += other.waiting_bytes;
  for (std::size_t i = 0; i < kRefusals; ++i) refused[i] += other.refused[i];
  return *this;
}

GroupCommit::GroupCommit(Env& env, std::unique_ptr<storage::CommitJournal> journal, Options options)
    : env_(env),
      journal_(std::move(journal)),
      options_(std::move(options)),
      synced_at_(env.now()),
      scope_(env.executor) {}

GroupCommit::~GroupCommit() { MR_CHECK(!writing_ && members_.empty() && lazy_timer_.v == 0 && sync_timer_.v == 0); }

void GroupCommit::join(TopicId topic, PartitionIndex partition, CommitMember& member) {
  bool fresh = members_.emplace(Key{topic, partition}, &member).second;
  MR_CHECK(fresh);
}

void GroupCommit::disregard(CommitMember& member) {
  member.part_ = CommitMember::kNowhere;
  for (auto* parts : {&next_, &in_flight_})
    for (Part& part : *parts)
      if (part.member == &member) part.member = nullptr;
}

void GroupCommit::leave(TopicId topic, PartitionIndex partition, CommitMember& member, bool safe) {
  auto at = members_.find(Key{topic, partition});
  if (at == members_.end() || at->second != &member) return;
  disregard(member);
  members_.erase(at);
  if (!safe) keeps_ = true;
  progress();
}

bool GroupCommit::carry(CommitMember& member, const storage::JournalRun& run, ByteView batch) {
  if (batch.size() > options_.carry_bytes_max) {
    count_refusal(CommitStats::too_large);
    return false;
  }
  if (stopped_) return false;
  retry_growth();
  if (journal_->wants_half()) begin_half();
  if (!journal_->add_carried(run, batch)) {
    count_refusal(CommitStats::no_room);
    env_.probe.hit("commit_journal_no_room");
    return false;
  }
  ++stats_.carried_batches;
  stats_.carried_bytes += batch.size();
  stats_.waiting_bytes += batch.size();
  if (member.part_ == CommitMember::kNowhere) {
    member.part_ = next_.size();
    next_.push_back({&member, run.base, run.next});
  } else {
    next_[member.part_].end = run.next;
  }
  start_writing();
  return true;
}

void GroupCommit::synced(const storage::JournalRun& run) {
  if (stopped_) return;
  ++stats_.statements;
  journal_->add_durable(run);
  last_statement_ = run;
  write_lazily();
}

void GroupCommit::retry_growth() {
  if (journal_->growth_refused() && env_.now() >= retry_growth_at_) journal_->retry_growth();
}

void GroupCommit::write_lazily() {
  if (stopped_ || writing_ || lazy_timer_.v != 0 || !journal_->has_work()) return;
  TimePoint due = env_.now() + kStatementsWait;
  if (journal_->growth_refused()) due = std::max(due, retry_growth_at_);
  lazy_timer_ = env_.executor.add_timer(due, [this] {
    lazy_timer_ = TimerId{};
    start_writing();
  });
}

void GroupCommit::start_writing() {
  if (writing_ || stopped_) return;
  writing_ = true;
  scope_.spawn("commit journal", write_blocks());
}

Task<void> GroupCommit::write_blocks() {
  do {
    retry_growth();
    if (journal_->wants_half()) begin_half();
    auto block = journal_->take_block();
    if (!block) break;
    std::swap(next_, in_flight_);
    for (Part& part : in_flight_)
      if (part.member != nullptr) part.member->part_ = CommitMember::kNowhere;
    const std::uint64_t taken_bytes = stats_.waiting_bytes;
    TimePoint before = env_.now();
    bool sync = block->needs_sync() || before - synced_at_ >= kSyncEvery;
    Result<void> outcome = co_await offload(env_, [&]() -> Result<void> {
      MR_TRY_VOID(block->write());
      return sync ? block->sync() : Result<void>{};
    });
    if (sync && outcome.ok()) {
      synced_at_ = env_.now();
      unsynced_.reset();
      ++stats_.syncs;
      stats_.sync_nanoseconds += static_cast<std::uint64_t>((synced_at_ - before).count());
    }
    journal_->block_done(std::move(block), outcome);
    block_written(outcome, sync);
    stats_.waiting_bytes = outcome.ok() ? stats_.waiting_bytes - taken_bytes : 0;
  } while (journal_->carries() && !stopped_);
  writing_ = false;
  write_lazily();
}

void GroupCommit::block_written(const Result<void>& outcome, bool synced) {
  if (journal_->failure()) {
    tell_failure(*journal_->failure());
    return;
  }
  if (outcome.ok()) {
    ++stats_.blocks;
    if (!synced) {
      unsynced_ = last_statement_;
      arm_sync();
    }
    for (std::size_t i = 0; i < in_flight_.size(); ++i) {
      Part part = in_flight_[i];
      if (part.member != nullptr) part.member->on_carried(part.begin, part.end);
    }
    in_flight_.clear();
    return;
  }
  // No room or no descriptor. What was to follow in the next block went with it: nothing is carried behind a hole.
  env_.probe.hit("commit_journal_refused");
  retry_growth_at_ = env_.now() + kRetryGrowthAfter;
  in_flight_.insert(in_flight_.end(), next_.begin(), next_.end());
  next_.clear();
  for (std::size_t i = 0; i < in_flight_.size(); ++i) {
    CommitMember* member = in_flight_[i].member;
    if (member == nullptr) continue;
    member->part_ = CommitMember::kNowhere;
    member->on_not_carried();
  }
  in_flight_.clear();
}

void GroupCommit::tell_failure(Error why) {
  if (auto tell = std::exchange(options_.on_failure, nullptr)) tell(why);
  if (stopped_) return;
  log_error("replication", "commit journal failed: its log directory is offline until restart",
            {{"shard", env_.shard.v}, {"error", why.message()}});
  std::vector<Key> all;
  for (auto& [key, member] : members_) all.push_back(key);
  for (const Key& key : all) {
    auto at = members_.find(key);
    if (at != members_.end()) at->second->on_commit_failure(why);
  }
  for (auto* parts : {&next_, &in_flight_}) {
    for (Part& part : *parts)
      if (part.member != nullptr) part.member->part_ = CommitMember::kNowhere;
    parts->clear();
  }
  progress();
}

/// Statements that no sync has covered: one goes out once more, with a sync behind it, if no other block comes by.
void GroupCommit::arm_sync() {
  if (stopped_ || sync_timer_.v != 0) return;
  sync_timer_ = env_.executor.add_timer(synced_at_ + kSyncEvery, [this] {
    sync_timer_ = TimerId{};
    if (!unsynced_) return;
    if (env_.now() - synced_at_ < kSyncEvery) return arm_sync();
    journal_->add_durable(*unsynced_);
    start_writing();
  });
}

void GroupCommit::begin_half() {
  env_.probe.hit("commit_journal_half_full");
  std::vector<storage::JournalRun> checkpoint;
  checkpoint.reserve(members_.size());
  for (auto& [key, member] : members_)
    if (auto run = member->statement()) checkpoint.push_back(*run);
  scope_.spawn("destage", destage(journal_->begin_half(std::move(checkpoint))));
}

Task<void> GroupCommit::destage(storage::CommitJournal::Half half) {
  std::vector<storage::CommitJournal::Carried> all = journal_->carried_in(half);
  std::size_t next = 0;
  bool safe = true;
  Scope workers(env_.executor);
  for (std::size_t i = 0; i < std::min(kDestageAtOnce, all.size()); ++i)
    workers.spawn("destage", destage_some(all, next, safe));
  co_await workers.drained();
  if (stopped_) co_return;
  if (!safe || keeps_) {
    log_warn("replication", "commit journal keeps what could not be synced elsewhere; it is not used any more",
             {{"shard", env_.shard.v}});
    co_return;
  }
  ++stats_.destages;
  env_.probe.hit("commit_journal_destaged");
  journal_->release(half);
  start_writing();
}

Task<void> GroupCommit::destage_some(std::vector<storage::CommitJournal::Carried>& all, std::size_t& next, bool& safe) {
  while (!stopped_ && safe && next < all.size()) {
    storage::CommitJournal::Carried one = all[next++];
    if (!co_await destage_one({one.topic, one.partition}, one.end)) safe = false;
  }
}

/// False when it cannot be done.
Task<bool> GroupCommit::destage_one(Key key, Offset end) {
  while (!stopped_) {
    auto at = members_.find(key);
    if (at == members_.end()) break;  // it left: keeps_ says whether safely
    CommitMember::Destaging state = at->second->destage(end);
    if (state == CommitMember::Destaging::failed) co_return false;
    if (state == CommitMember::Destaging::synced) break;
    (void)co_await progress_.wait();
  }
  co_return true;
}

Task<void> GroupCommit::stop() {
  stopped_ = true;
  env_.executor.cancel_timer(std::exchange(lazy_timer_, TimerId{}));
  env_.executor.cancel_timer(std::exchange(sync_timer_, TimerId{}));
  progress();
  co_await scope_.drained();
}

}  // namespace mr::replication
