#include "coordinator/assignors/even_flow.h"

#include <algorithm>
#include <numeric>
#include <ranges>

#include "base/check.h"

namespace mr::coordinator {

namespace {

using Loads = std::vector<std::int64_t>;
constexpr std::uint32_t kUnreached = UINT32_MAX;

/// The graph of who could give what to whom: member -> topic while it has partitions of that, topic -> each subscriber.
/// Giving one on is the residual edge of having got it, so counts are all the state a flow needs.
class Flow {
 public:
  Flow(const AssignorInput& input, Counts& counts)
      : input_(input), counts_(counts), subscribers_(subscribers_of(input)), loads_(input.members.size()) {
    for (std::size_t m = 0; m < counts.size(); ++m)
      loads_[m] = std::accumulate(counts[m].begin(), counts[m].end(), std::int64_t{0});
    group_.resize(input.members.size(), 0);
    level_.resize(input.members.size());
    topic_level_.resize(input.topics.size());
    member_arc_.resize(input.members.size());
    topic_arc_.resize(input.topics.size());
  }

  /// Evens out the members of one group; returns those that can be no more even with the rest: they are a group of
  /// their own from now on. Empty: all are within one.
  std::vector<std::uint32_t> even_out(const std::vector<std::uint32_t>& members, std::uint32_t group);
  void set_group(const std::vector<std::uint32_t>& members, std::uint32_t group) {
    for (std::uint32_t m : members) group_[m] = group;
  }
  bool in_group(std::uint32_t member, std::uint32_t group) const { return group_[member] == group; }

 private:
  struct Hop {
    std::uint32_t topic;
    std::uint32_t from_place;
    std::uint32_t to;
    std::uint32_t to_place;
  };

  /// Moves as much as possible from members above `most` to members below `least`, by shortest ways first.
  void push(const std::vector<std::uint32_t>& members, std::int64_t most, std::int64_t least);
  bool find_levels(const std::vector<std::uint32_t>& members, std::int64_t most, std::int64_t least);
  /// One way from `source` along rising levels; empty when there is none left.
  bool find_way(std::uint32_t source, std::int64_t least);
  bool step(std::uint32_t member);
  void move_along(std::uint32_t source, std::int64_t most, std::int64_t least);
  /// Whoever `members` that satisfy `start` could give to; `backwards`: whoever could give to them.
  template <class Start>
  std::vector<std::uint32_t> reach(const std::vector<std::uint32_t>& members, Start start, bool backwards);

