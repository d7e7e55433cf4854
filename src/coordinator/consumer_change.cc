#include "coordinator/consumer_change.h"

#include <algorithm>

#include "base/log.h"
#include "coordinator/jobs.h"

namespace mr::coordinator {

const ConsumerGroupState& consumer_state(const GroupState& state, std::string_view group) {
  static const ConsumerGroupState kNone;
  auto at = state.consumers.find(group);
  return at == state.consumers.end() ? kNone : at->second;
}

const ConsumerGroupState& consumer_state(const Deciding& d, std::string_view group) {
  return d.upgraded ? d.upgraded->state : consumer_state(d.state, group);
}

namespace {
constexpr std::int32_t kNotSettled = -1;
}  // namespace

GroupStateName consumer_group_state(const ConsumerGroupState& group) {
  if (group.members().empty()) return GroupStateName::empty;
  if (group.epoch() > group.target_epoch()) return GroupStateName::assigning;
  const bool all = std::ranges::all_of(group.members(), [&](const auto& entry) {
    const CurrentAssignment& current = group.current(entry.first);
    return current.state == ReconcileState::stable && current.epoch == group.target_epoch();
  });
  return all ? GroupStateName::stable : GroupStateName::reconciling;
}

ConsumerChange::ConsumerChange(Deciding& d, std::string_view group)
    : ConsumerChange(d, *d.live.consumers.find(group)) {}

ConsumerChange::ConsumerChange(Deciding& d, TextMap<LiveConsumerGroup>::value_type& live)
    : d_(d),
      name_(live.first),
      live_(live.second),
      first_record_(d.out.records.size()),
      before_(consumer_state(d, live.first)),
      epoch_(before_.epoch()),
      target_epoch_(before_.target_epoch()) {}

const ConsumerMember* ConsumerChange::member(std::string_view id) const {
  auto changed = members_.find(id);
  if (changed == members_.end()) return before_.member(id);
  return changed->second ? &*changed->second : nullptr;
}

const PartitionSet& ConsumerChange::target(std::string_view id) const {
  auto changed = targets_.find(id);
  return changed == targets_.end() ? before_.target(id) : changed->second;
}

const ResolvedRegex* ConsumerChange::regex(std::string_view pattern) const {
  auto changed = regexes_.find(pattern);
  return changed == regexes_.end() ? before_.regex(pattern) : &changed->second;
}

bool ConsumerChange::reads(const ConsumerMember& member, TopicId id) const {
  if (d_.live.topics == nullptr) return true;  // nobody knows yet
  const broker::TopicRef topic = d_.live.topics->find(id);
  if (topic == nullptr) return false;
  const ResolvedRegex* matched = member.regex ? regex(*member.regex) : nullptr;
  return std::ranges::binary_search(member.topics, topic->name) ||
         (matched != nullptr && std::ranges::binary_search(matched->topics, topic->name));
}

template <class F>
void ConsumerChange::for_each_member(F fn) const {
  for (const auto& [id, member] : before_.members())
    if (!members_.contains(id)) fn(id, member);
  for (const auto& [id, member] : members_)
    if (member) fn(id, *member);
}

void ConsumerChange::put_member(const std::string& id, ConsumerMember member) {
  const ConsumerMember* old = this->member(id);
  patterns_touched_ |= (old == nullptr ? std::nullopt : old->regex) != member.regex;
  d_.record(consumer_member_record(name_, id, member));
  members_.insert_or_assign(id, std::move(member));
  if (live_.sessions.try_emplace(id).second) {
    if (live_.sessions.size() == 1) ++d_.live.stats.groups_active;
    ++d_.live.stats.members;
  }
}

void ConsumerChange::remove_member(const std::string& id) {
  const ConsumerMember* old = member(id);
  patterns_touched_ |= old != nullptr && old->regex;
  // In the order that keeps every prefix of it readable: no member without its subscription.
  if (before_.currents().contains(id)) d_.record(current_assignment_tombstone(name_, id));
  if (before_.targets().contains(id)) d_.record(target_member_tombstone(name_, id));
  d_.record(consumer_member_tombstone(name_, id));
  members_.insert_or_assign(id, std::nullopt);
  targets_.insert_or_assign(id, PartitionSet{});
  settled_.insert_or_assign(id, kNotSettled);
  if (live_.sessions.erase(id) == 0) return;
  --d_.live.stats.members;
  if (live_.sessions.empty()) --d_.live.stats.groups_active;
}

void ConsumerChange::put_target(const std::string& id, PartitionSet target) {
  d_.record(target_member_record(name_, id, target));
  targets_.insert_or_assign(id, std::move(target));
}

void ConsumerChange::put_current(const std::string& id, const CurrentAssignment& current) {
  d_.record(current_assignment_record(name_, id, current));
  settled_.insert_or_assign(id, current.state == ReconcileState::stable ? current.epoch : kNotSettled);
  look_for_end();
}

void ConsumerChange::put_regex(const std::string& pattern, ResolvedRegex resolved) {
  d_.record(regex_record(name_, pattern, resolved));
  regexes_.insert_or_assign(pattern, std::move(resolved));
}

void ConsumerChange::bump(RebalanceReason reason) {
  if (bumped_) return;
  bumped_ = true;
  // Targets for the last rise are not there yet: they will answer this one as well.
  const bool joins_last = epoch_ > target_epoch_ && live_.history.under_way() != nullptr;
  ++epoch_;
  count_rebalance(d_, name_, live_.flaps, reason.cause);
  log_debug("coordinator", "a group has a new epoch",
            {{"group", name_}, {"epoch", epoch_}, {"cause", cause_name(reason.cause)}, {"member", reason.member}});
  if (!joins_last) live_.history.begin(d_.now.wall, d_.now.mono, std::move(reason));
}

bool ConsumerChange::everybody_settled() const {
  if (live_.sessions.empty()) return true;
  if (epoch_ > target_epoch_) return false;
  std::size_t settled = before_.settled_at(target_epoch_);
  for (const auto& [id, epoch] : settled_) {
    const CurrentAssignment& was = before_.current(id);
    if (was.epoch == target_epoch_ && was.state == ReconcileState::stable) --settled;
    if (epoch == target_epoch_) ++settled;
  }
  return settled == live_.sessions.size();
}

void ConsumerChange::look_for_end() {
  Rebalance* round = live_.history.under_way();
  if (round == nullptr || !everybody_settled()) return;
  round->took = d_.now.mono - round->began_mono;
  round->generation = epoch_;
  round->members = live_.sessions.size();
  round->moved = round->moved.value_or(0);
}

std::vector<std::string_view> ConsumerChange::topics_read() const {
  if (members_.empty() && regexes_.empty()) return before_.subscribed();
  std::vector<std::string_view> all;
  const std::vector<std::string>* last = nullptr;  // members mostly read the same
  for_each_member([&](const std::string&, const ConsumerMember& member) {
    if (last != nullptr && *last == member.topics) return;
    all.insert(all.end(), member.topics.begin(), member.topics.end());
    last = &member.topics;
  });
  for (const std::string& pattern : patterns())
    if (const ResolvedRegex* resolved = regex(pattern))
      all.insert(all.end(), resolved->topics.begin(), resolved->topics.end());
  sort_once(all);
  return all;
}

std::vector<std::string> ConsumerChange::patterns() const {
  if (!patterns_touched_) return before_.patterns();
  std::vector<std::string> all;
  for_each_member([&](const std::string&, const ConsumerMember& member) {
    if (member.regex) all.push_back(*member.regex);
  });
  sort_once(all);
  return all;
}

bool ConsumerChange::waits_for_patterns() const {
  if (!patterns_touched_ && !before_.has_patterns()) return false;  // asked at every heartbeat
  return std::ranges::any_of(patterns(), [this](const std::string& pattern) { return regex(pattern) == nullptr; });
}

/// What of a topic makes targets change: which one it is and how many partitions it has. Kafka's value is another; a
/// log that changes hands costs each group one rebalance that moves nothing.
std::int64_t ConsumerChange::metadata_hash() const {
  std::uint64_t hash = 0;
  auto mix = [&hash](std::uint64_t v) {
    hash ^= v + 0x9e3779b97f4a7c15ull + (hash << 6) + (hash >> 2);
    hash *= 0xff51afd7ed558ccdull;
  };
  if (d_.live.topics == nullptr) return 0;
  for (std::string_view name : topics_read()) {
    const broker::TopicRef topic = d_.live.topics->find(name);
    if (topic == nullptr) continue;
    mix(topic->id.v.high);
    mix(topic->id.v.low);
    mix(topic->partitions.size());
  }
  return static_cast<std::int64_t>(hash);
}

void ConsumerChange::match_patterns() {
  std::vector<std::string> all = patterns();
  if (all.empty() || d_.live.topics == nullptr) return;
  if (live_.matching) {
    live_.match_again = true;
    return;
  }
  live_.matching = std::make_shared<const std::vector<std::string>>(std::move(all));
  d_.reply(kNobody, MatchJob{name_, live_.matching, d_.live.topics});
}

void ConsumerChange::forget_unused_patterns() {
  const std::vector<std::string> used = patterns();
  for (const auto& [pattern, resolved] : before_.regexes())
    if (!std::ranges::binary_search(used, pattern)) d_.record(regex_tombstone(name_, pattern));
}

Millis ConsumerChange::assignment_interval() const { return Millis(d_.consumer_times(name_).assignment_interval_ms); }

bool ConsumerChange::assign_now() const {
  if (live_.assigning) return false;
  return !live_.assigned_before || d_.now.mono >= live_.assigned_at + assignment_interval();
}

/// Before all that it is for: what is stored in part must not look as if nothing was left to do.
void ConsumerChange::write_epoch() {
  auto& records = d_.out.records;
  records.insert(records.begin() + static_cast<std::ptrdiff_t>(first_record_),
                 group_epoch_record(name_, {epoch_, metadata_hash()}));
}

bool ConsumerChange::fits_one_batch() const {
  std::size_t bytes = 0;
  for (std::size_t i = first_record_; i < d_.out.records.size(); ++i) bytes += stored_bytes(d_.out.records[i]);
  return bytes <= d_.settings.record_bytes_max;
}

void ConsumerChange::settle() {
  begin_whole();
  if (patterns_touched_) {
    forget_unused_patterns();
    if (waits_for_patterns()) match_patterns();
  }
  if (live_.sessions.empty()) {
    live_.empty_since = d_.now.wall;
    d_.live.deadlines.disarm(live_.assign);
    arm_consumer_expiry(d_, name_, live_, d_.settings.retention_check);
  } else if (epoch_ > target_epoch_) {
    make_targets();
  }
  look_for_end();
}

/// Nobody is in epoch 0: a group begins in epoch 1, with targets of nothing.
void ConsumerChange::begin_whole() {
  const bool is_new = before_.epoch() == 0 && !live_.sessions.empty();
  if (is_new) ++epoch_;
  if (is_new || bumped_) write_epoch();
  if (target_epoch_ != 0 || live_.sessions.empty()) return;
  target_epoch_ = 1;
  d_.record(target_epoch_record(name_, {target_epoch_, d_.now.wall}));
}

void ConsumerChange::make_targets() {
  const bool now = assign_now();
  std::shared_ptr<AssignorInput> input;
  if (now) input = assignor_input();
  const bool here = now && work_of(*input) <= d_.settings.assign_on_shard_max;
  if (!now) {
    if (!live_.assigning)
      d_.arm(live_.assign, live_.assigned_at + assignment_interval() - d_.now.mono,
             {DeadlineKind::consumer_assign, name_, {}});
    return;
  }
  live_.assigned_at = d_.now.mono;
  live_.assigned_before = true;
  d_.live.deadlines.disarm(live_.assign);
  AssignJob job{name_, epoch_, assignor(), input};
  if (here) {
    take_targets(*input, run(job).output, epoch_);
    return;
  }
  live_.assigning = input;
  d_.reply(kNobody, std::move(job));
}

void ConsumerChange::settle(const AssignedEvent& made) {
  live_.assigning.reset();
  if (made.epoch > target_epoch_) take_targets(*made.input, made.output, made.epoch);
  settle();
}

std::shared_ptr<const Assignor> ConsumerChange::assignor() const {
  std::map<std::string, std::size_t, std::less<>> votes;
  for_each_member([&](const std::string&, const ConsumerMember& member) {
    if (member.assignor) ++votes[*member.assignor];
  });
  return preferred_assignor(d_.settings, votes);
}

std::shared_ptr<const Assignor> preferred_assignor(const GroupSettings& settings,
                                                   const std::map<std::string, std::size_t, std::less<>>& votes) {
  MR_CHECK(!settings.assignors.empty());
  std::shared_ptr<const Assignor> best = settings.assignors.front();
  std::size_t most = 0;
  for (const auto& assignor : settings.assignors) {
    auto at = votes.find(assignor->name());
    if (at == votes.end() || at->second <= most) continue;
    most = at->second;
    best = assignor;
  }
  return best;
}

namespace {

/// Places of a member's topics among those there are, ascending.
std::vector<std::uint32_t> places(const AssignorInput& input, const std::vector<std::string_view>& names) {
  std::vector<std::uint32_t> found;
  for (std::string_view name : names) {
    auto at = std::ranges::lower_bound(input.topics, name, {}, &AssignorTopic::name);
    if (at != input.topics.end() && at->name == name)
      found.push_back(static_cast<std::uint32_t>(at - input.topics.begin()));
  }
  sort_once(found);
  return found;
}

/// What of its last target it may keep: topics that are there and that it reads, partitions that nobody before it has.
Share kept(const AssignorInput& input, const AssignorMember& member, const PartitionSet& target,
           std::vector<std::vector<bool>>& taken) {
  Share share;
  for (std::uint32_t place : member.topics) {
    auto at = target.find(input.topics[place].id);
    if (at == target.end()) continue;
    TopicShare one{.topic = place, .partitions = {}};
    for (std::int32_t partition : at->second) {
      if (partition < 0 || partition >= input.topics[place].partitions) continue;
      auto bit = taken[place][static_cast<std::size_t>(partition)];
      if (bit) continue;
      bit = true;
      one.partitions.push_back(partition);
    }
    if (!one.partitions.empty()) share.push_back(std::move(one));
  }
  return share;
}

/// Partitions of `now` that are not in `before`.
std::size_t newly_in(const PartitionSet& now, const PartitionSet& before) {
  std::size_t count = 0;
  for (const auto& [topic, partitions] : now) {
    auto at = before.find(topic);
    count += at == before.end()
                 ? partitions.size()
                 : static_cast<std::size_t>(std::ranges::count_if(partitions, [&](std::int32_t partition) {
                     return !std::ranges::binary_search(at->second, partition);
                   }));
  }
  return count;
}

}  // namespace

std::shared_ptr<AssignorInput> ConsumerChange::assignor_input() const {
  auto input = std::make_shared<AssignorInput>();
  for (std::string_view name : topics_read()) {
    const broker::TopicRef topic = d_.live.topics == nullptr ? nullptr : d_.live.topics->find(name);
    if (topic != nullptr)
      input->topics.push_back({.id = topic->id,
                               .name = topic->name,
                               .partitions = static_cast<std::int32_t>(topic->partitions.size()),
                               .racks = {}});
  }
  std::vector<std::vector<bool>> taken;
  for (const AssignorTopic& topic : input->topics)
    taken.emplace_back(static_cast<std::size_t>(topic.partitions), false);

  std::vector<std::string> last_topics;
  std::optional<std::string> last_regex;
  std::vector<std::uint32_t> last_places;
  bool first = true;
  for_each_member([&](const std::string& id, const ConsumerMember& member) {
    if (first || member.topics != last_topics || member.regex != last_regex) {
      std::vector<std::string_view> names(member.topics.begin(), member.topics.end());
      const ResolvedRegex* resolved = member.regex ? regex(*member.regex) : nullptr;
      if (resolved != nullptr) names.insert(names.end(), resolved->topics.begin(), resolved->topics.end());
      last_places = places(*input, names);
      last_topics = member.topics;
      last_regex = member.regex;
      first = false;
    }
    AssignorMember& into = input->members.emplace_back(
        AssignorMember{.id = id, .instance = member.instance, .rack = member.rack, .topics = last_places, .owned = {}});
    into.owned = kept(*input, into, target(id), taken);
  });
  std::ranges::sort(input->members, {}, [](const AssignorMember& m) {
    return std::pair(!m.instance, std::string_view(m.instance ? *m.instance : m.id));
  });
  return input;
}

std::optional<Error> ConsumerChange::too_much_for_one(const AssignorOutput& output) const {
  constexpr std::size_t kBytesOfPartition = 9;  // in the current assignment, with its epoch
  for (const Share& share : output) {
    std::size_t partitions = 0;
    for (const TopicShare& one : share) partitions += one.partitions.size() + 3;
    if (partitions * kBytesOfPartition > d_.settings.record_bytes_max)
      return Error(Errc::group_record_too_large, "more partitions for one member than a record can hold");
  }
  return std::nullopt;
}

const std::string* ConsumerChange::in_place_of(const AssignorMember& then) const {
  if (member(then.id) != nullptr) return &then.id;
  const std::string* holder = then.instance ? before_.holder(*then.instance) : nullptr;
  return holder != nullptr && member(*holder) != nullptr ? holder : nullptr;
}

void ConsumerChange::take_targets(const AssignorInput& input, const Result<AssignorOutput>& output,
                                  std::int32_t epoch) {
  const std::optional<Error> unusable = output.ok() ? too_much_for_one(*output) : std::optional(output.error());
  if (unusable) {
    log_error("coordinator", "an assignor's answer is not used; the group keeps what it has",
              {{"group", name_}, {"epoch", epoch}, {"error", unusable->message()}});
  } else {
    MR_CHECK(output->size() == input.members.size());
    std::size_t moved = 0;
    for (std::size_t m = 0; m < input.members.size(); ++m) {
      const std::string* found = in_place_of(input.members[m]);
      if (found == nullptr) continue;  // it has left meanwhile
      const std::string& id = *found;
      PartitionSet wanted;
      for (const TopicShare& share : (*output)[m]) wanted[input.topics[share.topic].id] = share.partitions;
      const bool stored = targets_.contains(id) || before_.targets().contains(id);
      if (stored && target(id) == wanted) continue;
      moved += newly_in(wanted, target(id));
      put_target(id, std::move(wanted));
    }
    if (Rebalance* round = live_.history.under_way()) {
      round->generation = epoch;
      round->moved = round->moved.value_or(0) + moved;
    }
  }
  // Last: what is torn before it is made again.
  target_epoch_ = epoch;
  d_.record(target_epoch_record(name_, {epoch, d_.now.wall}));
  ++d_.live.stats.rebalances_completed;
}

Millis session_timeout(const Deciding& d, std::string_view group, const ConsumerMember& member) {
  return member.classic ? member.classic->session_timeout : Millis(d.consumer_times(group).session_timeout_ms);
}

void heard_consumer(Deciding& d, std::string_view group, LiveConsumerGroup& live, const std::string& member,
                    Millis timeout) {
  LiveConsumerGroup::Session& session = live.sessions.find(member)->second;
  session.last_heard = d.now.mono;
  if (d.live.deadlines.postpone(session.session, d.now.mono + timeout)) return;
  d.arm(session.session, timeout, {DeadlineKind::consumer_session, std::string(group), member});
}

bool other_subscription(const ConsumerMember* before, const ConsumerMember& after) {
  return before == nullptr || before->topics != after.topics || before->regex != after.regex;
}

bool changes_targets(const ConsumerChange& change, const ConsumerMember* before, const ConsumerMember& after) {
  if (before == nullptr ? !after.topics.empty() : before->topics != after.topics) return true;
  if (before != nullptr && (before->rack != after.rack || before->assignor != after.assignor)) return true;
  if (before != nullptr && before->regex == after.regex) return false;
  return after.regex ? change.is_matched(*after.regex) : before != nullptr;
}

void take_over(ConsumerChange& change, const std::string& old_id, const std::string& new_id, ConsumerMember asks) {
  PartitionSet target = change.target(old_id);
  change.remove_member(old_id);
  change.put_member(new_id, std::move(asks));
  change.put_target(new_id, std::move(target));
  // A part of it may be stored, which would leave partitions to nobody: then targets are made again.
  if (!change.fits_one_batch()) change.bump({RebalanceCause::member_replaced, new_id});
}

CurrentAssignment move_on(Deciding& d, ConsumerChange& change, const Step& step) {
  const std::string& id = step.member;
  const std::function<bool(TopicId, std::int32_t)> is_free = [&](TopicId topic, std::int32_t partition) {
    return change.before().is_free(topic, partition);
  };
  const std::function<bool(TopicId)> is_subscribed = [&](TopicId topic) {
    return change.reads(*change.member(id), topic);
  };
  const std::optional<CurrentAssignment> moved = reconcile({.current = step.before,
                                                            .target_epoch = change.target_epoch(),
                                                            .target = change.target(id),
                                                            .owned = step.owned,
                                                            .is_free = is_free,
                                                            .is_subscribed = is_subscribed,
                                                            .subscription_changed = step.subscription_changed});
  if (!moved && change.before().currents().contains(id)) return step.before;
  LiveConsumerGroup::Session& session = change.live().sessions.find(id)->second;
  const CurrentAssignment& after = moved ? *moved : step.before;
  change.put_current(id, after);
  if (after.state == ReconcileState::unrevoked) {
    d.arm(session.revoke, change.member(id)->rebalance_timeout, {DeadlineKind::consumer_revoke, change.name(), id});
  } else {
    d.live.deadlines.disarm(session.revoke);
  }
  return after;
}

void remove_consumers(Deciding& d, const std::string& group, const std::vector<std::string>& members,
                      RebalanceReason reason) {
  if (members.empty()) return;
  if (may_downgrade(d, group, members, 0) && downgrade(d, group, members, reason)) return;
  ConsumerChange change(d, group);
  for (const std::string& id : members) change.remove_member(id);
  change.bump(std::move(reason));
  change.settle();
}

std::vector<broker::StateRecord> consumer_tombstones(const ConsumerGroupState& group, std::string_view name) {
  std::vector<broker::StateRecord> all;
  for (const auto& [id, current] : group.currents()) all.push_back(current_assignment_tombstone(name, id));
  for (const auto& [id, target] : group.targets()) all.push_back(target_member_tombstone(name, id));
  for (const auto& [id, member] : group.members()) all.push_back(consumer_member_tombstone(name, id));
  for (const auto& [pattern, resolved] : group.regexes()) all.push_back(regex_tombstone(name, pattern));
  if (group.target_epoch() != 0) all.push_back(target_epoch_tombstone(name));
  if (group.epoch() != 0) all.push_back(group_epoch_tombstone(name));
  return all;
}

void erase_consumer_group(Deciding& d, std::string_view name) {
  for (broker::StateRecord& record : consumer_tombstones(consumer_state(d.state, name), name))
    d.record(std::move(record));
  auto live = d.live.consumers.find(name);
  if (live == d.live.consumers.end()) return;
  MR_CHECK(live->second.sessions.empty());
  d.live.consumers.erase(live);
}

void arm_consumer_expiry(Deciding& d, std::string_view group, LiveConsumerGroup& live, Duration in) {
  const TimePoint at = d.now.mono + in;
  if (live.expiry.at <= at) return;
  d.live.deadlines.arm(live.expiry, at, {DeadlineKind::consumer_expiry, std::string(group), {}});
}

}  // namespace mr::coordinator
