#include "cli/bench_group_load.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/groups.h"

namespace mr::cli {

namespace {

/// Connections while groups are made: a coordinator may let a new group wait for seconds, and its members' connections
/// with it.
constexpr std::size_t kBuildLinks = 300;
constexpr std::size_t kRemovers = 8;
constexpr Duration kFailurePause = std::chrono::milliseconds(100);
/// Between the word to stop and what is under way being broken off.
constexpr Duration kGrace = std::chrono::seconds(2);
constexpr Duration kKeepEvery = std::chrono::seconds(1);
/// A quarter of the session of members of KIP-848, which is the broker's to choose: 45 s unless it was changed.
constexpr Duration kConsumerSilence = std::chrono::seconds(10);

std::string_view work_name(GroupWork work) {
  constexpr std::string_view kNames[] = {"heartbeat", "commit", "join", "rebalance"};
  return kNames[static_cast<std::size_t>(work)];
}

}  // namespace

GroupLoad::GroupLoad(Session& session, const BenchGroups& command, client::TopicInfo topic)
    : session_(session),
      command_(command),
      driver_(session, std::move(topic), command.consumer_protocol, Millis(command.session_ms)),
      meter_(session, command.warm_up_seconds, command.progress, "operation"),
      line_(session.common, command.progress),
      groups_(command.groups),
      feeders_(session.env.executor),
      work_(session.env.executor),
      repairs_(session.env.executor),
      grace_(session.env.executor) {
  const auto run = static_cast<std::uint32_t>(session.env.rng.next());
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    groups_[g].name = fmt::format("bench-{:08x}-{}", run, g);
    groups_[g].members.resize(command.members);
  }
}

GroupLoad::Links& GroupLoad::make_links(std::size_t count) {
  Links& links = links_.emplace_back();
  for (std::size_t i = 0; i < count; ++i) links.push_back(std::make_unique<GroupLink>(session_));
  return links;
}

/// Signals cancel this one; the work goes on beside it to its own end.
Task<Result<int>> GroupLoad::run() {
  Scope work(session_.env.executor);
  work.spawn("bench groups", all(*this));
  while (!over_) {
    if ((co_await over_changed_.wait()).ok()) continue;
    interrupted_ = !removing_;
    if (interrupted_) stop_soon();
    break;
  }
  co_await work.drained();
  if (error_) {
    meter_.failures.tell();
    co_return *error_;
  }
  co_return meter_.finish(summary());
}

Task<void> GroupLoad::all(GroupLoad& self) {
  co_await self.settle();
  if (!self.stopping_) co_await self.load();
  self.removing_ = self.broken_off_ = true;
  co_await self.grace_.stop();
  co_await self.close_all();
  co_await self.remove_all();
  co_await self.close_all();
  self.over_ = true;
  self.over_changed_.notify_all();
}

/// A line about groups that are made or removed.
Task<void> GroupLoad::tell(GroupLoad& self, std::string_view what) {
  const auto every = self.line_.every();
  if (!every) co_return;
  do self.line_.show(fmt::format("{} groups: {} of {}", what, self.groups_done_, self.groups_.size()));
  while ((co_await sleep_until(self.session_.env.now() + *every)).ok());
  self.line_.clear();
}

// ---- making groups ------------------------------------------------------------------------------------------------

Task<void> GroupLoad::settle() {
  const double began = session_.seconds();
  std::vector<std::string> names;
  for (const Group& group : groups_) names.push_back(group.name);
  auto found = co_await client::find_coordinators(session_.cluster, names, session_.deadline());
  if (!found.ok()) {
    error_ = found.error();
    stop_soon();
    co_return;
  }
  for (std::size_t g = 0; g < groups_.size(); ++g) groups_[g].coordinator = std::move((*found)[g]);
  Scope show(session_.env.executor);
  show.spawn("bench line", tell(*this, "making"));
  const std::size_t builders =
      std::clamp<std::size_t>(kBuildLinks / driver_.lane_width(command_.members), 1, groups_.size());
  for (std::size_t i = 0; i < builders; ++i) work_.spawn("bench builder", build_some(*this));
  co_await work_.drained();
  co_await show.stop();
  settle_seconds_ = session_.seconds() - began;
}

