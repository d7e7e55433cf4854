#include <fmt/format.h>

#include <algorithm>

#include "coordinator/assignors/assignor.h"

namespace mr::coordinator {

namespace {

Error wrong(const AssignorMember& member, std::string_view what) {
  return Error(Errc::invalid_argument, fmt::format("member {}: {}", member.id, what));
}

}  // namespace

Result<void> check_assignment(const AssignorInput& input, const AssignorOutput& output) {
  if (output.size() != input.members.size())
    return Error(Errc::invalid_argument, fmt::format("{} shares for {} members", output.size(), input.members.size()));
  std::vector<std::vector<bool>> given(input.topics.size());
  for (std::size_t t = 0; t < input.topics.size(); ++t)
    given[t].resize(static_cast<std::size_t>(input.topics[t].partitions));
  std::vector<bool> wanted(input.topics.size());
  for (std::size_t m = 0; m < output.size(); ++m) {
    const AssignorMember& member = input.members[m];
    for (std::uint32_t topic : member.topics) wanted[topic] = true;
    for (std::size_t i = 0; i < output[m].size(); ++i) {
      const TopicShare& share = output[m][i];
      if (!std::ranges::binary_search(member.topics, share.topic))
        return wrong(member, "gets partitions of a topic that it does not subscribe to");
      if (share.partitions.empty()) return wrong(member, "has a share without partitions");
      if (i > 0 && output[m][i - 1].topic >= share.topic) return wrong(member, "its topics do not ascend");
      for (std::size_t p = 0; p < share.partitions.size(); ++p) {
        const std::int32_t partition = share.partitions[p];
        if (partition < 0 || partition >= input.topics[share.topic].partitions)
          return wrong(member, fmt::format("gets partition {} of {}, which has {}", partition,
                                           input.topics[share.topic].name, input.topics[share.topic].partitions));
        if (p > 0 && share.partitions[p - 1] >= partition) return wrong(member, "its partitions do not ascend");
        if (given[share.topic][static_cast<std::size_t>(partition)])
          return wrong(member,
                       fmt::format("gets {}-{}, which somebody has", input.topics[share.topic].name, partition));
        given[share.topic][static_cast<std::size_t>(partition)] = true;
      }
    }
  }
  for (std::size_t t = 0; t < given.size(); ++t) {
    if (!wanted[t]) continue;
    const auto missing = std::ranges::find(given[t], false);
    if (missing != given[t].end())
      return Error(Errc::invalid_argument,
                   fmt::format("nobody gets {}-{}", input.topics[t].name, missing - given[t].begin()));
  }
  return {};
}

}  // namespace mr::coordinator
