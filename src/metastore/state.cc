#include "metastore/state.h"

#include <algorithm>

namespace mr::metastore {

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::string(1, '\0');  // every key from here on
  ++end.back();
  return end;
}

namespace {

/// As etcd: an end of one zero byte means "no end".
bool in_range(std::string_view key, std::string_view from, std::string_view end) {
  if (end.empty()) return key == from;
  if (key < from) return false;
  return end == std::string_view("\0", 1) || key < end;
}

/// The items of a map as seen through writes that have not been applied.
class View {
 public:
  explicit View(const std::map<std::string, KeyValue>& base) : base_(base) {}

  const KeyValue* find(const std::string& key) const {
    if (auto at = changed_.find(key); at != changed_.end()) return at->second ? &*at->second : nullptr;
    auto at = base_.find(key);
    return at == base_.end() ? nullptr : &at->second;
  }
  void set(KeyValue kv) {
    auto key = kv.key;
    changed_[std::move(key)] = std::move(kv);
  }
  void remove(const std::string& key) { changed_[key] = std::nullopt; }

  std::vector<const KeyValue*> select(const std::string& from, const std::string& end) const {
    std::vector<const KeyValue*> found;
    for (auto at = base_.lower_bound(from); at != base_.end() && in_range(at->first, from, end); ++at)
      if (!changed_.contains(at->first)) found.push_back(&at->second);
    for (auto at = changed_.lower_bound(from); at != changed_.end() && in_range(at->first, from, end); ++at)
      if (at->second) found.push_back(&*at->second);
    if (!changed_.empty()) std::ranges::sort(found, {}, [](const KeyValue* kv) -> auto& { return kv->key; });
    return found;
  }

 private:
  const std::map<std::string, KeyValue>& base_;
  std::map<std::string, std::optional<KeyValue>> changed_;
};

RangeResult cut(const std::vector<const KeyValue*>& found, std::int64_t limit, Revision revision) {
  RangeResult result{.count = static_cast<std::int64_t>(found.size()), .revision = revision};
  for (const KeyValue* kv : found) {
    if (limit > 0 && static_cast<std::int64_t>(result.items.size()) == limit) {
      result.more = true;
      break;
    }
    result.items.push_back(*kv);
  }
  return result;
}

template <class T>
bool related(const T& a, Compare::Relation relation, const T& b) {
  switch (relation) {
    case Compare::Relation::equal:
      return a == b;
    case Compare::Relation::not_equal:
      return a != b;
    case Compare::Relation::less:
      return a < b;
    case Compare::Relation::greater:
      return a > b;
  }
  MR_CHECK(false && "no such relation");
}

bool holds(const Compare& guard, const KeyValue* kv) {
  static const KeyValue kAbsent;
  if (kv == nullptr) kv = &kAbsent;
  switch (guard.target) {
    case Compare::Target::version:
      return related(kv->version, guard.relation, guard.number);
    case Compare::Target::create_revision:
      return related(kv->create_revision.v, guard.relation, guard.number);
    case Compare::Target::mod_revision:
      return related(kv->mod_revision.v, guard.relation, guard.number);
    case Compare::Target::value:
      return related(kv->value, guard.relation, guard.value);
  }
  MR_CHECK(false && "no such target");
}

/// Sizes and shapes, which do not depend on the state.
Result<void> check_branch(const std::vector<Operation>& branch, std::size_t& bytes) {
  if (branch.size() > kOperationsMax) return Error(Errc::too_large, "too many operations in one transaction");
  std::set<std::string_view> put;
  std::vector<const Delete*> deleted;
  for (const auto& operation : branch) {
    if (const auto* one = std::get_if<Put>(&operation)) {
      bytes += one->key.size() + one->value.size();
      if (one->key.empty()) return Error(Errc::invalid_argument, "a put without key");
      if (!put.insert(one->key).second) return Error(Errc::invalid_argument, "one key put twice: " + one->key);
    } else if (const auto* removal = std::get_if<Delete>(&operation)) {
      bytes += removal->key.size() + removal->range_end.size();
      if (removal->key.empty()) return Error(Errc::invalid_argument, "a delete without key");
      deleted.push_back(removal);
    } else {
      bytes += std::get<RangeRequest>(operation).key.size();
    }
  }
  for (const Delete* removal : deleted)
    for (auto key : put)
      if (in_range(key, removal->key, removal->range_end))
        return Error(Errc::invalid_argument, "one key put and deleted: " + std::string(key));
  return {};
}

Result<void> check_limits(const Transaction& transaction) {
  std::size_t bytes = 0;
  if (transaction.compares.size() > kOperationsMax)
    return Error(Errc::too_large, "too many compares in one transaction");
  for (const auto& guard : transaction.compares) bytes += guard.key.size() + guard.value.size();
  MR_TRY_VOID(check_branch(transaction.success, bytes));
  MR_TRY_VOID(check_branch(transaction.failure, bytes));
  if (bytes > kRequestBytesMax) return Error(Errc::too_large, "the transaction is too large");
  return {};
}

std::optional<KeyValue> copy(const KeyValue* kv) { return kv ? std::optional(*kv) : std::nullopt; }

}  // namespace

State::State(Snapshot snapshot) : revision_(snapshot.revision), compacted_(snapshot.revision) {
  for (const auto& lease : snapshot.leases) leases_[lease.id] = lease.ttl;
  for (auto& kv : snapshot.items) {
    if (kv.lease.v != 0) lease_keys_[kv.lease].insert(kv.key);
    auto key = kv.key;
    items_.emplace(std::move(key), std::move(kv));
  }
}