Task<void> GroupLoad::build_some(GroupLoad& self) {
  const Links& lane = self.make_links(self.driver_.lane_width(self.command_.members));
  while (!self.stopping_ && self.next_group_ < self.groups_.size()) {
    Group& group = self.groups_[self.next_group_++];
    Outcome failed = co_await self.build(group, lane);
    if (!failed) {
      ++self.groups_done_;
    } else if (!self.stopping_) {
      self.error_ = std::move(failed->why);
      self.stop_soon();
    }
  }
  for (const auto& link : lane) co_await link->close();
}

/// Again until --timeout-ms while a coordinator is being made, moved or loaded.
Task<Outcome> GroupLoad::build(Group& group, Lane lane) {
  const TimePoint deadline = session_.deadline();
  for (;;) {
    group.begun = true;
    Outcome failed = co_await driver_.build(group, lane);
    const TimePoint next = session_.env.now() + kFailurePause;
    if (!failed || stopping_ || !failed->passes() || next > deadline) co_return failed;
    (void)co_await driver_.leave(group, *lane.front(), deadline);
    group.coordinator.reset();
    (void)co_await sleep_until(next);
  }
}

// ---- the load -----------------------------------------------------------------------------------------------------

std::size_t GroupLoad::window() const {
  return in_lanes() ? command_.connections / command_.members
                    : static_cast<std::size_t>(command_.connections) * command_.in_flight;
}

/// What is timed begins with connections that are there.
Task<Result<void>> GroupLoad::connect() {
  std::map<BrokerId, client::BrokerInfo> coordinators;
  for (const Group& group : groups_) coordinators.emplace(group.coordinator->id, *group.coordinator);
  for (const auto& link : *load_links_)
    for (const auto& [id, broker] : coordinators) MR_CO_TRY_VOID(co_await link->to(broker, session_.deadline()));
  co_return Result<void>{};
}

void GroupLoad::make_pacer() {
  meter_.begin();
  if (command_.operations == 0) ends_ = meter_.counts_from() + seconds_of(command_.seconds);
  pacer_.emplace(Pacer::Options{.rate = command_.rate,
                                .start = session_.env.now(),
                                .counts_from = meter_.counts_from(),
                                .ends = ends_,
                                .records_max = command_.operations == 0 ? Pacer::kNoBound : command_.operations,
                                .batch_records_max = 1});
}

Task<void> GroupLoad::load() {
  load_links_ = &make_links(command_.connections);
  if (auto connected = co_await connect(); !connected.ok()) {
    if (!stopping_) error_ = connected.error();
    co_return;
  }
  if (in_lanes())
    for (std::size_t l = 0; l < window(); ++l) idle_lanes_.push_back(l * command_.members);
  const std::size_t actors = of_members() ? groups_.size() * command_.members : groups_.size();
  for (std::size_t a = 0; a < actors; ++a) idle_.push_back(a);
  make_pacer();
  Scope beside(session_.env.executor);
  beside.spawn("bench line", Meter::show(meter_));
  for (std::size_t l = 0; l < load_links_->size(); ++l) beside.spawn("bench keeper", keep(*this, l));
  feeders_.spawn("bench feeder", feed(*this));
  co_await feeders_.drained();
  fed_ = true;
  owed_ = pacer_->owed(session_.env.now());
  co_await work_.drained();
  co_await beside.stop();
  co_await repairs_.drained();
}

std::optional<std::size_t> GroupLoad::next_actor() {
  while (!idle_.empty()) {
    const std::size_t actor = idle_.front();
    idle_.pop_front();
    if (!group_of(actor).broken) return actor;
    group_of(actor).parked.push_back(actor);
  }
  return std::nullopt;
}

Task<void> GroupLoad::feed(GroupLoad& self) {
  Env& env = self.session_.env;
  const TimePoint last_call = self.ends_ == kForever ? kForever : self.ends_ + Pacer::kLateMax;
  for (;;) {
    std::optional<std::size_t> actor;
    while (!self.stopping_ && (self.under_way_ >= self.window() || !(actor = self.next_actor())))
      if (!(co_await self.changed_.wait(last_call)).ok()) co_return;
    Result<void> waited;
    std::optional<TimePoint> at;
    TimePoint now = env.now();
    while (waited.ok() && (at = self.pacer_->ready(now)) && *at > now) {
      waited = co_await sleep_until(*at);
      now = env.now();
    }
    if (!waited.ok() || !at || self.stopping_) co_return;
    Group& group = self.group_of(*actor);
    if (group.broken) {  // meanwhile
      group.parked.push_back(*actor);
      continue;
    }
    ++self.under_way_;
    ++group.under_way;
    self.work_.spawn("bench operation", operate(self, *actor, self.pacer_->take(now)));
  }
}

