#pragma once
#include <deque>
#include <map>
#include <set>

#include "metastore/metastore.h"

namespace mr::metastore {

/// What one write does to the store: decided, made durable, then applied, in this order.
struct Change {
  Revision revision;               ///< of its events; the present one when there are none
  std::vector<WatchEvent> events;  ///< by order of operations; one per key
  std::optional<Lease> granted;
  LeaseId revoked;  ///< 0: none
  bool empty() const { return events.empty() && !granted && revoked.v == 0; }
};

struct Snapshot {
  Revision revision;
  std::vector<KeyValue> items;
  std::vector<Lease> leases;
};

/// The store as a plain state machine: no I/O, no time. Deciding reads only; apply() is the one way to change it.
class State {
 public:
  State() = default;
  explicit State(Snapshot snapshot);

  Revision revision() const { return revision_; }
  Revision compacted() const { return compacted_; }
  const std::map<LeaseId, Millis>& leases() const { return leases_; }

  Result<RangeResult> range(const RangeRequest& request) const;
  struct Decided {
    Change change;
    TransactionResult result;
  };
  Result<Decided> decide(const Transaction& transaction) const;
  Result<Change> decide_revoke(LeaseId lease) const;
  void apply(const Change& change);

  /// Events of the range from revision `from` (inclusive) on. Errors: not_found (compacted).
  Result<WatchBatch> events_since(const WatchRequest& range, Revision from) const;
  Result<void> compact(Revision revision);

  /// History is kept up to this many events; older revisions are compacted on their own.
  static constexpr std::size_t kHistoryMax = 10'000;

 private:
  struct Revised {
    Revision revision;
    std::vector<WatchEvent> events;
  };
  std::map<std::string, KeyValue> items_;
  Revision revision_;
  Revision compacted_;
  std::deque<Revised> history_;  ///< revisions above compacted_, without gaps
  std::size_t history_events_ = 0;
  std::map<LeaseId, Millis> leases_;
  std::map<LeaseId, std::set<std::string>> lease_keys_;
};

}  // namespace mr::metastore
