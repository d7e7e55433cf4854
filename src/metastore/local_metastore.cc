#include "metastore/local_metastore.h"

#include <algorithm>

#include "base/log.h"

namespace mr::metastore {

/// Between the store and one watch: the store pokes, the watch fetches. Everything in it belongs to the watch's shard.
struct LocalMetastore::WatchLink {
  Executor& reader;
  Event poked;
  std::uint64_t pokes = 0;
  bool closed = false;
  explicit WatchLink(Executor& executor) : reader(executor) {}
};

class LocalWatch final : public Watch {
 public:
  LocalWatch(LocalMetastore& store, WatchRequest request, std::shared_ptr<LocalMetastore::WatchLink> link)
      : store_(store), request_(std::move(request)), next_(request_.start), link_(std::move(link)) {}

  Task<Result<WatchBatch>> next(TimePoint deadline) override {
    for (;;) {
      if (link_->closed) co_return Error(Errc::shutting_down, "the metastore has stopped");
      // A poke that comes while we fetch may or may not be in what we get: look again then.
      const std::uint64_t pokes = link_->pokes;
      auto fetch = [this] { return store_.state_.events_since(request_, next_); };
      Result<WatchBatch> batch = co_await store_.shards_.call(store_.home_, std::move(fetch));
      if (!batch.ok()) co_return std::move(batch).error();
      next_ = Revision{std::max(next_.v, batch->revision.v + 1)};
      if (!batch->events.empty()) co_return std::move(*batch);
      while (pokes == link_->pokes && !link_->closed) MR_CO_TRY_VOID(co_await link_->poked.wait(deadline));
    }
  }

 private:
  LocalMetastore& store_;
  WatchRequest request_;
  Revision next_;
  std::shared_ptr<LocalMetastore::WatchLink> link_;
};

namespace {

Env with_pool(const Env& env, OffloadPool& pool) {
  return Env{env.shard, env.executor, env.clock, env.rng, env.files, env.network, pool, env.probe};
}

/// Gives the writer's turn back however the write ends.
class Turn {
 public:
  explicit Turn(Semaphore& writer) : writer_(writer) {}
  Turn(const Turn&) = delete;
  ~Turn() { writer_.release(1); }