Task<void> GroupLoad::operate(GroupLoad& self, std::size_t actor, DueRecords due) {
  Outcome failed = co_await self.act(actor);
  if (!failed) {
    self.meter_.done(due, 0, 0);
  } else {
    self.failed(self.group_of(actor), *failed);
  }
  self.ended(actor);
}

Task<Outcome> GroupLoad::act(std::size_t actor) {
  Group& group = group_of(actor);
  const std::size_t member = actor % command_.members;
  GroupLink& link = *(*load_links_)[actor % load_links_->size()];
  if (command_.work == GroupWork::heartbeat) co_return co_await driver_.heartbeat(group, member, link);
  if (command_.work == GroupWork::commit)
    co_return co_await driver_.commit(group, member, link, static_cast<std::size_t>(command_.commit_partitions));
  if (command_.consumer_protocol) co_return co_await driver_.replace(group, link);
  if (!in_lanes()) co_return co_await act_all(group, Lane(*load_links_).subspan(actor % load_links_->size(), 1));
  const std::size_t first = idle_lanes_.back();
  idle_lanes_.pop_back();
  Outcome failed = co_await act_all(group, Lane(*load_links_).subspan(first, command_.members));
  idle_lanes_.push_back(first);
  co_return failed;
}

Task<Outcome> GroupLoad::act_all(Group& group, Lane lane) {
  if (Outcome failed = co_await driver_.join(group, lane)) co_return failed;
  if (command_.work == GroupWork::join) co_return std::nullopt;
  co_return co_await driver_.sync(group, lane);
}

void GroupLoad::failed(Group& group, const Trouble& trouble) {
  group.broken = true;
  if (broken_off_) return;
  meter_.failures.add(trouble.name(), trouble.why);
  const bool long_ago = session_.env.now() - meter_.alive() > Millis(session_.common.timeout_ms);
  if (!trouble.passes() || long_ago) stop_soon();
}

void GroupLoad::ended(std::size_t actor) {
  Group& group = group_of(actor);
  --under_way_;
  --group.under_way;
  (group.broken ? group.parked.push_back(actor) : idle_.push_back(actor));
  if (group.broken && group.under_way == 0) repairs_.spawn("bench repair", repair(*this, group));
  changed_.notify_all();
}

/// Members that the coordinator may still know leave first: they would be waited for.
Task<void> GroupLoad::repair(GroupLoad& self, Group& group) {
  const Links& lane = self.make_links(self.driver_.lane_width(self.command_.members));
  while (group.broken && !self.stopping_ && !self.fed_) {
    group.coordinator.reset();
    Outcome failed = co_await self.driver_.leave(group, *lane.front(), self.session_.deadline());
    if (!failed) failed = co_await self.driver_.build(group, lane);
    group.broken = failed.has_value();
    if (!failed) break;
    const bool long_ago = self.session_.env.now() - self.meter_.alive() > Millis(self.session_.common.timeout_ms);
    if (!failed->passes() || long_ago) self.failed(group, *failed);
    (void)co_await sleep_until(self.session_.env.now() + kFailurePause);
  }
  for (const auto& link : lane) co_await link->close();
  if (group.broken) co_return;
  self.idle_.insert(self.idle_.end(), group.parked.begin(), group.parked.end());
  group.parked.clear();
  self.changed_.notify_all();
}

Task<void> GroupLoad::keep(GroupLoad& self, std::size_t index) {
  Env& env = self.session_.env;
  const std::size_t links = self.load_links_->size(), members = self.command_.members;
  const Duration silence =
      self.command_.consumer_protocol ? kConsumerSilence : Duration(Millis(self.command_.session_ms)) / 4;
  while ((co_await sleep_until(env.now() + std::min(kKeepEvery, silence))).ok())
    for (std::size_t i = index; i < self.groups_.size() * members && !self.stopping_; i += links) {
      Group& group = self.groups_[i / members];
      if (env.now() - group.members[i % members].told > silence)
        co_await self.keep_member(group, i % members, *(*self.load_links_)[index]);
    }
}

Task<void> GroupLoad::keep_member(Group& group, std::size_t index, GroupLink& link) {
  auto busy = [&] { return group.broken || (!of_members() && group.under_way > 0); };
  if (busy()) co_return;
  const BenchMember before = group.members[index];
  Outcome failed = co_await driver_.heartbeat(group, index, link);
  const BenchMember& now = group.members[index];
  // What a round that began meanwhile makes of it is no failure.
  if (!failed || busy() || now.id != before.id || now.generation != before.generation) co_return;
  if (failed->why.code() == Errc::cancelled) co_return;
  this->failed(group, *failed);
  if (group.under_way == 0) repairs_.spawn("bench repair", repair(*this, group));
}

