#include "client/follower.h"

namespace mr::client {

namespace {
constexpr Duration kPause = std::chrono::milliseconds(200);
/// How long the others wait behind a partition that has no leader.
constexpr Duration kElectionMax = std::chrono::seconds(1);

/// Nobody answers: it may be a restart.
bool away(const Error& error) {
  return error.code() == Errc::connection_closed || error.code() == Errc::connection_refused ||
         error.code() == Errc::timed_out;
}
}  // namespace

Task<Result<void>> Follower::run(std::vector<Position> positions, Take take) {
  take_ = std::move(take);
  wanted_ = positions.size();
  for (Position& position : positions) place_later({.position = std::move(position)});
  while (!done_ && wanted_ > 0)
    if (auto woken = co_await ended_.wait(); !woken.ok()) finish(woken);
  done_ = true;
  co_await polls_.stop();
  co_return outcome_;
}

void Follower::finish(Result<void> outcome) {
  if (done_) return;
  done_ = true;
  outcome_ = std::move(outcome);
  ended_.notify_all();
}

/// Gives partitions to the polls at their leaders, one after the other.
Task<void> Follower::place(Follower& self) {
  Env& env = self.cluster_.env();
  while (!self.done_ && !self.unplaced_.empty()) {
    Reading reading = std::move(self.unplaced_.front());
    self.unplaced_.pop_front();
    if (reading.not_before > env.now() && !(co_await sleep_until(reading.not_before)).ok()) break;
    auto leader = co_await self.cluster_.leader(reading.position.name, env.now() + kElectionMax);
    if (self.done_) break;
    if (!leader.ok()) {
      self.lost(std::move(reading), leader.error());
      continue;
    }
    auto [at, first] = self.by_leader_.try_emplace(leader->id);
    at->second.push_back(std::move(reading));
    if (first) self.polls_.spawn("poll", poll(self, leader->id));
  }
  self.placing_ = false;
}

void Follower::place_later(Reading reading) {
  unplaced_.push_back(std::move(reading));
  if (!std::exchange(placing_, true)) polls_.spawn("place", place(*this));
}

void Follower::lost(Reading reading, const Error& why) {
  const TimePoint now = cluster_.env().now();
  if (!reading.away_since) reading.away_since = now;
  if (!away(why) || now - *reading.away_since > options_.away_max) return finish(why);
  cluster_.forget(reading.position.name.topic);
  reading.not_before = now + kPause;
  place_later(std::move(reading));
}

Task<void> Follower::poll(Follower& self, BrokerId leader) {
  Env& env = self.cluster_.env();
  while (!self.done_ && !self.by_leader_[leader].empty()) {
    Readings asked = std::exchange(self.by_leader_[leader], {});  // others may be placed here meanwhile
    std::vector<Position> positions;
    for (const Reading& reading : asked) positions.push_back(reading.position);
    const TimePoint asked_at = env.now();
    auto fetched = co_await fetch_at(self.cluster_, leader, std::move(positions), self.options_.fetch,
                                     asked_at + self.options_.answer_max);
    if (self.done_) break;
    if (fetched.ok() && self.options_.answered) self.options_.answered(asked_at);
    Readings stay;
    if (fetched.ok()) {
      stay = self.sort_out(*fetched, std::move(asked));
    } else {
      for (Reading& reading : asked) self.lost(std::move(reading), fetched.error());
    }
    Readings& mine = self.by_leader_[leader];
    mine.insert(mine.end(), std::move_iterator(stay.begin()), std::move_iterator(stay.end()));
  }
  self.by_leader_.erase(leader);
}

Follower::Readings Follower::sort_out(const Fetched& fetched, Readings asked) {
  // Who had something goes to the back: an answer may be full before it comes to the last ones.
  Readings quiet, served;
  for (std::size_t i = 0; i < asked.size() && !done_; ++i) {
    const Fetched::Part& part = fetched.parts()[i];
    Reading& reading = asked[i];
    if (leader_has_moved(part.error)) {
      lost(std::move(reading), Error(Errc::timed_out, fetch_error(part).detail()));
      continue;
    }
    if (part.error != wire::KafkaError::none) {
      finish(fetch_error(part));
      break;
    }
    reading.away_since.reset();
    auto next = take_(part);
    if (!next.ok()) {
      finish(next.error());
    } else if (!*next) {
      if (--wanted_ == 0) ended_.notify_all();
    } else {
      const bool had = **next > reading.position.next;
      reading.position.next = **next;
      (had ? served : quiet).push_back(std::move(reading));
    }
  }
  quiet.insert(quiet.end(), std::move_iterator(served.begin()), std::move_iterator(served.end()));
  return quiet;
}

}  // namespace mr::client
