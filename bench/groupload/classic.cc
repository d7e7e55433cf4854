#include "bench/groupload/classic.h"

#include <fmt/format.h>

#include <algorithm>

namespace mr::bench {
namespace {

constexpr std::size_t kAssignmentBytes = 32;
/// A request's part: its step in the high half, the member in the low.
constexpr std::uint32_t kStepShift = 16;

}  // namespace

std::vector<ClassicGroup> name_groups(const std::string& prefix, std::size_t groups, std::size_t members) {
  std::vector<ClassicGroup> all(groups);
  for (std::size_t g = 0; g < groups; ++g) {
    all[g].name = fmt::format("{}-{}", prefix, g);
    all[g].members.resize(members);
  }
  return all;
}

Rounds::Rounds(Runner& runner, std::vector<ClassicGroup>& groups, Options options)
    : runner_(runner), groups_(groups), options_(std::move(options)), rounds_(groups.size()) {
  const std::size_t members = groups.front().members.size();
  for (std::size_t lane = 0; lane + members <= runner.connections(); lane += members) lanes_.push_back(lane);
  // Joins of groups of one wait for nobody: any number of them can share a connection.
  if (members == 1)
    while (lanes_.size() < groups.size()) lanes_.push_back(lanes_.size() % runner.connections());
}

std::size_t Rounds::at_once() const { return std::min(lanes_.size(), groups_.size()); }

void Rounds::send(std::size_t actor, std::size_t member, Step step, const Bytes& frame) {
  ++rounds_[actor].waiting;
  const auto part = static_cast<std::uint32_t>(step) << kStepShift | static_cast<std::uint32_t>(member);
  runner_.send(rounds_[actor].lane + member, frame, tag_of(actor, part));
}

void Rounds::join(std::size_t actor, std::size_t member) {
  const ClassicGroup& group = groups_[actor];
  const std::string& id = group.members[member];
  rounds_[actor].generations[member] = -1;
  send(actor, member, id.empty() ? Step::ask_id : Step::join,
       join_frame({.group = group.name,
                   .member = id,
                   .topic = options_.topic,
                   .session_ms = group.session_ms,
                   .variant = group.variant}));
}

void Rounds::begin(std::size_t actor) {
  ClassicGroup& group = groups_[actor];
  Round& round = rounds_[actor];
  const bool anew = options_.leave || round.failed;  // a failed one may have members that will not come again
  round = {.lane = lanes_.back(), .generations = std::vector<std::int32_t>(group.members.size()), .made = round.made};
  lanes_.pop_back();
  if (anew) {
    group.name = fmt::format("{}+{}", group.name.substr(0, group.name.find('+')), round.made++);
    std::ranges::fill(group.members, "");
  }
  ++group.variant;
  for (std::size_t m = 0; m < group.members.size(); ++m) join(actor, m);
}

void Rounds::fail(std::size_t actor, std::int16_t error) {
  note(error);
  rounds_[actor].failed = true;
}

void Rounds::on_id(std::size_t actor, std::size_t member, const Joined& joined) {
  if (is_not_ready(joined.error)) return join(actor, member);
  if (joined.error != kIdRequired) return fail(actor, joined.error == 0 ? std::int16_t{-1} : joined.error);
  groups_[actor].members[member] = joined.member;
}

void Rounds::on_join(std::size_t actor, std::size_t member, const Joined& joined) {
  ClassicGroup& group = groups_[actor];
  Round& round = rounds_[actor];
  if (joined.error == kRebalance) return join(actor, member);
  if (joined.error != 0) return fail(actor, joined.error);
  round.generations[member] = joined.generation;
  if (joined.leads && joined.members < group.members.size()) {
    round.short_generation = std::max(round.short_generation, joined.generation);
    ++group.variant;  // the same again would be told of the same generation
  } else if (joined.leads) {
    round.leader = member;
    group.generation = joined.generation;
  }
  for (std::size_t m = 0; m < group.members.size(); ++m)
    if (round.generations[m] >= 0 && round.generations[m] <= round.short_generation) join(actor, m);
}

void Rounds::sync_all(std::size_t actor) {
  const ClassicGroup& group = groups_[actor];
  for (std::size_t m = 0; m < group.members.size(); ++m) {
    std::span<const std::string> everybody = group.members;
    send(actor, m, Step::sync,
         sync_frame(group.name, group.generation, group.members[m],
                    m == rounds_[actor].leader ? everybody : std::span<const std::string>{}, kAssignmentBytes));
  }
}

/// All requests of a step are answered; true: that was the last.
bool Rounds::end_of_step(std::size_t actor, Step step) {
  const ClassicGroup& group = groups_[actor];
  Round& round = rounds_[actor];
  auto in_round = [&](std::int32_t generation) { return generation == group.generation; };
  if (step == Step::join && (round.leader == SIZE_MAX || !std::ranges::all_of(round.generations, in_round)))
    fail(actor, -1);
  if (!round.failed && step == Step::ask_id) {
    for (std::size_t m = 0; m < group.members.size(); ++m) join(actor, m);
    return false;
  }
  if (!round.failed && step == Step::join) {
    sync_all(actor);
    return false;
  }
  if (!round.failed && step == Step::sync && options_.leave) {
    for (std::size_t m = 0; m < group.members.size(); ++m)
      send(actor, m, Step::leave, leave_frame(group.name, std::span(&group.members[m], 1)));
    return false;
  }
  lanes_.push_back(round.lane);
  return true;
}

bool Rounds::answered(std::size_t actor, std::uint32_t part, ByteView answer) {
  const auto step = static_cast<Step>(part >> kStepShift);
  const std::size_t member = part & ((1u << kStepShift) - 1);
  Round& round = rounds_[actor];
  --round.waiting;
  switch (step) {
    case Step::ask_id:
      on_id(actor, member, read_join(answer));
      break;
    case Step::join:
      on_join(actor, member, read_join(answer));
      break;
    case Step::sync:
    case Step::leave:
      if (auto error = read_error(answer); error != 0) fail(actor, error);
      break;
  }
  return round.waiting == 0 && end_of_step(actor, step);
}

Rejoins::Rejoins(Runner& runner, const std::vector<ClassicGroup>& groups, const std::string& topic) : runner_(runner) {
  for (const ClassicGroup& group : groups) {
    Frames& frames = frames_.emplace_back();
    for (std::uint8_t v = 0; v < 2; ++v)
      frames.variants[v] = join_frame({.group = group.name,
                                       .member = group.members.front(),
                                       .topic = topic,
                                       .session_ms = group.session_ms,
                                       .variant = static_cast<std::uint8_t>(group.variant + 1 + v)});
  }
}

void Rejoins::begin(std::size_t actor) {
  Frames& frames = frames_[actor];
  runner_.send(actor % runner_.connections(), frames.variants[frames.next], tag_of(actor));
  frames.next ^= 1;
}

bool Rejoins::answered(std::size_t, std::uint32_t, ByteView answer) {
  note(read_join(answer).error);
  return true;
}

}  // namespace mr::bench
