#include "coordinator/assignors/shares.h"

#include <algorithm>
#include <span>

#include "base/check.h"

namespace mr::coordinator {

namespace {

std::uint32_t place_of(const AssignorMember& member, std::uint32_t topic) {
  auto at = std::ranges::lower_bound(member.topics, topic);
  MR_CHECK(at != member.topics.end() && *at == topic);
  return static_cast<std::uint32_t>(at - member.topics.begin());
}

/// One topic on its way from counts to names.
struct Naming {
  const AssignorInput& input;
  AssignorOutput& output;
  std::uint32_t topic;
  std::vector<std::int32_t> free;  ///< nobody's yet, ascending
  struct Short {
    std::uint32_t member;
    std::int32_t lacks;
  };
  std::vector<Short> short_of;

  std::vector<std::int32_t>& share(std::uint32_t member) {
    Share& shares = output[member];
    if (shares.empty() || shares.back().topic != topic) shares.push_back({topic, {}});
    return shares.back().partitions;
  }
  bool near(const AssignorMember& member, std::int32_t partition) const {
    const auto& racks = input.topics[topic].racks;
    return static_cast<std::size_t>(partition) < racks.size() &&
           std::ranges::find(racks[static_cast<std::size_t>(partition)], *member.rack) !=
               racks[static_cast<std::size_t>(partition)].end();
  }
  void give_near() {
    for (auto& [member, lacks] : short_of) {
      if (!input.members[member].rack) continue;
      std::erase_if(free, [&](std::int32_t partition) {
        if (lacks == 0 || !near(input.members[member], partition)) return false;
        share(member).push_back(partition);
        --lacks;
        return true;
      });
    }
  }
  /// One each in turn, so that neighbours do not meet in one member.
  void give_rest() {
    std::size_t next = 0;
    while (next < free.size()) {
      for (auto& [member, lacks] : short_of) {
        if (lacks == 0) continue;
        MR_CHECK(next < free.size());
        share(member).push_back(free[next++]);
        --lacks;
      }
      std::erase_if(short_of, [](const Short& s) { return s.lacks == 0; });
    }
  }
};

}  // namespace

Counts owned_counts(const AssignorInput& input) {
  Counts counts(input.members.size());
  for (std::size_t m = 0; m < input.members.size(); ++m) {
    const AssignorMember& member = input.members[m];
    counts[m].resize(member.topics.size());
    for (const TopicShare& share : member.owned)
      counts[m][place_of(member, share.topic)] = static_cast<std::int32_t>(share.partitions.size());
  }
  return counts;
}

std::vector<std::vector<Subscriber>> subscribers_of(const AssignorInput& input) {
  std::vector<std::vector<Subscriber>> subscribers(input.topics.size());
  for (std::uint32_t m = 0; m < input.members.size(); ++m) {
    const std::vector<std::uint32_t>& topics = input.members[m].topics;
    for (std::uint32_t place = 0; place < topics.size(); ++place) subscribers[topics[place]].push_back({m, place});
  }
  return subscribers;
}

AssignorOutput name_partitions(const AssignorInput& input, const Counts& counts) {
  AssignorOutput output(input.members.size());
  const auto subscribers = subscribers_of(input);
  std::vector<std::size_t> owned_at(input.members.size());  // next entry of `owned`, which is ascending by topic
  for (std::uint32_t topic = 0; topic < input.topics.size(); ++topic) {
    Naming naming{input, output, topic, {}, {}};
    std::vector<bool> taken(static_cast<std::size_t>(input.topics[topic].partitions));
    for (auto [m, place] : subscribers[topic]) {
      const AssignorMember& member = input.members[m];
      std::int32_t lacks = counts[m][place];
      std::span<const std::int32_t> owned;
      if (owned_at[m] < member.owned.size() && member.owned[owned_at[m]].topic == topic)
        owned = member.owned[owned_at[m]++].partitions;
      for (std::int32_t partition : owned.first(std::min(owned.size(), static_cast<std::size_t>(lacks)))) {
        naming.share(m).push_back(partition);
        taken[static_cast<std::size_t>(partition)] = true;
        --lacks;
      }
      if (lacks > 0) naming.short_of.push_back({m, lacks});
    }
    if (naming.short_of.empty()) continue;
    for (std::int32_t p = 0; p < input.topics[topic].partitions; ++p)
      if (!taken[static_cast<std::size_t>(p)]) naming.free.push_back(p);
    if (!input.topics[topic].racks.empty()) naming.give_near();
    naming.give_rest();
  }
  for (Share& share : output)
    for (TopicShare& topic : share) std::ranges::sort(topic.partitions);
  return output;
}

}  // namespace mr::coordinator
