#pragma once
#include <map>
#include <memory>
#include <vector>

#include "metastore/journal.h"
#include "metastore/metastore.h"
#include "runtime/shards.h"

namespace mr::metastore {

/// The metastore of a single node: the whole state in memory on one home shard, each change committed to a journal on
/// the offload pool before anybody sees it. Writes run one after the other; reads never wait for the disk.
/// Life: open() on the home shard; stop() there before destruction, after everybody else has stopped.
class LocalMetastore final : public Metastore {
 public:
  /// Loads the journal. On `home`. The journal's calls run on `pool`: in production a pool with one thread of its own,
  /// so that metadata does not wait behind partitions. Errors: those of Journal::load.
  static Task<Result<std::unique_ptr<LocalMetastore>>> open(Shards& shards, ShardId home, OffloadPool& pool,
                                                            std::shared_ptr<Journal> journal);
  ~LocalMetastore() override;
  /// Ends waiting calls and lease timers. On the home shard. Leases keep their keys: their time starts again at open.
  Task<void> stop();

  Task<Result<RangeResult>> range(RangeRequest request) override;
  Task<Result<TransactionResult>> transact(Transaction transaction) override;
  Task<Result<Lease>> grant(Millis ttl) override;
  Task<Result<Millis>> keep_alive(LeaseId lease) override;
  Task<Result<void>> revoke(LeaseId lease) override;
  Task<Result<std::unique_ptr<Watch>>> watch(WatchRequest request) override;
  Task<Result<void>> compact(Revision revision) override;

 private:
  friend class LocalWatch;
  struct WatchLink;
  LocalMetastore(Shards& shards, ShardId home, OffloadPool& pool, std::shared_ptr<Journal> journal, Snapshot snapshot);

  Result<void> usable() const;
  /// Runs one write: decide, commit, apply, alone. Home shard.
  template <class Decide>
  Task<Result<void>> write(Decide decide);
  void applied(const Change& change);
  Task<void> expire_leases();

  Task<Result<TransactionResult>> transact_here(Transaction transaction);
  Task<Result<Lease>> grant_here(Millis ttl);
  Task<Result<void>> revoke_here(LeaseId lease);
  Result<Millis> keep_alive_here(LeaseId lease);

  static constexpr std::size_t kWaitingMax = 4096;

  Shards& shards_;
  const ShardId home_;
  Env env_;  ///< of the home shard, with our pool
  std::shared_ptr<Journal> journal_;
  State state_;
  bool stopped_ = false;
  bool failed_ = false;  ///< a commit had an unknown outcome: no more writes until the next open
  std::size_t waiting_ = 0;
  Semaphore writer_{1};
  std::map<LeaseId, TimePoint> lease_ends_;
  Event leases_changed_;
  std::vector<std::weak_ptr<WatchLink>> watches_;
  Scope scope_;
};

}  // namespace mr::metastore
