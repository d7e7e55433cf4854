#include "client/groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "client/broker_error.h"
#include "wire/api/consumer_group_describe.h"
#include "wire/api/delete_groups.h"
#include "wire/api/describe_groups.h"
#include "wire/api/find_coordinator.h"
#include "wire/api/list_groups.h"
#include "wire/api/offset_commit.h"
#include "wire/api/offset_delete.h"
#include "wire/api/offset_fetch.h"
#include "wire/consumer_protocol.h"

namespace mr::client {

namespace {

using wire::KafkaError;
using wire::Version;

/// The newest versions of OffsetCommit and OffsetFetch that name topics: from 10 on they want ids.
constexpr Version kNewestByName = 9;

std::string named(std::string_view group) { return fmt::format("group '{}'", group); }

Error silent(std::string_view what) {
  return Error(Errc::malformed, fmt::format("{}: the broker's answer does not mention it", what));
}

/// The coordinator is being made, moved or loaded.
bool unsettled(KafkaError code) {
  return code == KafkaError::coordinator_load_in_progress || code == KafkaError::coordinator_not_available ||
         code == KafkaError::not_coordinator;
}

/// Waits before the next try. Errors: timed_out with the last answer.
Task<Result<void>> pause(Cluster& cluster, std::string what, KafkaError last, TimePoint deadline) {
  const TimePoint next = cluster.env().now() + cluster.retry_pause();
  if (next >= deadline)
    co_return Error(Errc::timed_out, fmt::format("{}: no coordinator is ready ({}); look at the brokers' logs, or wait "
                                                 "longer",
                                                 what, to_string(last)));
  co_return co_await sleep_until(next);
}

/// Asks the coordinator of `group` until it is settled. `fill(request, arena, version)` makes the request for a
/// version, `error_of(answer, version)` finds the code that says whether the coordinator is settled; others are the
/// caller's.
template <class Request, class Fill, class ErrorOf>
Task<Result<Reply<typename Request::Response>>> ask(Cluster& cluster, std::string group, Version newest, Fill fill,
                                                    ErrorOf error_of, TimePoint deadline) {
  for (;;) {
    MR_CO_TRY(Coordinator coordinator, co_await find_coordinator(cluster, group, deadline));
    MR_CO_TRY(Version version, coordinator.connection->choose(Request::kApi, std::nullopt));
    version = std::min(version, newest);
    wire::Arena arena;
    Request request;
    fill(request, arena, version);
    MR_CO_TRY(auto reply, co_await coordinator.connection->call(request, deadline, version));
    const KafkaError error = error_of(*reply, version);
    if (!unsettled(error)) co_return std::move(reply);
    MR_CO_TRY_VOID(co_await pause(cluster, named(group), error, deadline));
  }
}

/// Indexes into `partitions` by topic, as requests nest them.
template <class Partitions, class Name>
std::map<std::string, std::vector<std::size_t>> by_topic(const Partitions& partitions, Name name) {
  std::map<std::string, std::vector<std::size_t>> topics;
  for (std::size_t i = 0; i < partitions.size(); ++i) topics[name(partitions[i]).topic].push_back(i);
  return topics;
}

/// Answers in the order of `names`; a partition that the broker left out is an error.
template <class Topics>
std::vector<Result<void>> answers_of(const Topics& topics, const std::vector<TopicPartition>& names) {
  std::map<TopicPartition, KafkaError> codes;
  for (const auto& topic : topics)
    for (const auto& p : topic.partitions) codes[{std::string(topic.name), p.partition_index}] = p.error_code;
  std::vector<Result<void>> answers;
  for (const TopicPartition& name : names) {
    auto at = codes.find(name);
    if (at == codes.end()) {
      answers.emplace_back(silent(name.to_string()));
    } else if (at->second != KafkaError::none) {
      answers.emplace_back(broker_error(at->second, name.to_string()));
    } else {
      answers.emplace_back();
    }
  }
  return answers;
}

GroupMember to_member(const wire::describe_groups::DescribedGroupMember& member, bool consumer) {
  GroupMember out{.id = std::string(member.member_id),
                  .client_id = std::string(member.client_id),
                  .client_host = std::string(member.client_host)};
  if (member.group_instance_id) out.instance = std::string(*member.group_instance_id);
  if (!consumer) return out;
  // Kafka shows neither while a group rebalances: empty bytes.
  if (auto topics = wire::subscribed_topics(member.member_metadata); topics.ok()) out.topics = std::move(*topics);
  if (auto given = wire::assigned_partitions(member.member_assignment); given.ok()) out.assignment = std::move(*given);
  return out;
}

}  // namespace

Task<Result<Coordinator>> find_coordinator(Cluster& cluster, std::string group, TimePoint deadline) {
  namespace api = wire::find_coordinator;
  for (;;) {
    MR_CO_TRY(auto connection, co_await cluster.any(deadline));
    MR_CO_TRY(Version version, connection->choose(api::kApi, std::nullopt));
    wire::Arena arena;
    api::Request request;
    if (version >= 4) {
      request.coordinator_keys = arena.list<std::string_view>({group});
    } else {
      request.key = group;
    }
    MR_CO_TRY(auto reply, co_await connection->call(request, deadline, version));
    api::Coordinator found{.node_id = reply->node_id,
                           .host = reply->host,
                           .port = reply->port,
                           .error_code = reply->error_code,
                           .error_message = reply->error_message};
    if (version >= 4) {
      if (reply->coordinators.empty()) co_return silent(named(group));
      found = reply->coordinators[0];
    }
    if (found.error_code == KafkaError::none) {
      if (found.port < 1 || found.port > 65'535)
        co_return Error(Errc::malformed, fmt::format("{}: its coordinator has port {}", named(group), found.port));
      BrokerInfo broker{found.node_id, {std::string(found.host), static_cast<std::uint16_t>(found.port)}};
      MR_CO_TRY(auto there, co_await cluster.broker(broker, deadline));
      co_return Coordinator{std::move(there), std::move(broker)};
    }
    if (!unsettled(found.error_code)) co_return broker_error(found.error_code, named(group), found.error_message);
    MR_CO_TRY_VOID(co_await pause(cluster, named(group), found.error_code, deadline));
  }
}

namespace {

/// Those that one broker coordinates.
Task<Result<void>> list_groups_of(Cluster& cluster, BrokerId id, const std::vector<std::string>& states,
                                  std::vector<ListedGroup>& into, TimePoint deadline) {
  namespace api = wire::list_groups;
  for (;;) {
    MR_CO_TRY(auto connection, co_await cluster.broker(id, deadline));
    wire::Arena arena;
    api::Request request;
    request.states_filter = arena.list<std::string_view>(states.size());
    for (std::size_t i = 0; i < states.size(); ++i) request.states_filter[i] = states[i];
    auto reply = co_await connection->call(request, deadline);
    if (!reply.ok() && reply.code() == Errc::unsupported_version && !states.empty())
      co_return Error(reply.code(),
                      fmt::format("broker {} is too old to tell the states of groups; ask without a state", id.v));
    if (!reply.ok()) co_return reply.error();
    const KafkaError error = (*reply)->error_code;
    if (error == KafkaError::none) {
      for (const auto& g : (*reply)->groups)
        into.push_back({.name = std::string(g.group_id),
                        .state = std::string(g.group_state),
                        .type = std::string(g.group_type),
                        .protocol_type = std::string(g.protocol_type),
                        .coordinator = id});
      co_return Result<void>{};
    }
    const std::string what = fmt::format("the groups of broker {}", id.v);
    if (!unsettled(error)) co_return broker_error(error, what);
    MR_CO_TRY_VOID(co_await pause(cluster, what, error, deadline));
  }
}

}  // namespace

Task<Result<std::vector<ListedGroup>>> list_groups(Cluster& cluster, std::vector<std::string> states,
                                                   TimePoint deadline) {
  MR_CO_TRY(auto brokers, co_await cluster.brokers(deadline));
  std::vector<ListedGroup> groups;
  for (const BrokerInfo& broker : brokers)
    MR_CO_TRY_VOID(co_await list_groups_of(cluster, broker.id, states, groups, deadline));
  std::ranges::sort(groups, {}, &ListedGroup::name);
  co_return groups;
}

namespace {

GroupMember to_member(const wire::consumer_group_describe::Member& member) {
  GroupMember out{.id = std::string(member.member_id),
                  .client_id = std::string(member.client_id),
                  .client_host = std::string(member.client_host)};
  if (member.instance_id) out.instance = std::string(*member.instance_id);
  out.topics.emplace(member.subscribed_topic_names.begin(), member.subscribed_topic_names.end());
  out.assignment.emplace();
  for (const auto& topic : member.assignment.topic_partitions)
    for (PartitionIndex partition : topic.partitions)
      out.assignment->push_back({std::string(topic.topic_name), partition});
  std::ranges::sort(*out.assignment);
  return out;
}

/// Asks one of the questions that describe groups, of this one: `names` is the field of the request that names it. The
/// answer has it, and says of no error.
template <class Request, class Names>
Task<Result<Reply<typename Request::Response>>> ask_about(Cluster& cluster, std::string group, Names Request::* names,
                                                          TimePoint deadline) {
  auto fill = [&](Request& request, wire::Arena& arena, Version) {
    request.*names = arena.list<std::string_view>({group});
  };
  auto error_of = [](const typename Request::Response& answer, Version) {
    return answer.groups.empty() ? KafkaError::none : answer.groups[0].error_code;
  };
  MR_CO_TRY(auto reply, co_await ask<Request>(cluster, group, Request::kApi.max, fill, error_of, deadline));
  if (reply->groups.empty()) co_return silent(named(group));
  const auto& answer = reply->groups[0];
  if (answer.error_code != KafkaError::none)
    co_return broker_error(answer.error_code, named(group), answer.error_message);
  co_return reply;
}

/// A group of KIP-848, which the classic question does not find. Errors: group_not_found; unsupported_version.
Task<Result<GroupDescription>> describe_consumer_group(Cluster& cluster, std::string group, TimePoint deadline) {
  namespace api = wire::consumer_group_describe;
  MR_CO_TRY(auto reply, co_await ask_about(cluster, group, &api::Request::group_ids, deadline));
  const auto& answer = reply->groups[0];
  GroupDescription description{.name = group,
                               .state = std::string(answer.group_state),
                               .protocol_type = "consumer",
                               .protocol = std::string(answer.assignor_name)};
  for (const auto& m : answer.members) description.members.push_back(to_member(m));
  co_return description;
}

Task<Result<GroupDescription>> describe_classic_group(Cluster& cluster, std::string group, TimePoint deadline) {
  namespace api = wire::describe_groups;
  MR_CO_TRY(auto reply, co_await ask_about(cluster, group, &api::Request::groups, deadline));
  const auto& answer = reply->groups[0];
  // Before version 6 an unknown group is a dead one.
  if (answer.group_state == "Dead") co_return broker_error(KafkaError::group_id_not_found, named(group));
  GroupDescription description{.name = group,
                               .state = std::string(answer.group_state),
                               .protocol_type = std::string(answer.protocol_type),
                               .protocol = std::string(answer.protocol_data)};
  for (const auto& m : answer.members) description.members.push_back(to_member(m, answer.protocol_type == "consumer"));
  co_return description;
}

}  // namespace

Task<Result<GroupDescription>> describe_group(Cluster& cluster, std::string group, TimePoint deadline) {
  auto description = co_await describe_classic_group(cluster, group, deadline);
  if (!description.ok() && description.code() == Errc::group_not_found) {
    auto consumers = co_await describe_consumer_group(cluster, group, deadline);
    // A broker that does not know the question has no such groups.
    if (consumers.ok() || consumers.code() != Errc::unsupported_version) description = std::move(consumers);
  }
  if (!description.ok()) co_return description.error();
  std::ranges::sort(description->members, {}, &GroupMember::id);
  MR_CO_TRY(Coordinator coordinator, co_await find_coordinator(cluster, group, deadline));
  description->coordinator = std::move(coordinator.broker);
  co_return description;
}

Task<Result<std::vector<CommittedOffset>>> committed_offsets(Cluster& cluster, std::string group, TimePoint deadline) {
  namespace api = wire::offset_fetch;
  auto fill = [&](api::Request& request, wire::Arena& arena, Version version) {
    if (version >= 8) {
      request.groups = arena.list<api::OffsetFetchRequestGroup>(1);
      request.groups[0].group_id = group;
      request.groups[0].topics.reset();  // all
    } else {
      request.group_id = group;
      request.topics.reset();
    }
  };
  auto error_of = [](const api::Response& answer, Version version) {
    if (version < 8) return answer.error_code;
    return answer.groups.empty() ? KafkaError::none : answer.groups[0].error_code;
  };
  MR_CO_TRY(auto reply, co_await ask<api::Request>(cluster, group, kNewestByName, fill, error_of, deadline));
  const bool many = reply.version() >= 8;
  if (many && reply->groups.empty()) co_return silent(named(group));
  if (KafkaError error = error_of(*reply, reply.version()); error != KafkaError::none)
    co_return broker_error(error, named(group));
  std::vector<CommittedOffset> all;
  KafkaError failed = KafkaError::none;
  auto take = [&](const auto& topics) {
    for (const auto& topic : topics)
      for (const auto& p : topic.partitions) {
        if (p.error_code != KafkaError::none) failed = p.error_code;
        if (p.committed_offset.v >= 0)
          all.push_back({{std::string(topic.name), p.partition_index},
                         p.committed_offset,
                         p.committed_leader_epoch,
                         std::string(p.metadata.value_or(""))});
      }
  };
  if (many) {
    take(reply->groups[0].topics);
  } else {
    take(reply->topics);
  }
  if (failed != KafkaError::none) co_return broker_error(failed, named(group));
  std::ranges::sort(all, {}, &CommittedOffset::name);
  co_return all;
}

Task<Result<std::vector<Result<void>>>> commit_offsets(Cluster& cluster, std::string group,
                                                       std::vector<NewOffset> offsets, TimePoint deadline) {
  namespace api = wire::offset_commit;
  auto topics = by_topic(offsets, [](const NewOffset& o) -> const TopicPartition& { return o.name; });
  auto fill = [&](api::Request& request, wire::Arena& arena, Version) {
    request.group_id = group;  // no generation, no member: an operator's
    request.topics = arena.list<api::OffsetCommitRequestTopic>(topics.size());
    std::size_t next = 0;
    for (const auto& [name, indexes] : topics) {
      auto& topic = request.topics[next++];
      topic.name = name;
      topic.partitions = arena.list<api::OffsetCommitRequestPartition>(indexes.size());
      for (std::size_t i = 0; i < indexes.size(); ++i)
        topic.partitions[i] = {.partition_index = offsets[indexes[i]].name.partition,
                               .committed_offset = offsets[indexes[i]].offset};
    }
  };
  auto error_of = [](const api::Response& answer, Version) {  // the coordinator's are on every partition
    return answer.topics.empty() || answer.topics[0].partitions.empty() ? KafkaError::none
                                                                        : answer.topics[0].partitions[0].error_code;
  };
  MR_CO_TRY(auto reply, co_await ask<api::Request>(cluster, group, kNewestByName, fill, error_of, deadline));
  std::vector<TopicPartition> names;
  for (const NewOffset& o : offsets) names.push_back(o.name);
  co_return answers_of(reply->topics, names);
}

Task<Result<std::vector<Result<void>>>> delete_offsets(Cluster& cluster, std::string group,
                                                       std::vector<TopicPartition> partitions, TimePoint deadline) {
  namespace api = wire::offset_delete;
  auto topics = by_topic(partitions, [](const TopicPartition& p) -> const TopicPartition& { return p; });
  auto fill = [&](api::Request& request, wire::Arena& arena, Version) {
    request.group_id = group;
    request.topics = arena.list<api::OffsetDeleteRequestTopic>(topics.size());
    std::size_t next = 0;
    for (const auto& [name, indexes] : topics) {
      auto& topic = request.topics[next++];
      topic.name = name;
      topic.partitions = arena.list<api::OffsetDeleteRequestPartition>(indexes.size());
      for (std::size_t i = 0; i < indexes.size(); ++i)
        topic.partitions[i].partition_index = partitions[indexes[i]].partition;
    }
  };
  auto error_of = [](const api::Response& answer, Version) { return answer.error_code; };
  MR_CO_TRY(auto reply, co_await ask<api::Request>(cluster, group, api::kApi.max, fill, error_of, deadline));
  if (reply->error_code != KafkaError::none) co_return broker_error(reply->error_code, named(group));
  co_return answers_of(reply->topics, partitions);
}

Task<Result<void>> delete_group(Cluster& cluster, std::string group, TimePoint deadline) {
  namespace api = wire::delete_groups;
  auto fill = [&](api::Request& request, wire::Arena& arena, Version) {
    request.groups_names = arena.list<std::string_view>({group});
  };
  auto error_of = [](const api::Response& answer, Version) {
    return answer.results.empty() ? KafkaError::none : answer.results[0].error_code;
  };
  MR_CO_TRY(auto reply, co_await ask<api::Request>(cluster, group, api::kApi.max, fill, error_of, deadline));
  if (reply->results.empty()) co_return silent(named(group));
  if (KafkaError error = reply->results[0].error_code; error != KafkaError::none)
    co_return broker_error(error, named(group));
  co_return Result<void>{};
}

}  // namespace mr::client