  const AssignorInput& input_;
  Counts& counts_;
  std::vector<std::vector<Subscriber>> subscribers_;
  Loads loads_;
  std::vector<std::uint32_t> group_;
  std::uint32_t now_group_ = 0;
  std::vector<std::uint32_t> level_;
  std::vector<std::uint32_t> topic_level_;
  std::vector<std::uint32_t> member_arc_;  ///< Dinic's current arcs: what lies before them leads nowhere
  std::vector<std::uint32_t> topic_arc_;
  std::vector<Hop> way_;
};

template <class Start>
std::vector<std::uint32_t> Flow::reach(const std::vector<std::uint32_t>& members, Start start, bool backwards) {
  for (std::uint32_t m : members) level_[m] = kUnreached;
  std::ranges::fill(topic_level_, kUnreached);
  std::vector<std::uint32_t> found;
  for (std::uint32_t m : members) {
    if (!start(loads_[m])) continue;
    level_[m] = 0;
    found.push_back(m);
  }
  for (std::size_t next = 0; next < found.size(); ++next) {
    const std::uint32_t m = found[next];
    const auto& topics = input_.members[m].topics;
    for (std::uint32_t place = 0; place < topics.size(); ++place) {
      const std::uint32_t topic = topics[place];
      if (topic_level_[topic] != kUnreached || (!backwards && counts_[m][place] == 0)) continue;
      topic_level_[topic] = level_[m];
      for (auto [other, at] : subscribers_[topic]) {
        if (level_[other] != kUnreached || group_[other] != now_group_) continue;
        if (backwards && counts_[other][at] == 0) continue;
        level_[other] = level_[m] + 1;
        found.push_back(other);
      }
    }
  }
  return found;
}

bool Flow::find_levels(const std::vector<std::uint32_t>& members, std::int64_t most, std::int64_t least) {
  const auto reached = reach(members, [most](std::int64_t load) { return load > most; }, false);
  return std::ranges::any_of(reached, [&](std::uint32_t m) { return loads_[m] < least; });
}

/// The next hop from `member` that still may lead somewhere.
bool Flow::step(std::uint32_t member) {
  const auto& topics = input_.members[member].topics;
  for (std::uint32_t& place = member_arc_[member]; place < topics.size(); ++place) {
    const std::uint32_t topic = topics[place];
    if (counts_[member][place] == 0 || topic_level_[topic] != level_[member]) continue;
    for (std::uint32_t& arc = topic_arc_[topic]; arc < subscribers_[topic].size(); ++arc) {
      auto [other, at] = subscribers_[topic][arc];
      if (group_[other] != now_group_ || level_[other] != level_[member] + 1) continue;
      way_.push_back({topic, place, other, at});
      return true;
    }
  }
  return false;
}

bool Flow::find_way(std::uint32_t source, std::int64_t least) {
  way_.clear();
  while (true) {
    const std::uint32_t here = way_.empty() ? source : way_.back().to;
    if (loads_[here] < least) return true;
    if (step(here)) continue;
    if (way_.empty()) return false;
    ++topic_arc_[way_.back().topic];
    way_.pop_back();
  }
}

void Flow::move_along(std::uint32_t source, std::int64_t most, std::int64_t least) {
  const std::uint32_t sink = way_.back().to;
  std::int64_t amount = std::min(loads_[source] - most, least - loads_[sink]);
  std::uint32_t from = source;
  for (const Hop& hop : way_) {
    amount = std::min<std::int64_t>(amount, counts_[from][hop.from_place]);
    from = hop.to;
  }
  from = source;
  for (const Hop& hop : way_) {
    counts_[from][hop.from_place] -= static_cast<std::int32_t>(amount);
    counts_[hop.to][hop.to_place] += static_cast<std::int32_t>(amount);
    from = hop.to;
  }
  loads_[source] -= amount;
  loads_[sink] += amount;
}

void Flow::push(const std::vector<std::uint32_t>& members, std::int64_t most, std::int64_t least) {
  while (find_levels(members, most, least)) {
    for (std::uint32_t m : members) member_arc_[m] = 0;
    std::ranges::fill(topic_arc_, 0);
    for (std::uint32_t source : members)
      while (loads_[source] > most && find_way(source, least)) move_along(source, most, least);
  }
}

std::vector<std::uint32_t> Flow::even_out(const std::vector<std::uint32_t>& members, std::uint32_t group) {
  now_group_ = group;
  std::int64_t sum = 0;
  for (std::uint32_t m : members) sum += loads_[m];
  const auto n = static_cast<std::int64_t>(members.size());
  const std::int64_t low = sum / n;
  const std::int64_t high = (sum + n - 1) / n;
  push(members, high, low);
  push(members, high, high);
  push(members, low, low);
  auto above = reach(members, [high](std::int64_t load) { return load > high; }, false);
  if (!above.empty()) return above;
  return reach(members, [low](std::int64_t load) { return load < low; }, true);
}

}  // namespace

void even_out(const AssignorInput& input, Counts& counts) {
  Flow flow(input, counts);
  std::vector<std::vector<std::uint32_t>> groups(1);
  groups[0].resize(input.members.size());
  std::iota(groups[0].begin(), groups[0].end(), 0U);
  for (std::uint32_t group = 0; group < groups.size(); ++group) {
    while (true) {
      std::vector<std::uint32_t> apart = flow.even_out(groups[group], group);
      if (apart.empty()) break;
      flow.set_group(apart, static_cast<std::uint32_t>(groups.size()));
      std::erase_if(groups[group], [&](std::uint32_t m) { return !flow.in_group(m, group); });
      groups.push_back(std::move(apart));
      MR_CHECK(!groups[group].empty());
    }
  }
}

}  // namespace mr::coordinator
