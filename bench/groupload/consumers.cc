#include "bench/groupload/consumers.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

namespace mr::bench {
namespace {

constexpr double kRetryAfter = 0.05;  ///< seconds

}  // namespace

Consumers::Consumers(Runner& runner, std::string group, std::vector<std::string> topics, std::size_t partitions)
    : runner_(&runner), group_(std::move(group)), topics_(std::move(topics)), partitions_(partitions) {}

void Consumers::add_members(std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    members_.push_back({.id = fmt::format("{}-member-{:08}", group_, members_.size())});
  changed_ = true;
}

void Consumers::send(std::size_t index) {
  Member& m = members_[index];
  m.waiting = true;
  m.sent_at = now_seconds();
  const Bytes frame = m.epoch == 0 ? consumer_join_frame(group_, m.id, topics_)
                                   : consumer_beat_frame(group_, m.id, m.epoch, m.has_news ? &m.owned : nullptr);
  m.has_news = false;
  runner_->send(index % runner_->connections(), frame, tag_of(index, index_));
}

void Consumers::take(std::size_t index, Owned assignment) {
  Member& m = members_[index];
  const double now = now_seconds();
  std::set<Key> before, after;
  for (const OwnedTopic& topic : m.owned)
    for (std::int32_t p : topic.partitions) before.emplace(topic.topic, p);
  for (const OwnedTopic& topic : assignment)
    for (std::int32_t p : topic.partitions) after.emplace(topic.topic, p);
  for (const Key& key : before) {
    Ownership& o = ownership_[key];
    if (after.contains(key) || o.owner != index) continue;
    o.owner = Ownership::kNobody;
    o.free_since = now;
    --owned_;
  }
  for (const Key& key : after) {
    Ownership& o = ownership_[key];
    if (before.contains(key)) continue;
    if (o.owner != Ownership::kNobody) {
      ++twice;
    } else {
      ++owned_;
      o.longest_gap = std::max(o.longest_gap, now - o.free_since);
    }
    o.owner = index;
  }
  m.owned = std::move(assignment);
  m.count = after.size();
}

void Consumers::answered(std::size_t index, ByteView answer) {
  Member& m = members_[index];
  const double now = now_seconds();
  Beaten beat = read_consumer_beat(answer);
  ++heartbeats;
  m.waiting = false;
  longest_heartbeat = std::max(longest_heartbeat, now - m.sent_at);
  if (is_not_ready(beat.error)) {
    m.next_at = now + kRetryAfter;
    return;
  }
  changed_ = true;
  if (beat.error != 0) {
    // Fenced or forgotten: a client gives everything up and joins again.
    if (errors++ == 0) first_error = beat.error;
    take(index, {});
    m.epoch = 0;
    m.next_at = now + kRetryAfter;
    return;
  }
  m.epoch = beat.epoch;
  m.interval = static_cast<double>(beat.interval_ms) / 1e3;
  m.next_at = now + std::min(m.interval, interval_max_);
  if (!beat.assignment) return;
  take(index, std::move(*beat.assignment));
  m.has_news = true;
  send(index);
}

bool Consumers::settled() const {
  if (owned_ != partitions_ || members_.empty()) return false;
  const std::size_t least = partitions_ / members_.size();
  return std::ranges::all_of(members_, [&](const Member& m) {
    return m.epoch == members_.front().epoch && m.count >= least && m.count <= least + 1 && !m.has_news;
  });
}

double Consumers::beat(double now) {
  double next = now + 0.05;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].waiting) continue;
    if (members_[i].next_at <= now) {
      send(i);
    } else {
      next = std::min(next, members_[i].next_at);
    }
  }
  return next;
}

bool Consumers::waits() const { return std::ranges::any_of(members_, &Member::waiting); }

bool settle(std::vector<Consumers>& groups, double seconds, double interval_max) {
  for (std::size_t g = 0; g < groups.size(); ++g) {
    groups[g].index_ = static_cast<std::uint32_t>(g);
    groups[g].interval_max_ = interval_max;
  }
  Runner& runner = *groups.front().runner_;
  const Runner::Each each = [&](std::uint64_t tag, ByteView answer) {
    groups[tag >> 32].answered(static_cast<std::size_t>(tag & UINT32_MAX), answer);
  };
  std::vector<bool> done(groups.size());
  bool all = false;
  for (double until = now_seconds() + seconds; !all && now_seconds() < until;) {
    const double now = now_seconds();
    double next = now + 0.05;
    for (Consumers& group : groups) next = std::min(next, group.beat(now));
    runner.poll(std::max(next - now, 0.001), each);
    for (std::size_t g = 0; g < groups.size(); ++g)
      if (std::exchange(groups[g].changed_, false)) done[g] = groups[g].settled();
    all = std::ranges::all_of(done, std::identity{});
  }
  while (std::ranges::any_of(groups, &Consumers::waits)) runner.poll(0.05, each);
  return all;
}

void Consumers::watch() {
  watched_.clear();
  for (auto& [key, ownership] : ownership_) {
    ownership.longest_gap = 0;
    watched_[key] = ownership.owner;
  }
  const double now = now_seconds();
  for (std::size_t i = 0; i < members_.size(); ++i)
    members_[i].next_at = now + members_[i].interval * static_cast<double>(i) / static_cast<double>(members_.size());
}

Consumers::Moved Consumers::moved() const {
  Moved out;
  const double now = now_seconds();
  for (const auto& [key, owner] : watched_) {
    const Ownership& o = ownership_.at(key);
    const double gap = o.owner == Ownership::kNobody ? std::max(o.longest_gap, now - o.free_since) : o.longest_gap;
    const bool stayed = o.owner == owner;
    if (!stayed) ++out.partitions;
    double& longest = stayed ? out.stayed_gap : out.moved_gap;
    longest = std::max(longest, gap);
  }
  return out;
}

std::vector<Bytes> Consumers::quiet_frames() const {
  std::vector<Bytes> frames;
  for (const Member& m : members_) frames.push_back(consumer_beat_frame(group_, m.id, m.epoch, nullptr));
  return frames;
}

std::vector<Bytes> Consumers::leave_frames() const {
  std::vector<Bytes> frames;
  for (const Member& m : members_) frames.push_back(consumer_beat_frame(group_, m.id, kLeaveEpoch, nullptr));
  return frames;
}

}  // namespace mr::bench