 private:
  Semaphore& writer_;
};

}  // namespace

LocalMetastore::LocalMetastore(Shards& shards, ShardId home, OffloadPool& pool, std::shared_ptr<Journal> journal,
                               Snapshot snapshot)
    : shards_(shards),
      home_(home),
      env_(with_pool(shards.env(home), pool)),
      journal_(std::move(journal)),
      state_(std::move(snapshot)),
      scope_(shards.env(home).executor) {}

LocalMetastore::~LocalMetastore() { MR_CHECK(stopped_); }

Task<Result<std::unique_ptr<LocalMetastore>>> LocalMetastore::open(Shards& shards, ShardId home, OffloadPool& pool,
                                                                   std::shared_ptr<Journal> journal) {
  Env env = with_pool(shards.env(home), pool);
  auto load = [&journal] { return journal->load(); };
  MR_CO_TRY(Snapshot snapshot, co_await offload(env, std::move(load)));
  std::unique_ptr<LocalMetastore> store(
      new LocalMetastore(shards, home, pool, std::move(journal), std::move(snapshot)));
  // Nobody could renew while we were away: every lease gets its whole time again.
  for (const auto& [id, ttl] : store->state_.leases()) store->lease_ends_[id] = env.now() + ttl;
  store->scope_.spawn("metastore leases", store->expire_leases());
  co_return std::move(store);
}

Task<void> LocalMetastore::stop() {
  stopped_ = true;
  co_await scope_.stop();
  for (const auto& weak : watches_)
    if (auto link = weak.lock()) {
      Executor& reader = link->reader;
      reader.post([link = std::move(link)] {
        link->closed = true;
        link->poked.notify_all();
      });
    }
  watches_.clear();
  // A write that is at the journal finishes; those that wait for their turn see stopped_.
  (void)co_await writer_.acquire(1);
  writer_.release(1);
  // Closing syncs and tidies the file: not on the shard.
  auto close = [this] { journal_.reset(); };
  co_await offload(env_, std::move(close));
}

Result<void> LocalMetastore::usable() const {
  if (stopped_) return Error(Errc::shutting_down, "the metastore has stopped");
  if (failed_) return Error(Errc::disk_failed, "the metadata file failed; restart to use it again");
  return {};
}

template <class Decide>
Task<Result<void>> LocalMetastore::write(Decide decide) {
  MR_CO_TRY_VOID(usable());
  if (waiting_ >= kWaitingMax) co_return Error(Errc::back_pressured, "too many metadata changes wait");
  ++waiting_;
  Result<void> acquired = co_await writer_.acquire(1);
  --waiting_;
  if (!acquired.ok()) co_return std::move(acquired).error();
  Turn turn(writer_);
  MR_CO_TRY_VOID(usable());
  MR_CO_TRY(Change change, decide());
  if (change.empty()) co_return Result<void>{};
  auto commit = [this, &change] { return journal_->commit(change); };
  Result<void> committed = co_await offload(env_, std::move(commit));
  if (!committed.ok()) {
    if (committed.code() == Errc::disk_full) co_return std::move(committed).error();
    failed_ = true;
    log_error("metastore", "commit failed", {{"error", committed.error().message()}});
    co_return Error(Errc::unknown_outcome, committed.error().message());
  }
  applied(change);
  co_return Result<void>{};
}

void LocalMetastore::applied(const Change& change) {
  state_.apply(change);
  if (change.granted) lease_ends_[change.granted->id] = env_.now() + change.granted->ttl;
  if (change.revoked.v != 0) lease_ends_.erase(change.revoked);
  if (change.granted || change.revoked.v != 0) leases_changed_.notify_all();
  if (change.events.empty()) return;
  std::erase_if(watches_, [](const auto& weak) { return weak.expired(); });
  for (const auto& weak : watches_)
    if (auto link = weak.lock()) {
      Executor& reader = link->reader;
      reader.post([link = std::move(link)] {
        ++link->pokes;
        link->poked.notify_all();
      });
    }
}

Task<void> LocalMetastore::expire_leases() {
  while (!stopped_) {
    TimePoint next = kForever;
    LeaseId due;
    for (const auto& [id, end] : lease_ends_)
      if (end < next) {
        next = end;
        due = id;
      }
    if (next > env_.now()) {
      Result<void> waited = co_await leases_changed_.wait(next);
      if (!waited.ok() && waited.code() != Errc::timed_out) co_return;
      continue;
    }
    // Off the list first: a failed revoke is tried again a little later, and nobody can renew what has run out.
    lease_ends_.erase(due);
    Result<void> revoked = co_await revoke_here(due);
    if (!revoked.ok() && revoked.code() == Errc::disk_full) lease_ends_[due] = env_.now() + std::chrono::seconds(1);
  }
}

Task<Result<RangeResult>> LocalMetastore::range(RangeRequest request) {
  auto read = [this, &request]() -> Result<RangeResult> {
    if (stopped_) return Error(Errc::shutting_down, "the metastore has stopped");
    return state_.range(request);
  };
  co_return co_await shards_.call(home_, std::move(read));
}

Task<Result<TransactionResult>> LocalMetastore::transact(Transaction transaction) {
  auto run = [this, &transaction] { return transact_here(std::move(transaction)); };
  co_return co_await shards_.call(home_, std::move(run));
}

Task<Result<TransactionResult>> LocalMetastore::transact_here(Transaction transaction) {
  TransactionResult result;
  auto decide = [this, &transaction, &result]() -> Result<Change> {
    MR_TRY(auto decided, state_.decide(transaction));
    result = std::move(decided.result);
    return std::move(decided.change);
  };
  MR_CO_TRY_VOID(co_await write(std::move(decide)));
  co_return std::move(result);
}

Task<Result<Lease>> LocalMetastore::grant(Millis ttl) {
  auto run = [this, ttl] { return grant_here(ttl); };
  co_return co_await shards_.call(home_, std::move(run));
}

Task<Result<Lease>> LocalMetastore::grant_here(Millis ttl) {
  if (ttl <= Millis(0) || ttl > std::chrono::hours(24 * 365))
    co_return Error(Errc::invalid_argument, "a lease lasts more than 0 ms and at most a year");
  Lease lease{.ttl = ttl};
  auto decide = [this, &lease]() -> Result<Change> {
    do lease.id.v = static_cast<std::int64_t>(env_.rng.next() >> 1);
    while (lease.id.v == 0 || state_.leases().contains(lease.id));
    return Change{.revision = state_.revision(), .granted = lease};
  };
  MR_CO_TRY_VOID(co_await write(std::move(decide)));
  co_return lease;
}

Task<Result<Millis>> LocalMetastore::keep_alive(LeaseId lease) {
  auto run = [this, lease] { return keep_alive_here(lease); };
  co_return co_await shards_.call(home_, std::move(run));
}

Result<Millis> LocalMetastore::keep_alive_here(LeaseId lease) {
  MR_TRY_VOID(usable());
  auto at = lease_ends_.find(lease);
  if (at == lease_ends_.end()) return Error(Errc::not_found, "no such lease");
  const Millis ttl = state_.leases().at(lease);
  at->second = env_.now() + ttl;
  return ttl;
}

Task<Result<void>> LocalMetastore::revoke(LeaseId lease) {
  auto run = [this, lease] { return revoke_here(lease); };
  co_return co_await shards_.call(home_, std::move(run));
}

Task<Result<void>> LocalMetastore::revoke_here(LeaseId lease) {
  auto decide = [this, lease] { return state_.decide_revoke(lease); };
  co_return co_await write(std::move(decide));
}

Task<Result<std::unique_ptr<Watch>>> LocalMetastore::watch(WatchRequest request) {
  const TaskContext& context = co_await current_context();
  auto link = std::make_shared<WatchLink>(*context.executor);
  auto join = [this, &request, &link]() -> Result<void> {
    MR_TRY_VOID(usable());
    if (request.start.v == 0) request.start.v = state_.revision().v + 1;
    if (request.start <= state_.compacted()) return Error(Errc::not_found, "the revision has been compacted");
    watches_.push_back(link);
    return {};
  };
  MR_CO_TRY_VOID(co_await shards_.call(home_, std::move(join)));
  std::unique_ptr<Watch> result = std::make_unique<LocalWatch>(*this, std::move(request), std::move(link));
  co_return std::move(result);
}

Task<Result<void>> LocalMetastore::compact(Revision revision) {
  auto run = [this, revision]() -> Result<void> {
    MR_TRY_VOID(usable());
    return state_.compact(revision);
  };
  co_return co_await shards_.call(home_, std::move(run));
}

}  // namespace mr::metastore
