#pragma once
#include <algorithm>
#include <vector>

#include "base/units.h"

namespace mr::coordinator {

/// A point in time that is moved often and reached seldom, such as a member's session: moving it later costs nothing,
/// the queue looks again when the old time comes. Lives in what it is about; the queue finds it there by its key.
struct Deadline {
  TimePoint at = kForever;      ///< kForever: none
  TimePoint queued = kForever;  ///< of its entry in the queue; any other entry for it is stale
};

/// Deadlines of one machine, by key. Every armed deadline has one live entry. `LookAt`: when the queue looks at the
/// deadline of a key, look(key, at), never before `at`; so some can be made to come together.
template <class Key, class LookAt>
class DeadlineQueue {
 public:
  explicit DeadlineQueue(LookAt look = {}) : look_(look) {}
  void arm(Deadline& deadline, TimePoint at, Key key) {
    if (postpone(deadline, at)) return;
    deadline.at = at;
    const TimePoint look = look_(key, at);
    if (look < deadline.queued) queue(deadline, look, std::move(key));
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
  TimePoint next() const { return entries_.empty() ? kForever : entries_.front().at; }

  /// Takes out one key whose deadline has passed and disarms it. `find(key)` gives the deadline, or null when what it
  /// was about is gone.
  template <class Find>
  bool next_due(TimePoint now, Key& into, Find find) {
    while (next() <= now) {
      std::pop_heap(entries_.begin(), entries_.end());
      Entry entry = std::move(entries_.back());
      entries_.pop_back();
      Deadline* deadline = find(entry.key);
      if (deadline == nullptr || deadline->queued != entry.at) continue;
      deadline->queued = kForever;
      if (deadline->at > now) {
        if (deadline->at != kForever) arm(*deadline, deadline->at, std::move(entry.key));
        continue;
      }
      deadline->at = kForever;
      into = std::move(entry.key);
      return true;
    }
    return false;
  }
  /// What next_due() gave was too much for now: it comes out again, at once.
  void put_back(Deadline& deadline, TimePoint now, Key key) {
    deadline.at = now;
    queue(deadline, now, std::move(key));
  }
  std::size_t entries() const { return entries_.size(); }

 private:
  struct Entry {
    TimePoint at;
    std::uint64_t order;
    Key key;
    bool operator<(const Entry& other) const { return at != other.at ? at > other.at : order > other.order; }
  };
  void queue(Deadline& deadline, TimePoint look, Key key) {
    deadline.queued = look;
    entries_.push_back(Entry{look, next_++, std::move(key)});
    std::push_heap(entries_.begin(), entries_.end());
  }

  LookAt look_;
  std::vector<Entry> entries_;  ///< a heap, the earliest in front
  std::uint64_t next_ = 0;
};

}  // namespace mr::coordinator