// ---- the end ------------------------------------------------------------------------------------------------------

void GroupLoad::stop_soon() {
  if (stopping_) return;
  stopping_ = true;
  feeders_.cancel();
  changed_.notify_all();
  grace_.spawn("bench grace", break_off(*this));
}

Task<void> GroupLoad::break_off(GroupLoad& self) {
  if (!(co_await sleep_until(self.session_.env.now() + kGrace)).ok()) co_return;
  self.broken_off_ = true;
  co_await self.close_all();
}

Task<void> GroupLoad::close_all() {
  for (Links& links : links_)
    for (auto& link : links) co_await link->close();
}

Task<void> GroupLoad::remove_all() {
  next_group_ = groups_done_ = 0;
  Scope show(session_.env.executor), removers(session_.env.executor);
  show.spawn("bench line", tell(*this, "removing"));
  const TimePoint deadline = session_.deadline();
  for (std::size_t i = 0; i < std::min(kRemovers, groups_.size()); ++i)
    removers.spawn("bench remover", remove_some(*this, deadline));
  co_await removers.drained();
  co_await show.stop();
}

/// By a link of its own: a join that still waits may hold up the others.
Task<void> GroupLoad::remove_some(GroupLoad& self, TimePoint deadline) {
  GroupLink& link = *self.make_links(1).front();
  while (self.next_group_ < self.groups_.size()) {
    Group& group = self.groups_[self.next_group_++];
    if (group.begun) {
      Outcome failed = co_await self.remove(group, link, deadline);
      if (failed)
        self.meter_.failures.add(
            failed->name(),
            Error(failed->why.code(), fmt::format("group '{}' is left behind: {}", group.name, failed->why.detail())));
    }
    ++self.groups_done_;
  }
  co_await link.close();
}

Task<Outcome> GroupLoad::remove(Group& group, GroupLink& link, TimePoint deadline) {
  for (;;) {
    Outcome failed = co_await driver_.leave(group, link, deadline);
    if (!failed) {
      auto deleted = co_await client::delete_group(link.cluster(), group.name, deadline);
      if (deleted.ok() || deleted.code() == Errc::group_not_found) co_return std::nullopt;
      failed = Trouble{.why = deleted.error()};
    }
    const TimePoint next = session_.env.now() + kFailurePause;
    const bool unreachable = failed->why.code() == Errc::connection_refused;
    if (unreachable || !failed->passes() || next > deadline) co_return failed;
    (void)co_await sleep_until(next);
  }
}

Meter::Summary GroupLoad::summary() const {
  const std::string_view work = work_name(command_.work);
  const std::string_view protocol = command_.consumer_protocol ? "consumer" : "classic";
  const std::size_t partitions = driver_.topic().partitions.size();
  const std::string at_once = in_lanes() ? fmt::format(", {} at once", plural(window(), "group"))
                                         : fmt::format(" x {} in flight", command_.in_flight);
  const std::string what =
      command_.work == GroupWork::commit
          ? fmt::format(" of {}", plural(static_cast<std::uint64_t>(command_.commit_partitions), "partition"))
          : "";
  const std::string pace = command_.rate > 0 ? fmt::format("{}/s are due", command_.rate) : std::string("full speed");
  Value::Object shape = {{"operation", work},
                         {"protocol", protocol},
                         {"groups", command_.groups},
                         {"members", command_.members},
                         {"topic", command_.topic},
                         {"partitions", partitions},
                         {"connections", command_.connections},
                         {"at_once", window()},
                         {"rate", command_.rate},
                         {"warm_up_seconds", command_.warm_up_seconds},
                         {"settle_seconds", settle_seconds_}};
  if (command_.work == GroupWork::commit) shape.emplace_back("commit_partitions", command_.commit_partitions);
  return {
      .work = "groups",
      .line = fmt::format("{}{}, {} x {} ({}), {} ({}), {}{}, {}", work, what, plural(command_.groups, "group"),
                          plural(command_.members, "member"), protocol, command_.topic, plural(partitions, "partition"),
                          plural(command_.connections, "connection"), at_once, pace),
      .shape = std::move(shape),
      .interrupted = interrupted_,
      .owed = owed_};
}

}  // namespace mr::cli
