#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/memory_account.h"
#include "model/ids.h"
#include "runtime/env.h"
#include "wire/api/fetch.h"

namespace mr::server::kafka {

/// One partition of a session: what the reader asked last, and what it was told last.
struct SessionPartition {
  PartitionIndex index;
  LeaderEpoch current_epoch = kNoLeaderEpoch;
  LeaderEpoch last_fetched_epoch = kNoLeaderEpoch;
  std::int32_t bytes_max = 0;
  Offset offset{0};
  Offset high_watermark{-1};
  Offset last_stable{-1};
  Offset log_start{-1};

  void ask(const wire::fetch::FetchPartition& asked);
  /// Whether `answer` has something that the reader was not told yet (traps.md 66), which it then counts as told.
  bool tell(const wire::fetch::PartitionData& answer);
};

/// What one reader goes on asking for, so that it has to name only what changes (KIP-227). Topics are by name up to
/// version 12 and by id from 13 on. Shard: that of the connection which began it.
class FetchSession {
 public:
  struct Topic {
    TopicId id;                                ///< of sessions by id
    std::vector<SessionPartition> partitions;  ///< in order of index
  };
  /// The key of a topic in topics(): its name, or the bytes of its id.
  using Key = std::string;

  explicit FetchSession(bool by_id) : by_id_(by_id) {}

  bool by_id() const { return by_id_; }
  std::int32_t id() const { return id_; }
  /// That the next request must have.
  std::int32_t epoch() const { return epoch_; }
  void advance() { epoch_ = epoch_after(epoch_); }
  /// 1, 2, ... and from the largest back to 1.
  static constexpr std::int32_t epoch_after(std::int32_t epoch) { return epoch == INT32_MAX ? 1 : epoch + 1; }

  /// Takes over what the request asks anew and drops what it forgets.
  void update(const wire::fetch::Request& request);
  std::map<Key, Topic, std::less<>>& topics() { return topics_; }
  SessionPartition* find(std::string_view name, TopicId id, PartitionIndex index);
  std::size_t partition_count() const { return count_; }
  /// Memory it takes; and how much more it would take after `request` at most.
  std::size_t bytes() const;
  static std::size_t bytes_to_add(const wire::fetch::Request& request);

  /// Where reading begins, in the order in which all of it is read: whoever got records goes behind all others.
  std::size_t first = 0;

 private:
  friend class FetchSessions;
  Topic* topic(std::string_view name, TopicId id);

  bool by_id_;
  std::int32_t id_ = 0;
  std::int32_t epoch_ = 1;
  std::map<Key, Topic, std::less<>> topics_;
  std::size_t count_ = 0;
  MemoryCharge charge_;
  TimePoint created_{};
  TimePoint last_used_{};
};

/// Written by one shard, read by any.
struct FetchSessionCounters {
  std::atomic<std::uint64_t> sessions{0};
  std::atomic<std::uint64_t> partitions{0};
  std::atomic<std::uint64_t> evicted{0};
};

/// The sessions of one shard, within a number and a memory account. When it is full a reader gets none, and every fetch
/// of it is a full one, unless another session may go: one that nobody used for kEvictionAge, or one that has been
/// there so long and is smaller (as in Kafka, where many partitions gain most from a session). Ids of the shards never
/// meet: id % shards is the shard.
class FetchSessions {
 public:
  /// min.incremental.fetch.session.eviction.ms, which Kafka does not let anybody change.
  static constexpr Duration kEvictionAge = std::chrono::minutes(2);

  FetchSessions(ShardId shard, std::uint32_t shards, std::size_t sessions_max, MemoryAccount& account, Rng& rng)
      : shard_(shard), shards_(shards), sessions_max_(sessions_max), account_(account), rng_(rng) {}
  FetchSessions(const FetchSessions&) = delete;

  ShardId home_of(std::int32_t id) const { return ShardId{static_cast<std::uint32_t>(id) % shards_}; }

  /// Gives `session` an id and keeps it; null when there is no room.
  std::shared_ptr<FetchSession> add(std::shared_ptr<FetchSession> session, TimePoint now);
  /// Null: unknown here.
  std::shared_ptr<FetchSession> find(std::int32_t id) const;
  /// Lets a request change a session that was found. False: there is no memory for what it adds, and the session is
  /// gone; the reader begins a new one.
  bool update(FetchSession& session, const wire::fetch::Request& request, TimePoint now);
  void remove(std::int32_t id);

  const FetchSessionCounters& counters() const { return counters_; }

 private:
  bool evict_one(std::size_t partitions, TimePoint now);
  void unlist(const FetchSession& session);
  void list(FetchSession& session, TimePoint now);
  void count();

  ShardId shard_;
  std::uint32_t shards_;
  std::size_t sessions_max_;
  MemoryAccount& account_;
  Rng& rng_;
  std::unordered_map<std::int32_t, std::shared_ptr<FetchSession>> sessions_;
  std::set<std::pair<TimePoint, std::int32_t>> by_use_;
  std::set<std::pair<std::size_t, std::int32_t>> old_by_size_;  ///< those that a larger one may push out
  std::size_t partitions_ = 0;
  FetchSessionCounters counters_;
};

}  // namespace mr::server::kafka
