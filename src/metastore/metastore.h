#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"
#include "runtime/task.h"

namespace mr::metastore {

/// Number of a change of the whole store; grows by one with each transaction that writes. 0 is before the first.
using Revision = Id<struct RevisionTag, std::int64_t>;
/// 0 is no lease.
using LeaseId = Id<struct LeaseIdTag, std::int64_t>;

/// etcd's limits, kept by every implementation so that code written on one node works in a cluster.
inline constexpr std::size_t kOperationsMax = 128;
inline constexpr std::size_t kRequestBytesMax = 3 * 512 * 1024;

struct KeyValue {
  std::string key;
  std::string value;
  Revision create_revision;  ///< of the put that made it after it was absent
  Revision mod_revision;     ///< of the last put
  std::int64_t version = 0;  ///< puts since it was made, from 1
  LeaseId lease;
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

/// Keys from `key` up to `range_end` (exclusive); an empty range_end means just `key`.
struct RangeRequest {
  std::string key;
  std::string range_end;
  std::int64_t limit = 0;  ///< 0: no limit
  Revision revision;       ///< as it was then; 0: now
};
struct RangeResult {
  std::vector<KeyValue> items;  ///< in order of key
  bool more = false;            ///< the limit cut something off
  std::int64_t count = 0;       ///< keys in the range, whatever the limit
  Revision revision;            ///< of the store when it was read
};

/// One guard. An absent key has version, create_revision and mod_revision 0 and an empty value.
struct Compare {
  enum class Target { version, create_revision, mod_revision, value };
  enum class Relation { equal, not_equal, less, greater };
  std::string key;
  Target target = Target::version;
  Relation relation = Relation::equal;
  std::int64_t number = 0;
  std::string value;

  static Compare absent(std::string key) { return {.key = std::move(key)}; }
  static Compare unchanged(const KeyValue& kv) {
    return {.key = kv.key, .target = Target::mod_revision, .number = kv.mod_revision.v};
  }
};

struct Put {
  std::string key;
  std::string value;
  LeaseId lease;
};
struct Delete {
  std::string key;
  std::string range_end;
};
using Operation = std::variant<Put, Delete, RangeRequest>;

/// When every guard holds the success operations are done, otherwise those of failure: all or nothing, in order, seen
/// by everybody at one revision. No key may be written twice in one branch.
struct Transaction {
  std::vector<Compare> compares;
  std::vector<Operation> success;
  std::vector<Operation> failure;
};
struct DeleteResult {
  std::int64_t deleted = 0;
};
struct PutResult {};
struct TransactionResult {
  bool succeeded = false;  ///< the guards held
  Revision revision;
  std::vector<std::variant<PutResult, DeleteResult, RangeResult>> results;  ///< of the branch that ran, in order
};

/// One change of one key.
struct WatchEvent {
  bool removed = false;
  KeyValue kv;                       ///< after a removal: key and mod_revision of the removal only
  std::optional<KeyValue> previous;  ///< what was there before
};
/// All matching changes of one or more revisions, oldest first; a revision is never cut in two.
struct WatchBatch {
  Revision revision;  ///< up to which everything has been told
  std::vector<WatchEvent> events;
};

/// Follows a range from a revision on. Shard: the one that reads it. At most one next() at a time.
class Watch {
 public:
  virtual ~Watch() = default;
  /// Waits for changes. Events come once, in order, without gaps; in a cluster they may come late.
  /// Errors: not_found (the revision was compacted: read the range again and watch from there), timed_out, cancelled,
  /// shutting_down.
  virtual Task<Result<WatchBatch>> next(TimePoint deadline = kForever) = 0;
};
struct WatchRequest {
  std::string key;
  std::string range_end;
  Revision start;  ///< first revision of interest; 0: from the next change on
};

struct Lease {
  LeaseId id;
  Millis ttl{};
};

/// The metadata store: one key space with revisions, guarded transactions, leases and watches; etcd v3's model.
/// Any shard; calls of one shard may overlap. Common errors: unknown_outcome (a write may or may not have happened),
/// too_large and invalid_argument (limits above), back_pressured, disk_failed, disk_full, cancelled, shutting_down.
class Metastore {
 public:
  virtual ~Metastore() = default;
  /// Linearizable: sees every transaction that was answered before. Errors: not_found (revision compacted),
  /// invalid_argument (revision in the future).
  virtual Task<Result<RangeResult>> range(RangeRequest request) = 0;
  /// On return with a value the change is durable. Errors: not_found (a put names an unknown lease).
  virtual Task<Result<TransactionResult>> transact(Transaction transaction) = 0;
  /// Keys put with the lease go away when nobody has renewed it for `ttl`.
  virtual Task<Result<Lease>> grant(Millis ttl) = 0;
  /// The lease's time starts again; answers its ttl. Errors: not_found (expired or revoked).
  virtual Task<Result<Millis>> keep_alive(LeaseId lease) = 0;
  /// Removes the lease and its keys at one revision. Errors: not_found.
  virtual Task<Result<void>> revoke(LeaseId lease) = 0;
  virtual Task<Result<std::unique_ptr<Watch>>> watch(WatchRequest request) = 0;
  /// Forgets how the store looked before `revision`. Errors: not_found (already forgotten), invalid_argument (future).
  virtual Task<Result<void>> compact(Revision revision) = 0;
};

/// range_end of all keys that start with `prefix`.
std::string prefix_end(std::string_view prefix);

}  // namespace mr::metastore
