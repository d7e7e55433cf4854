#include "coordinator/group_coordinator.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "coordinator/group_alarms.h"
#include "coordinator/group_partition.h"
#include "runtime/longest_wait.h"

namespace mr::coordinator {

namespace {

constexpr std::string_view kTopic = "__consumer_offsets";
constexpr Duration kNever = Duration::max();
constexpr Duration kFirstLoadMost = std::chrono::seconds(5);
constexpr Millis kSessionStep{200};
constexpr Duration kSizesEvery = std::chrono::seconds(10);

/// 8-4-4-4-12 hexadecimal digits, as Java writes it.
std::string fresh_id(Rng& rng) {
  const Uuid id = Uuid::from_random(rng.next(), rng.next());
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) text.push_back('-');
    const std::uint64_t half = i < 16 ? id.high : id.low;
    text.push_back(kDigits[half >> (60 - 4 * (i % 16)) & 0xf]);
  }
  return text;
}

/// An answer's place for what went wrong.
template <class Answer>
void set_error(Answer& answer, Error why) {
  answer.error = std::move(why);
}

}  // namespace

PartitionIndex partition_of_group(std::string_view group, std::size_t partitions) {
  const auto hash = static_cast<std::uint32_t>(java_hash(group)) & 0x7fffffffu;
  return PartitionIndex{static_cast<std::int32_t>(hash % partitions)};
}

/// What one shard has. That shard only, but for `calls`' lifetime.
struct GroupCoordinator::Shard {
  Shard(broker::ShardState& s, GroupSettings g) : state(s), settings(g), scope(s.env.executor) {}

  /// Makes those of our partitions that are not there, drops those whose topic has gone.
  void open(const broker::TopicInfo* topic) {
    std::erase_if(partitions, [](const auto& entry) { return entry.second->gone(); });
    if (topic == nullptr || stopped) return;
    for (std::size_t p = 0; p < topic->partitions.size(); ++p) {
      const broker::PartitionKey key{topic->id, PartitionIndex{static_cast<std::int32_t>(p)}};
      if (topic->partitions[p].home != state.env.shard || partitions.contains(key)) continue;
      auto made = std::make_shared<GroupPartition>(state, scope, key, settings);
      partitions.emplace(key, made);
      scope.spawn("groups of a partition", keep(std::move(made)));
    }
  }
  static Task<void> keep(std::shared_ptr<GroupPartition> partition) { co_await partition->run(); }

  static Task<Result<void>> settled(std::shared_ptr<Shard> shard, TimePoint deadline) {
    std::vector<std::shared_ptr<GroupPartition>> all;
    for (const auto& [key, partition] : shard->partitions) all.push_back(partition);
    for (const auto& partition : all) MR_CO_TRY_VOID(co_await partition->settled(deadline));
    co_return Result<void>{};
  }

  Positions positions(std::size_t most) const;

  void call(const broker::PartitionKey& key, decltype(GroupEvent::what) what, GroupReplyTo reply) {
    if (stopped) return reply(Error(Errc::not_coordinator));
    auto at = partitions.find(key);
    if (at == partitions.end()) {
      // The first call after the topic was made.
      open(state.topics->find(key.topic).get());
      at = partitions.find(key);
    }
    if (at == partitions.end()) return reply(Error(Errc::not_coordinator));
    at->second->call(std::move(what), std::move(reply));
  }

  broker::ShardState& state;
  GroupSettings settings;
  std::unordered_map<broker::PartitionKey, std::shared_ptr<GroupPartition>> partitions;
  Scope scope;
  bool stopped = false;
};

/// With too many, those whose hashes are smallest: what is added or goes moves few others in or out.
GroupCoordinator::Positions GroupCoordinator::Shard::positions(std::size_t most) const {
  struct Held {
    std::size_t hash;
    std::string_view group, topic;
    PartitionIndex partition;
    Offset offset;
  };
  std::vector<Held> held;
  Positions found;
  for (const auto& [key, partition] : partitions)
    found.whole &= partition->for_each_offset(
        [&](std::string_view group, std::string_view topic, PartitionIndex index, const StoredOffset& stored) {
          const std::size_t hash = TextHash{}(group) * 31 + TextHash{}(topic) + static_cast<std::size_t>(index.v);
          held.push_back({hash, group, topic, index, stored.offset});
        });
  if (held.size() > most) {
    found.left_out = held.size() - most;
    std::ranges::nth_element(held, held.begin() + static_cast<std::ptrdiff_t>(most), {}, &Held::hash);
    held.resize(most);
  }
  for (const Held& one : held)
    found.positions.push_back({std::string(one.group), std::string(one.topic), one.partition, one.offset});
  return found;
}