Result<RangeResult> State::range(const RangeRequest& request) const {
  if (request.revision > revision_) return Error(Errc::invalid_argument, "a revision in the future");
  View view(items_);
  if (request.revision.v != 0 && request.revision < revision_) {
    if (request.revision < compacted_) return Error(Errc::not_found, "the revision has been compacted");
    // Undo what came later, newest first.
    for (auto at = history_.rbegin(); at != history_.rend() && at->revision > request.revision; ++at)
      for (const auto& event : at->events) {
        if (!in_range(event.kv.key, request.key, request.range_end)) continue;
        if (event.previous)
          view.set(*event.previous);
        else
          view.remove(event.kv.key);
      }
  }
  return cut(view.select(request.key, request.range_end), request.limit, revision_);
}

Result<State::Decided> State::decide(const Transaction& transaction) const {
  MR_TRY_VOID(check_limits(transaction));
  Decided decided;
  decided.result.succeeded = std::ranges::all_of(transaction.compares, [&](const Compare& guard) {
    auto at = items_.find(guard.key);
    return holds(guard, at == items_.end() ? nullptr : &at->second);
  });
  const Revision next{revision_.v + 1};
  View view(items_);
  auto& events = decided.change.events;
  for (const auto& operation : decided.result.succeeded ? transaction.success : transaction.failure) {
    if (const auto* put = std::get_if<Put>(&operation)) {
      if (put->lease.v != 0 && !leases_.contains(put->lease)) return Error(Errc::not_found, "no such lease");
      const KeyValue* old = view.find(put->key);
      KeyValue kv{put->key,  put->value, old ? old->create_revision : next, next, old ? old->version + 1 : 1,
                  put->lease};
      events.push_back({.kv = kv, .previous = copy(old)});
      view.set(std::move(kv));
      decided.result.results.emplace_back(PutResult{});
    } else if (const auto* removal = std::get_if<Delete>(&operation)) {
      DeleteResult result;
      for (const KeyValue* old : view.select(removal->key, removal->range_end)) {
        events.push_back({.removed = true, .kv = {.key = old->key, .mod_revision = next}, .previous = *old});
        ++result.deleted;
      }
      for (std::size_t i = events.size() - static_cast<std::size_t>(result.deleted); i < events.size(); ++i)
        view.remove(events[i].kv.key);
      decided.result.results.emplace_back(result);
    } else {
      const auto& read = std::get<RangeRequest>(operation);
      // Inside a transaction only "now" makes sense: after the operations before it.
      if (read.revision.v != 0) return Error(Errc::invalid_argument, "a range in a transaction has no revision");
      decided.result.results.emplace_back(cut(view.select(read.key, read.range_end), read.limit, revision_));
    }
  }
  decided.change.revision = events.empty() ? revision_ : next;
  decided.result.revision = decided.change.revision;
  return decided;
}

Result<Change> State::decide_revoke(LeaseId lease) const {
  if (!leases_.contains(lease)) return Error(Errc::not_found, "no such lease");
  Change change{.revision = revision_, .revoked = lease};
  if (auto keys = lease_keys_.find(lease); keys != lease_keys_.end() && !keys->second.empty()) {
    ++change.revision.v;
    for (const auto& key : keys->second)
      change.events.push_back(
          {.removed = true, .kv = {.key = key, .mod_revision = change.revision}, .previous = items_.at(key)});
  }
  return change;
}

void State::apply(const Change& change) {
  MR_CHECK(change.revision.v == revision_.v + (change.events.empty() ? 0 : 1));
  for (const auto& event : change.events) {
    const auto& key = event.kv.key;
    if (event.previous && event.previous->lease.v != 0) lease_keys_[event.previous->lease].erase(key);
    if (event.removed) {
      items_.erase(key);
    } else {
      items_[key] = event.kv;
      if (event.kv.lease.v != 0) lease_keys_[event.kv.lease].insert(key);
    }
  }
  if (change.granted) leases_[change.granted->id] = change.granted->ttl;
  if (change.revoked.v != 0) {
    leases_.erase(change.revoked);
    lease_keys_.erase(change.revoked);
  }
  if (change.events.empty()) return;
  revision_ = change.revision;
  history_events_ += change.events.size();
  history_.push_back({change.revision, change.events});
  while (history_events_ > kHistoryMax && history_.size() > 1) {
    history_events_ -= history_.front().events.size();
    compacted_ = history_.front().revision;
    history_.pop_front();
  }
}

Result<WatchBatch> State::events_since(const WatchRequest& range, Revision from) const {
  if (from <= compacted_) return Error(Errc::not_found, "the revision has been compacted");
  WatchBatch batch{.revision = revision_};
  auto at = std::ranges::lower_bound(history_, from, {}, [](const Revised& r) { return r.revision; });
  for (; at != history_.end(); ++at)
    for (const auto& event : at->events)
      if (in_range(event.kv.key, range.key, range.range_end)) batch.events.push_back(event);
  return batch;
}

Result<void> State::compact(Revision revision) {
  if (revision > revision_) return Error(Errc::invalid_argument, "a revision in the future");
  if (revision <= compacted_) return Error(Errc::not_found, "the revision has been compacted");
  compacted_ = revision;
  while (!history_.empty() && history_.front().revision <= revision) {
    history_events_ -= history_.front().events.size();
    history_.pop_front();
  }
  return {};
}

}  // namespace mr::metastore
