#pragma once
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "client/read.h"
#include "runtime/scope.h"

namespace mr::client {

/// Reads on in many partitions: one long poll at a time at each of their leaders, so that a quiet partition keeps no
/// other one waiting. Goes along when leaders move, and waits for brokers that are away. One shard. Life: run() once.
class Follower {
 public:
  struct Options {
    FetchOptions fetch;
    Duration answer_max = std::chrono::seconds(30);
    Duration away_max = std::chrono::seconds(30);  ///< how long a partition may be without a broker that answers
    /// Hears of each answer, before `take` gets its parts, when it was asked for.
    std::function<void(TimePoint asked)> answered;
  };
  /// Takes what came of a partition and says where to go on, or nothing when it wants no more of it. An error ends
  /// run().
  using Take = std::function<Result<std::optional<Offset>>(const Fetched::Part&)>;

  Follower(Cluster& cluster, Options options)
      : cluster_(cluster), options_(std::move(options)), polls_(cluster.env().executor) {}

  /// Returns when nothing more is wanted of any partition, or after stop(). Errors: the first of `take`,
  /// offset_out_of_range, unknown_topic, those of a connection after away_max, timed_out, cancelled.
  Task<Result<void>> run(std::vector<Position> positions, Take take);
  /// run() returns soon; `take` is not called again.
  void stop() { finish({}); }

 private:
  struct Reading {
    Position position;
    std::optional<TimePoint> away_since;
    TimePoint not_before{};
  };
  using Readings = std::deque<Reading>;

  static Task<void> place(Follower& self);
  static Task<void> poll(Follower& self, BrokerId leader);
  /// Takes an answer apart; what stays at this leader is what is left of `asked`.
  Readings sort_out(const Fetched& fetched, Readings asked);
  void place_later(Reading reading);
  /// The same after a pause, unless `why` says that it is in vain.
  void lost(Reading reading, const Error& why);
  void finish(Result<void> outcome);

  Cluster& cluster_;
  const Options options_;
  Take take_;
  std::map<BrokerId, Readings> by_leader_;  ///< one poll each
  Readings unplaced_;                       ///< one place() for all: one connection to each broker is enough
  bool placing_ = false;
  std::size_t wanted_ = 0;  ///< partitions of which more is wanted
  bool done_ = false;
  Result<void> outcome_;
  Event ended_;
  Scope polls_;
};

}  // namespace mr::client
