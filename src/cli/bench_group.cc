#include "cli/bench_group.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/broker_error.h"
#include "client/groups.h"

namespace mr::cli {

namespace {

using wire::KafkaError;

/// Between two looks at a group that has not converged and had no news.
constexpr Duration kNoNewsPause = std::chrono::milliseconds(10);

client::Membership as_member(const BenchGroup& group, std::size_t member) {
  return {.group = group.name, .member = group.members[member].id, .generation = group.members[member].generation};
}

Outcome trouble(const Error& why) { return Trouble{.why = why}; }

Outcome answered(const BenchGroup& group, KafkaError code, std::string_view message = {}) {
  if (code == KafkaError::none) return std::nullopt;
  return Trouble{.code = code, .why = client::broker_error(code, fmt::format("group '{}'", group.name), message)};
}

std::vector<ConsumerState> states_of(const BenchGroup& group) {
  std::vector<ConsumerState> states;
  for (const BenchMember& member : group.members)
    states.push_back(
        {.epoch = member.generation, .owned = member.owned.size(), .unacknowledged = member.unacknowledged});
  return states;
}

}  // namespace

bool Trouble::passes() const {
  switch (code) {
    case KafkaError::none:
      return why.code() != Errc::unsupported_version && why.code() != Errc::malformed;
    case KafkaError::unknown_member_id:
    case KafkaError::illegal_generation:
    case KafkaError::rebalance_in_progress:
    case KafkaError::fenced_member_epoch:
    case KafkaError::stale_member_epoch:
      return true;
    default:
      return client::worth_a_retry(code);
  }
}

Task<Result<std::shared_ptr<client::Connection>>> GroupLink::to(const client::BrokerInfo& broker, TimePoint deadline) {
  if (auto at = known_.find(broker.id); at != known_.end() && !at->second->broken()) co_return at->second;
  if (closed_) co_return Error(Errc::connection_closed, "the load has ended");
  MR_CO_TRY(auto connection, co_await cluster_->broker(broker, deadline));
  known_[broker.id] = connection;
  co_return connection;
}

Task<void> GroupLink::close() {
  closed_ = true;
  known_.clear();
  co_await cluster_->close();
}

Task<Outcome> GroupDriver::build(BenchGroup& group, Lane lane) {
  GroupLink& first = *lane.front();
  const TimePoint deadline = session_.deadline();
  if (!group.coordinator) {
    auto found = co_await client::find_coordinator(first.cluster(), group.name, deadline);
    if (!found.ok()) co_return trouble(found.error());
    group.coordinator = std::move(found->broker);
  }
  if (consumer_protocol_) {
    for (BenchMember& member : group.members) member = {.id = new_id()};
    co_return co_await converge(group, first, deadline);
  }
  if (Outcome failed = co_await join(group, lane)) co_return failed;
  co_return co_await sync(group, lane);
}

std::string GroupDriver::new_id() {
  return fmt::format("millrace-bench-{:016x}{:016x}", session_.env.rng.next(), session_.env.rng.next());
}

Task<Outcome> GroupDriver::heartbeat(BenchGroup& group, std::size_t member, GroupLink& link) {
  const TimePoint deadline = session_.deadline();
  if (consumer_protocol_) co_return co_await beat_consumer(group, member, link, deadline);
  auto connection = co_await link.to(*group.coordinator, deadline);
  if (!connection.ok()) co_return trouble(connection.error());
  const client::Membership who = as_member(group, member);
  auto code = co_await client::heartbeat(**connection, who, deadline);
  if (!code.ok()) co_return trouble(code.error());
  group.members[member].told = session_.env.now();
  co_return answered(group, *code);
}

Task<Outcome> GroupDriver::beat_consumer(BenchGroup& group, std::size_t index, GroupLink& link, TimePoint deadline,
                                         bool* news) {
  auto connection = co_await link.to(*group.coordinator, deadline);
  if (!connection.ok()) co_return trouble(connection.error());
  const client::Membership who = as_member(group, index);
  client::ConsumerNews say{.topic = &topic_};
  if (group.members[index].unacknowledged) say.owned = group.members[index].owned;
  auto answer = co_await client::consumer_heartbeat(**connection, who, say, deadline);
  if (!answer.ok()) co_return trouble(answer.error());
  if (Outcome failed = answered(group, answer->code, answer->message)) co_return failed;
  BenchMember& member = group.members[index];
  if (news != nullptr && (answer->epoch != member.generation || answer->assigned)) *news = true;
  member.generation = answer->epoch;
  member.told = session_.env.now();
  if (say.owned) member.unacknowledged = false;
  if (answer->assigned) {
    member.owned = std::move(*answer->assigned);
    member.unacknowledged = true;
  }
  co_return std::nullopt;
}

Task<Outcome> GroupDriver::converge(BenchGroup& group, GroupLink& link, TimePoint deadline) {
  for (;;) {
    bool news = false;
    for (std::size_t m = 0; m < group.members.size(); ++m)
      if (Outcome failed = co_await beat_consumer(group, m, link, deadline, &news)) co_return failed;
    if (converged(states_of(group), topic_.partitions.size())) co_return std::nullopt;
    if (news) continue;
    const TimePoint next = session_.env.now() + kNoNewsPause;
    if (next > deadline)
      co_return trouble(
          Error(Errc::timed_out, fmt::format("group '{}' does not come to rest within --timeout-ms", group.name)));
    if (auto slept = co_await sleep_until(next); !slept.ok()) co_return trouble(slept.error());
  }
}

Task<Outcome> GroupDriver::replace(BenchGroup& group, GroupLink& link) {
  const TimePoint deadline = session_.deadline();
  const std::size_t index = group.turn++ % group.members.size();
  auto connection = co_await link.to(*group.coordinator, deadline);
  if (!connection.ok()) co_return trouble(connection.error());
  client::Membership who = as_member(group, index);
  who.generation = client::kLeaveEpoch;
  auto answer = co_await client::consumer_heartbeat(**connection, who, {}, deadline);
  if (!answer.ok()) co_return trouble(answer.error());
  if (Outcome failed = answered(group, answer->code, answer->message)) co_return failed;
  group.members[index] = {.id = new_id()};
  co_return co_await converge(group, link, deadline);
}

Task<Outcome> GroupDriver::commit(BenchGroup& group, std::size_t member, GroupLink& link, std::size_t partitions) {
  const TimePoint deadline = session_.deadline();
  auto connection = co_await link.to(*group.coordinator, deadline);
  if (!connection.ok()) co_return trouble(connection.error());
  const std::uint64_t turn = group.turn++;
  const client::Membership who = as_member(group, member);
  const auto committed = committed_by(topic_.partitions.size(), partitions, turn);
  const Offset offset{static_cast<std::int64_t>(turn)};
  auto code = co_await client::commit_as_member(**connection, who, topic_, committed, offset, deadline);
  if (!code.ok()) co_return trouble(code.error());
  co_return answered(group, *code);
}

struct GroupDriver::Joining {
  BenchGroup& group;
  Lane lane;
  TimePoint deadline;
  JoinRound round;
  Outcome failed;
  Event changed;
};

Task<void> GroupDriver::join_one(GroupDriver& self, Joining& joining, std::size_t index) {
  BenchGroup& group = joining.group;
  GroupLink& link = *joining.lane[index % joining.lane.size()];
  while (!joining.failed && !joining.round.complete()) {
    if (joining.round.waits(index)) {
      if (auto waited = co_await joining.changed.wait(joining.deadline); !waited.ok() && !joining.failed)
        joining.failed = trouble(waited.error());
      continue;
    }
    joining.round.asks(index);
    auto connection = co_await link.to(*group.coordinator, joining.deadline);
    Result<client::Joined> joined = Errc::cancelled;
    if (connection.ok()) {
      const client::Membership who = as_member(group, index);
      const client::JoinAs as{.topic = self.topic_.name, .session = self.classic_session_, .edition = group.edition};
      joined = co_await client::join_group(**connection, who, as, joining.deadline);
    } else {
      joined = connection.error();
    }
    if (!joined.ok()) {
      joining.failed = trouble(joined.error());
    } else if (joined->code == KafkaError::member_id_required) {
      group.members[index].id = joined->member;
    } else if (joined->code == KafkaError::none) {
      group.members[index].id = joined->member;
      group.members[index].generation = joined->generation;
      group.members[index].told = self.session_.env.now();
      const std::size_t shown = joined->leader == joined->member ? joined->members.size() : 0;
      // Who asks for the same again would be told of the same generation.
      if (shown > 0 && shown != group.members.size()) ++group.edition;
      joining.round.joined(index, joined->generation, shown);
    } else if (joined->code != KafkaError::rebalance_in_progress) {
      joining.failed = answered(group, joined->code);
    }
    joining.changed.notify_all();
  }
}

Task<Outcome> GroupDriver::join(BenchGroup& group, Lane lane) {
  ++group.edition;
  Joining joining{
      .group = group, .lane = lane, .deadline = session_.deadline(), .round = JoinRound(group.members.size())};
  Scope joins(session_.env.executor);
  for (std::size_t m = 0; m < group.members.size(); ++m) joins.spawn("bench join", join_one(*this, joining, m));
  co_await joins.drained();
  group.leader = joining.round.leader();
  co_return joining.failed;
}

struct GroupDriver::Syncing {
  BenchGroup& group;
  Lane lane;
  TimePoint deadline;
  Outcome failed;
};

Task<void> GroupDriver::sync_one(GroupDriver& self, Syncing& syncing, std::size_t index) {
  BenchGroup& group = syncing.group;
  std::vector<client::Share> shares;
  for (std::size_t m = 0; index == group.leader && m < group.members.size(); ++m) {
    client::Share& share = shares.emplace_back(client::Share{.member = group.members[m].id});
    for (PartitionIndex p : share_of(self.topic_.partitions.size(), group.members.size(), m))
      share.partitions.push_back({self.topic_.name, p});
  }
  auto connection = co_await syncing.lane[index % syncing.lane.size()]->to(*group.coordinator, syncing.deadline);
  if (!connection.ok()) {
    syncing.failed = trouble(connection.error());
    co_return;
  }
  const client::Membership who = as_member(group, index);
  auto code = co_await client::sync_group(**connection, who, shares, syncing.deadline);
  if (!code.ok()) {
    syncing.failed = trouble(code.error());
  } else if (Outcome failed = answered(group, *code)) {
    syncing.failed = std::move(failed);
  }
  group.members[index].told = self.session_.env.now();
}

Task<Outcome> GroupDriver::sync(BenchGroup& group, Lane lane) {
  Syncing syncing{.group = group, .lane = lane, .deadline = session_.deadline()};
  Scope syncs(session_.env.executor);
  for (std::size_t m = 0; m < group.members.size(); ++m) syncs.spawn("bench sync", sync_one(*this, syncing, m));
  co_await syncs.drained();
  co_return syncing.failed;
}

Task<Outcome> GroupDriver::leave(BenchGroup& group, GroupLink& link, TimePoint deadline) {
  auto found = co_await client::find_coordinator(link.cluster(), group.name, deadline);
  if (!found.ok()) co_return trouble(found.error());
  client::Connection& connection = *found->connection;
  Outcome failed;
  std::vector<std::string> ids;
  for (const BenchMember& member : group.members)
    if (!member.id.empty()) ids.push_back(member.id);
  if (consumer_protocol_) {
    for (std::size_t i = 0; i < ids.size() && !failed; ++i) {
      client::Membership who{.group = group.name, .member = ids[i], .generation = client::kLeaveEpoch};
      auto answer = co_await client::consumer_heartbeat(connection, who, {}, deadline);
      if (!answer.ok()) {
        failed = trouble(answer.error());
      } else if (answer->code != KafkaError::unknown_member_id && answer->code != KafkaError::group_id_not_found) {
        failed = answered(group, answer->code, answer->message);
      }
    }
  } else if (!ids.empty()) {
    auto code = co_await client::leave_group(connection, group.name, ids, deadline);
    failed = code.ok() ? answered(group, *code) : trouble(code.error());
  }
  if (!failed)
    for (BenchMember& member : group.members) member = {};
  co_return failed;
}

}  // namespace mr::cli
