#pragma once
#include <queue>
#include <vector>

#include "base/units.h"

namespace mr::coordinator {

/// A point in time that is moved often and reached seldom, such as a member's session: moving it later costs nothing,
/// the queue looks again when the old time comes. Lives in what it is about; the queue finds it there by its key.
struct Deadline {
  TimePoint at = kForever;      ///< kForever: none
  TimePoint queued = kForever;  ///< of its entry in the queue; any other entry for it is stale
};

/// Deadlines of one machine, by key. Every armed deadline has one live entry.
template <class Key>
class DeadlineQueue {
 public:
  void arm(Deadline& deadline, TimePoint at, const Key& key) {
    if (postpone(deadline, at)) return;
    deadline.at = deadline.queued = at;
    entries_.push(Entry{at, next_++, key});
  }
  /// As arm(), when the queue looks before `at` anyway; false: it does not, and nothing has changed. Most calls move a
  /// deadline later, and so need no key to be made.
  static bool postpone(Deadline& deadline, TimePoint at) {
    if (at < deadline.queued) return false;
    deadline.at = at;
    return true;
  }
  static void disarm(Deadline& deadline) { deadline.at = kForever; }

  /// When to look at next_due() again; kForever when nothing is armed. May be early.
  TimePoint next() const { return entries_.empty() ? kForever : entries_.top().at; }

  /// Takes out one key whose deadline has passed and disarms it. `find(key)` gives the deadline, or null when what it
  /// was about is gone.
  template <class Find>
  bool next_due(TimePoint now, Key& into, Find find) {
    while (!entries_.empty() && entries_.top().at <= now) {
      Entry entry = entries_.top();
      entries_.pop();
      Deadline* deadline = find(entry.key);
      if (deadline == nullptr || deadline->queued != entry.at) continue;
      deadline->queued = kForever;
      if (deadline->at > now) {
        if (deadline->at != kForever) arm(*deadline, deadline->at, entry.key);
        continue;
      }
      deadline->at = kForever;
      into = std::move(entry.key);
      return true;
    }
    return false;
  }
  std::size_t entries() const { return entries_.size(); }

 private:
  struct Entry {
    TimePoint at;
    std::uint64_t order;
    Key key;
    bool operator<(const Entry& other) const { return at != other.at ? at > other.at : order > other.order; }
  };
  std::priority_queue<Entry> entries_;
  std::uint64_t next_ = 0;
};

}  // namespace mr::coordinator
