#include <algorithm>
#include <numeric>
#include <queue>

#include "coordinator/assignors/even_flow.h"
#include "coordinator/assignors/shares.h"

namespace mr::coordinator {

namespace {

bool all_subscribe_alike(const AssignorInput& input) {
  return std::ranges::all_of(input.members,
                             [&](const AssignorMember& m) { return m.topics == input.members.front().topics; });
}

/// Partitions of each subscribed topic that nobody has.
std::vector<std::int32_t> left_over(const AssignorInput& input, const Counts& counts) {
  std::vector<std::int32_t> left(input.topics.size(), 0);
  for (const AssignorMember& member : input.members)
    for (std::uint32_t topic : member.topics) left[topic] = input.topics[topic].partitions;
  for (std::size_t m = 0; m < counts.size(); ++m)
    for (std::size_t place = 0; place < counts[m].size(); ++place)
      left[input.members[m].topics[place]] -= counts[m][place];
  return left;
}

/// Takes `surplus` from a member, always from the topic of which it is furthest above an even part, so that topics stay
/// spread.
void take(const AssignorInput& input, const AssignorMember& member, std::vector<std::int32_t>& counts,
          std::int64_t surplus) {
  const auto n = static_cast<std::int64_t>(input.members.size());
  std::priority_queue<std::pair<std::int64_t, std::size_t>> most;
  auto offer = [&](std::size_t place) {
    if (counts[place] > 0) most.emplace(counts[place] * n - input.topics[member.topics[place]].partitions, place);
  };
  for (std::size_t place = 0; place < counts.size(); ++place) offer(place);
  for (; surplus > 0; --surplus) {
    const std::size_t place = most.top().second;
    most.pop();
    --counts[place];
    offer(place);
  }
}

/// Everybody reads the same topics: each gets the floor of the average or one more, and whoever had more before keeps
/// that one. Nothing moves that need not.
void even_out_alike(const AssignorInput& input, Counts& counts) {
  const auto n = static_cast<std::int64_t>(input.members.size());
  std::int64_t all = 0;
  for (std::uint32_t topic : input.members.front().topics) all += input.topics[topic].partitions;
  const std::int64_t quota = all / n;
  std::int64_t extra = all % n;
  std::vector<std::int64_t> lacks(input.members.size());
  for (std::size_t m = 0; m < counts.size(); ++m) {
    const auto load = std::accumulate(counts[m].begin(), counts[m].end(), std::int64_t{0});
    const bool one_more = load > quota && extra > 0;
    if (one_more) --extra;
    lacks[m] = quota + (one_more ? 1 : 0) - load;
    if (lacks[m] >= 0) continue;
    take(input, input.members[m], counts[m], -lacks[m]);
    lacks[m] = 0;
  }
  for (std::size_t m = 0; m < counts.size() && extra > 0; ++m) {
    const auto load = std::accumulate(counts[m].begin(), counts[m].end(), std::int64_t{0});
    if (load + lacks[m] > quota) continue;
    ++lacks[m];
    --extra;
  }
  std::vector<std::uint32_t> poor;
  for (std::uint32_t m = 0; m < lacks.size(); ++m)
    if (lacks[m] > 0) poor.push_back(m);
  const std::vector<std::int32_t> left = left_over(input, counts);
  const auto& topics = input.members.front().topics;
  std::size_t turn = 0;
  for (std::size_t place = 0; place < topics.size(); ++place)
    for (std::int32_t i = 0; i < left[topics[place]]; ++i) {
      turn %= poor.size();
      ++counts[poor[turn]][place];
      if (--lacks[poor[turn]] > 0)
        ++turn;
      else
        poor.erase(poor.begin() + static_cast<std::ptrdiff_t>(turn));
    }
}

/// Gives what nobody has to whoever has least, topics with few readers first: a good start, so that little is left to
/// even out.
void give_left_over(const AssignorInput& input, Counts& counts) {
  std::vector<std::int64_t> loads(counts.size());
  for (std::size_t m = 0; m < counts.size(); ++m)
    loads[m] = std::accumulate(counts[m].begin(), counts[m].end(), std::int64_t{0});
  const auto subscribers = subscribers_of(input);
  const std::vector<std::int32_t> left = left_over(input, counts);
  std::vector<std::uint32_t> order(input.topics.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [&](std::uint32_t topic) { return std::pair(subscribers[topic].size(), topic); });
  using Poor = std::pair<std::int64_t, std::size_t>;  // load, place in the topic's subscribers
  for (std::uint32_t topic : order) {
    if (left[topic] == 0) continue;
    std::priority_queue<Poor, std::vector<Poor>, std::greater<>> poorest;
    for (std::size_t s = 0; s < subscribers[topic].size(); ++s) poorest.emplace(loads[subscribers[topic][s].member], s);
    for (std::int32_t i = 0; i < left[topic]; ++i) {
      auto [load, s] = poorest.top();
      poorest.pop();
      auto [member, place] = subscribers[topic][s];
      ++counts[member][place];
      ++loads[member];
      poorest.emplace(load + 1, s);
    }
  }
}

class Uniform final : public Assignor {
 public:
  std::string_view name() const override { return "uniform"; }
  AssignorOutput assign(const AssignorInput& input) const override {
    Counts counts = owned_counts(input);
    if (all_subscribe_alike(input)) {
      even_out_alike(input, counts);
    } else {
      give_left_over(input, counts);
      even_out(input, counts);
    }
    return name_partitions(input, counts);
  }
};

}  // namespace

std::unique_ptr<Assignor> make_uniform_assignor() { return std::make_unique<Uniform>(); }

}  // namespace mr::coordinator