namespace {
/// One of those that the option allows.
MigrationPolicy migration_policy(std::string_view name) {
  if (name == "upgrade") return MigrationPolicy::upgrade;
  if (name == "downgrade") return MigrationPolicy::downgrade;
  return name == "disabled" ? MigrationPolicy::disabled : MigrationPolicy::bidirectional;
}
}  // namespace

GroupCoordinator::GroupCoordinator(broker::Broker& broker, Assignors assignors)
    : broker_(broker), assignors_(std::move(assignors)) {
  for (std::uint32_t s = 0; s < broker_.shards().count(); ++s)
    per_shard_.push_back(std::make_shared<Shard>(broker_.shard(ShardId{s}), settings()));
  broker_.on_topic_changed([this](const broker::TopicRef& topic) { tell_changed(topic); });
  broker_.on_group_configs_changed([this] { tell_configs(); });
  broker_.on_topic_deleted([this](const broker::TopicRef& topic) { tell_deleted(topic); });
}

GroupCoordinator::~GroupCoordinator() { MR_CHECK(!started_); }

GroupSettings GroupCoordinator::settings() const {
  const config::BrokerConfig& config = broker_.config();
  GroupSettings settings;
  settings.session_timeout_min = Millis(config.group_min_session_timeout_ms);
  settings.session_timeout_max = Millis(config.group_max_session_timeout_ms);
  settings.first_round_delay = Millis(config.group_initial_rebalance_delay_ms);
  settings.members_max = static_cast<std::size_t>(config.group_max_size);
  settings.offset_metadata_max = static_cast<std::size_t>(config.offset_metadata_max_bytes);
  settings.offsets_retention = Millis(std::int64_t{config.offsets_retention_minutes} * 60'000);
  settings.retention_check =
      std::chrono::duration_cast<Millis>(bounded_wait(config.offsets_retention_check_interval_ms));
  settings.session_step = kSessionStep;
  settings.consumer_times = {.session_timeout_ms = config.group_consumer_session_timeout_ms,
                             .heartbeat_interval_ms = config.group_consumer_heartbeat_interval_ms,
                             .assignment_interval_ms = config.group_consumer_assignment_interval_ms};
  settings.consumer_members_max = static_cast<std::size_t>(config.group_consumer_max_size);
  settings.migration = migration_policy(config.group_consumer_migration_policy);
  settings.assignors = assignors_;
  settings.record_bytes_max = static_cast<std::size_t>(std::max(config.message_max_bytes, 4096)) - 512;
  return settings;
}

Task<void> GroupCoordinator::start() {
  started_ = true;
  co_await open_partitions();
  per_shard_[0]->scope.spawn("sizes of groups", watch_sizes());
}

Task<void> GroupCoordinator::open_partitions() {
  for (std::uint32_t s = 0; s < per_shard_.size(); ++s)
    co_await broker_.shards().call(ShardId{s}, [this, s] { per_shard_[s]->open(topic(ShardId{s}).get()); });
}

Task<void> GroupCoordinator::stop() {
  if (!started_) co_return;
  started_ = false;
  for (std::uint32_t s = 0; s < per_shard_.size(); ++s) {
    co_await broker_.shards().call(ShardId{s}, [this, s]() -> Task<void> {
      Shard& shard = *per_shard_[s];
      shard.stopped = true;
      for (auto& [key, partition] : shard.partitions) partition->stop();
      co_await shard.scope.stop();
      shard.partitions.clear();
    });
  }
}

Task<Result<void>> GroupCoordinator::loaded(TimePoint deadline) {
  for (std::uint32_t s = 0; s < per_shard_.size(); ++s) {
    auto wait = [shard = per_shard_[s], deadline]() { return Shard::settled(shard, deadline); };
    MR_CO_TRY_VOID(co_await broker_.shards().call(ShardId{s}, std::move(wait)));
  }
  co_return Result<void>{};
}

broker::TopicRef GroupCoordinator::topic(ShardId here) const { return broker_.topics(here)->find(kTopic); }

Result<GroupCoordinator::Place> GroupCoordinator::place(ShardId here, std::string_view group) const {
  const broker::TopicRef found = topic(here);
  if (found == nullptr) return Error(Errc::coordinator_not_available, "there is no __consumer_offsets yet");
  const PartitionIndex index = partition_of_group(group, found->partitions.size());
  return Place{found->partition(index)->home.v, {found->id, index}};
}

Task<Result<GroupAnswer>> GroupCoordinator::ask(Place place, decltype(GroupEvent::what) what, TimePoint deadline) {
  const TaskContext& context = co_await current_context();
  auto answer = std::make_shared<OneShot<Result<GroupAnswer>>>();
  Shard& shard = *per_shard_[place.shard];
  if (context.executor->shard() == shard.state.env.shard) {
    shard.call(place.key, std::move(what), [answer](Result<GroupAnswer> result) { answer->set(std::move(result)); });
  } else {
    Executor& back = *context.executor;
    GroupReplyTo reply = [&back, answer](Result<GroupAnswer> result) {
      back.post([answer, result = std::move(result)]() mutable { answer->set(std::move(result)); });
    };
    Executor& home = shard.state.env.executor;
    home.post([shard = per_shard_[place.shard], key = place.key, what = std::move(what),
               reply = std::move(reply)]() mutable { shard->call(key, std::move(what), std::move(reply)); });
  }
  auto waited = co_await answer->wait(deadline);
  if (!waited.ok() && waited.code() == Errc::timed_out)
    co_return Error(Errc::coordinator_not_available, "not committed in time");
  if (!waited.ok()) co_return coordinator_error(waited.error());
  co_return std::move(*waited);
}

template <class Answer>
Task<Answer> GroupCoordinator::ask_group(std::string group, decltype(GroupEvent::what) what, Duration timeout) {
  const TaskContext& context = co_await current_context();
  Answer failed;
  auto where = place(context.executor->shard(), group);
  if (!where.ok()) {
    set_error(failed, where.error());
    co_return failed;
  }
  const TimePoint deadline = timeout == kNever ? kForever : context.executor->now() + timeout;
  auto answer = co_await ask(*where, std::move(what), deadline);
  if (answer.ok()) co_return std::get<Answer>(std::move(*answer));
  set_error(failed, answer.error());
  co_return failed;
}

Task<Result<BrokerId>> GroupCoordinator::find(std::string group) {
  if (group.empty()) co_return Errc::invalid_group_id;
  const TaskContext& context = co_await current_context();
  const ShardId here = context.executor->shard();
  if (topic(here) == nullptr) {
    auto made = co_await make_topic();
    if (!made.ok()) co_return Error(Errc::coordinator_not_available, made.error().message());
  }
  MR_CO_TRY(Place where, place(here, group));
  co_return topic(here)->partition(where.key.partition)->leader;
}

Task<Result<void>> GroupCoordinator::make_topic() {
  const config::BrokerConfig& config = broker_.config();
  constexpr std::int32_t kSegmentLeast = 1 << 20;
  broker::TopicSpec spec{
      .name = std::string(kTopic),
      .partitions = config.offsets_topic_num_partitions,
      .configs = {{"cleanup.policy", "compact"},
                  {"compression.type", "producer"},
                  {"flush.messages", "1"},
                  {"segment.bytes", std::to_string(std::max(config.offsets_topic_segment_bytes, kSegmentLeast))}}};
  auto made = co_await broker_.create_topic(std::move(spec), false);
  if (!made.ok() && made.code() != Errc::topic_exists) co_return made.error();
  co_await open_partitions();
  // There is nothing to load; whoever is late answers coordinator_loading, and clients come back.
  const TaskContext& context = co_await current_context();
  (void)co_await loaded(context.executor->now() + kFirstLoadMost);
  co_return Result<void>{};
}

void GroupCoordinator::tell_deleted(const broker::TopicRef& deleted) {
  for (auto& shard : per_shard_) {
    Executor& home = shard->state.env.executor;
    home.post([shard, deleted] {
      if (shard->stopped) return;
      for (auto& [key, partition] : shard->partitions) partition->tell(TopicDeletedEvent{deleted->name, deleted->id});
    });
  }
  tell_changed(deleted);
}

void GroupCoordinator::tell_changed(const broker::TopicRef& changed) {
  for (auto& shard : per_shard_) {
    Executor& home = shard->state.env.executor;
    home.post([shard, changed] {
      if (shard->stopped) return;
      for (auto& [key, partition] : shard->partitions)
        partition->tell(TopicsChangedEvent{shard->state.topics, changed->name});
    });
  }
}

void GroupCoordinator::tell_configs() {
  for (auto& shard : per_shard_) {
    Executor& home = shard->state.env.executor;
    home.post([shard] {
      if (shard->stopped) return;
      for (auto& [key, partition] : shard->partitions) partition->tell(GroupConfigsEvent{shard->state.group_configs});
    });
  }
}

Task<JoinAnswer> GroupCoordinator::join(JoinRequest request) {
  const TaskContext& context = co_await current_context();
  Rng& rng = broker_.shards().env(context.executor->shard()).rng;
  std::string group = request.group;
  std::string member = request.member;
  JoinEvent event{.request = std::move(request), .fresh_id = fresh_id(rng)};
  JoinAnswer answer = co_await ask_group<JoinAnswer>(std::move(group), std::move(event), kNever);
  if (answer.error && answer.member.empty()) answer.member = std::move(member);
  co_return answer;
}

Task<SyncAnswer> GroupCoordinator::sync(SyncRequest request) {
  std::string group = request.group;
  co_return co_await ask_group<SyncAnswer>(std::move(group), std::move(request), kNever);
}

Task<HeartbeatAnswer> GroupCoordinator::heartbeat(HeartbeatRequest request) {
  std::string group = request.group;
  co_return co_await ask_group<HeartbeatAnswer>(std::move(group), std::move(request), kNever);
}

Task<LeaveAnswer> GroupCoordinator::leave(LeaveRequest request) {
  std::string group = request.group;
  co_return co_await ask_group<LeaveAnswer>(std::move(group), std::move(request), kNever);
}

Task<ConsumerHeartbeatAnswer> GroupCoordinator::consumer_heartbeat(ConsumerHeartbeatRequest request) {
  std::string group = request.group;
  if (request.regex && !request.regex->empty()) {
    const TaskContext& context = co_await current_context();
    Env& env = broker_.shards().env(context.executor->shard());
    Result<void> fine = co_await offload(env, [&request] { return check_pattern(*request.regex); });
    if (!fine.ok()) co_return ConsumerHeartbeatAnswer{.error = fine.error()};
  }
  if (request.member.empty() && !request.makes_id && request.epoch == kJoinEpoch) {
    const TaskContext& context = co_await current_context();
    const Env& env = broker_.shards().env(context.executor->shard());
    request.member = Uuid::from_random(env.rng.next(), env.rng.next()).to_string();
  }
  co_return co_await ask_group<ConsumerHeartbeatAnswer>(std::move(group), std::move(request), kNever);
}

Task<CommitAnswer> GroupCoordinator::commit_offsets(CommitRequest request) {
  std::string group = request.group;
  const Duration timeout = Millis(broker_.config().offsets_commit_timeout_ms);
  co_return co_await ask_group<CommitAnswer>(std::move(group), std::move(request), timeout);
}

Task<FetchOffsetsAnswer> GroupCoordinator::fetch_offsets(FetchOffsetsRequest request) {
  std::string group = request.group;
  co_return co_await ask_group<FetchOffsetsAnswer>(std::move(group), std::move(request), kNever);
}

Task<DeleteOffsetsAnswer> GroupCoordinator::delete_offsets(DeleteOffsetsRequest request) {
  std::string group = request.group;
  const Duration timeout = Millis(broker_.config().offsets_commit_timeout_ms);
  co_return co_await ask_group<DeleteOffsetsAnswer>(std::move(group), std::move(request), timeout);
}

namespace {

/// Positions in `groups`, by partition.
std::map<std::int32_t, std::vector<std::size_t>> by_partition(const std::vector<std::string>& groups,
                                                              std::size_t partitions) {
  std::map<std::int32_t, std::vector<std::size_t>> positions;
  for (std::size_t i = 0; i < groups.size(); ++i) positions[partition_of_group(groups[i], partitions).v].push_back(i);
  return positions;
}

std::vector<std::string> pick(const std::vector<std::string>& groups, const std::vector<std::size_t>& positions) {
  std::vector<std::string> picked;
  for (std::size_t i : positions) picked.push_back(groups[i]);
  return picked;
}

}  // namespace

template <class Description, class Ask>
Task<std::vector<Description>> GroupCoordinator::describe_as(std::vector<std::string> groups, Ask like) {
  const TaskContext& context = co_await current_context();
  const broker::TopicRef of = topic(context.executor->shard());
  std::vector<Description> answers(groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    answers[i].group = groups[i];
    if (of == nullptr) answers[i].error = Errc::group_not_found;  // nobody has ever had a group here
  }
  if (of == nullptr) co_return answers;
  for (auto& [partition, positions] : by_partition(groups, of->partitions.size())) {
    const PartitionIndex index{partition};
    Ask event = like;
    event.groups = pick(groups, positions);
    auto answer = co_await ask({of->partition(index)->home.v, {of->id, index}}, std::move(event), kForever);
    for (std::size_t i = 0; i < positions.size(); ++i) {
      if (answer.ok()) {
        answers[positions[i]] = std::move(std::get<std::vector<Description>>(*answer)[i]);
      } else {
        answers[positions[i]].error = answer.error();
      }
    }
  }
  co_return answers;
}

Task<std::vector<GroupDescription>> GroupCoordinator::describe(std::vector<std::string> groups, bool with_rebalances) {
  return describe_as<GroupDescription>(std::move(groups), DescribeEvent{{}, with_rebalances});
}

Task<std::vector<ConsumerGroupDescription>> GroupCoordinator::describe_consumers(std::vector<std::string> groups,
                                                                                 bool with_rebalances) {
  return describe_as<ConsumerGroupDescription>(std::move(groups), ConsumerDescribeEvent{{}, with_rebalances});
}

Task<GroupCoordinator::Listing> GroupCoordinator::list() {
  const TaskContext& context = co_await current_context();
  const broker::TopicRef of = topic(context.executor->shard());
  Listing listing;
  if (of == nullptr) co_return listing;
  for (std::size_t p = 0; p < of->partitions.size(); ++p) {
    const PartitionIndex index{static_cast<std::int32_t>(p)};
    auto answer = co_await ask({of->partitions[p].home.v, {of->id, index}}, ListEvent{}, kForever);
    if (!answer.ok()) {
      if (!listing.error) listing.error = answer.error();
      continue;
    }
    for (ListedGroup& group : std::get<std::vector<ListedGroup>>(*answer)) listing.groups.push_back(std::move(group));
  }
  std::ranges::sort(listing.groups, {}, &ListedGroup::group);
  co_return listing;
}

Task<std::vector<std::optional<Error>>> GroupCoordinator::delete_groups(std::vector<std::string> groups) {
  const TaskContext& context = co_await current_context();
  const TimePoint deadline = context.executor->now() + Millis(broker_.config().offsets_commit_timeout_ms);
  const broker::TopicRef of = topic(context.executor->shard());
  std::vector<std::optional<Error>> answers(groups.size());
  if (of == nullptr) {
    for (std::size_t i = 0; i < groups.size(); ++i)
      answers[i] = groups[i].empty() ? Errc::invalid_group_id : Errc::group_not_found;
    co_return answers;
  }
  for (auto& [partition, positions] : by_partition(groups, of->partitions.size())) {
    const PartitionIndex index{partition};
    DeleteGroupsEvent event{pick(groups, positions)};
    auto answer = co_await ask({of->partition(index)->home.v, {of->id, index}}, std::move(event), deadline);
    for (std::size_t i = 0; i < positions.size(); ++i)
      answers[positions[i]] =
          answer.ok() ? std::get<DeleteGroupsAnswer>(*answer).groups[i] : std::optional(answer.error());
  }
  co_return answers;
}

Task<GroupStats> GroupCoordinator::stats() {
  GroupStats sum;
  for (std::uint32_t s = 0; s < per_shard_.size(); ++s) {
    sum += co_await broker_.shards().call(ShardId{s}, [this, s] {
      GroupStats of_shard;
      for (const auto& [key, partition] : per_shard_[s]->partitions) of_shard += partition->stats();
      return of_shard;
    });
  }
  co_return sum;
}

Task<void> GroupCoordinator::watch_sizes() {
  Env& env = broker_.shards().env(ShardId{0});
  SizeAlarm groups(kGroupsAlarm), members(kMembersAlarm);
  while ((co_await sleep_until(env.now() + kSizesEvery)).ok()) {
    const GroupStats now = co_await stats();
    if (groups.crosses(now.groups))
      log_warn("coordinator", "there are many groups", {{"groups", now.groups}, {"more_than", groups.most()}});
    if (members.crosses(now.members))
      log_warn("coordinator", "groups have many members", {{"members", now.members}, {"more_than", members.most()}});
  }
}

Task<GroupCoordinator::Positions> GroupCoordinator::positions(std::size_t most) {
  Positions all;
  for (std::uint32_t s = 0; s < per_shard_.size(); ++s) {
    Positions some =
        co_await broker_.shards().call(ShardId{s}, [this, s, most] { return per_shard_[s]->positions(most); });
    std::ranges::move(some.positions, std::back_inserter(all.positions));
    all.left_out += some.left_out;
    all.whole &= some.whole;
  }
  co_return all;
}

}  // namespace mr::coordinator
