#pragma once
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/bench.h"
#include "cli/bench_round.h"
#include "client/members.h"

/// Groups of a load and what their members do, one step each.
namespace mr::cli {

struct BenchMember {
  std::string id;               ///< empty: none yet
  std::int32_t generation = 0;  ///< or epoch, of which 0 is none yet
  std::vector<PartitionIndex> owned;
  bool unacknowledged = false;
  TimePoint told{};  ///< when the coordinator heard last what keeps the member in the group
};
struct BenchGroup {
  std::string name;
  std::optional<client::BrokerInfo> coordinator;
  std::vector<BenchMember> members;
  std::size_t leader = 0;
  std::uint32_t edition = 0;  ///< of all members' subscription
  std::uint64_t turn = 0;     ///< of what goes round
};

/// What went wrong, with the name that such things are counted by.
struct Trouble {
  wire::KafkaError code{};  ///< none: no broker said it
  Error why;

  std::string_view name() const { return code == wire::KafkaError::none ? to_string(why.code()) : to_string(code); }
  /// It may be gone the next time: a coordinator that moves, a member that has to join again.
  bool passes() const;
};
using Outcome = std::optional<Trouble>;  ///< nothing: it went well

/// A client with one connection to each broker. close() before destruction.
class GroupLink {
 public:
  explicit GroupLink(Session& session) : cluster_(bench_client(session)) {}
  Task<Result<std::shared_ptr<client::Connection>>> to(const client::BrokerInfo& broker, TimePoint deadline);
  client::Cluster& cluster() { return *cluster_; }
  /// What is under way fails; from then on nothing connects again.
  Task<void> close();

 private:
  std::unique_ptr<client::Cluster> cluster_;
  std::map<BrokerId, std::shared_ptr<client::Connection>> known_;
  bool closed_ = false;
};
/// Links that one group's members go by: member m by the m-th, going round. A classic group of several needs as many
/// as it has members while they join and sync, and for itself (see client::join_group).
using Lane = std::span<const std::unique_ptr<GroupLink>>;

/// Knows both protocols. One step of a member, or of all, at a time; each returns when it is answered, when its
/// deadline (--timeout-ms) has passed or its link was closed. References must stay until then.
class GroupDriver {
 public:
  /// `topic` is what all read; `classic_session`: how long a classic member may be silent.
  GroupDriver(Session& session, client::TopicInfo topic, bool consumer_protocol, Millis classic_session)
      : session_(session),
        topic_(std::move(topic)),
        consumer_protocol_(consumer_protocol),
        classic_session_(classic_session) {}

  const client::TopicInfo& topic() const { return topic_; }
  bool consumer_protocol() const { return consumer_protocol_; }
  /// How many links a group needs while it is built.
  std::size_t lane_width(std::size_t members) const { return consumer_protocol_ ? 1 : members; }

  /// Finds the coordinator when it is not known; all members join and get what is theirs.
  Task<Outcome> build(BenchGroup& group, Lane lane);
  Task<Outcome> heartbeat(BenchGroup& group, std::size_t member, GroupLink& link);
  /// Of so many partitions, those that are next.
  Task<Outcome> commit(BenchGroup& group, std::size_t member, GroupLink& link, std::size_t partitions);
  /// Classic: all join with another subscription, and are in one generation. sync() comes next.
  Task<Outcome> join(BenchGroup& group, Lane lane);
  Task<Outcome> sync(BenchGroup& group, Lane lane);
  /// KIP-848: a member leaves, another joins, and all have what is theirs.
  Task<Outcome> replace(BenchGroup& group, GroupLink& link);
  /// All that may be members leave, and are none.
  Task<Outcome> leave(BenchGroup& group, GroupLink& link, TimePoint deadline);

 private:
  struct Joining;
  struct Syncing;
  static Task<void> join_one(GroupDriver& self, Joining& joining, std::size_t member);
  static Task<void> sync_one(GroupDriver& self, Syncing& syncing, std::size_t member);
  Task<Outcome> beat_consumer(BenchGroup& group, std::size_t member, GroupLink& link, TimePoint deadline,
                              bool* news = nullptr);
  Task<Outcome> converge(BenchGroup& group, GroupLink& link, TimePoint deadline);
  std::string new_id();

  Session& session_;
  const client::TopicInfo topic_;
  const bool consumer_protocol_;
  const Millis classic_session_;
};

}  // namespace mr::cli
