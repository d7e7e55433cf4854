#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/lag/lag_history.h"

/// How far behind a group is, and what may be done about it. Pure.
namespace mr::coordinator {

/// Records between a commit and the end, at least 0; empty where one of both is below 0.
inline std::optional<std::int64_t> lag_of(Offset committed, Offset end) {
  if (committed.v < 0 || end.v < 0) return std::nullopt;
  return end > committed ? end.v - committed.v : 0;
}

struct PartitionLag {
  TopicPartition name;
  Offset committed{-1};               ///< -1: nothing committed
  Offset end{-1};                     ///< -1: no such partition, or it is offline
  std::optional<double> age_seconds;  ///< of the oldest record that is not consumed; 0: all are; empty: unknown
  std::optional<LagRates> rates;      ///< empty: not watched for long enough
  std::string member;                 ///< who reads it; empty: nobody

  std::optional<std::int64_t> records() const { return lag_of(committed, end); }
};

struct LagSummary {
  std::int64_t records = 0;
  std::optional<double> age_seconds;  ///< the largest; empty: of none known
  std::optional<LagRates> rates;      ///< sums; empty: of none known
  /// Until nothing is left, if both rates stay; 0: nothing is left; empty: it never will be, or nothing is known.
  std::optional<double> drain_seconds;
};
LagSummary summarize(const std::vector<PartitionLag>& partitions);

struct LaggingMember {
  std::string member;
  std::string client_id;
  std::string client_host;
  Millis session_timeout{0};
};

/// Rounds that began during the last ten minutes.
struct RecentRebalances {
  std::uint64_t all = 0;
  std::uint64_t session_timeouts = 0;  ///< of them, because a member was silent for its session timeout
  std::uint64_t missed_rounds = 0;     ///< because a member did not join again or fetch its assignment in time
};

struct LagFacts {
  std::vector<PartitionLag> partitions;
  std::vector<LaggingMember> members;
  RecentRebalances rebalances;
  /// Who sets how long members may be silent: the config of a KIP-848 group, else each client.
  bool group_sets_sessions = false;
};

struct LagAdvice {
  enum class Kind : std::uint8_t {
    no_consumer,
    rebalances_too_often,
    slow_member,
    add_consumers,
    add_partitions,
    idle_members
  };
  Kind kind;
  std::string text;  ///< what to do, and the figures that say so
};
/// "no_consumer", ...
std::string_view advice_name(LagAdvice::Kind kind);
/// Most urgent first; nothing when the group keeps up.
std::vector<LagAdvice> advise(const LagFacts& facts);

}  // namespace mr::coordinator
