#include "weighted.h"

#include <algorithm>
#include <charconv>

namespace mr::examples {

namespace {

using coordinator::AssignorInput;
using coordinator::AssignorMember;
using coordinator::AssignorOutput;
using coordinator::Share;

constexpr std::int64_t kWeightMax = 1000;

std::int64_t weight_of(const AssignorMember& member) {
  if (!member.instance) return 1;
  const auto star = member.instance->rfind('*');
  if (star == std::string::npos) return 1;
  std::int64_t weight = 0;
  const char* end = member.instance->data() + member.instance->size();
  const auto read = std::from_chars(member.instance->data() + star + 1, end, weight);
  return read.ec == std::errc() && read.ptr == end && weight >= 1 && weight <= kWeightMax ? weight : 1;
}

/// How many of `partitions` each weight gets: what it is due rounded down, and one more for those of whom the rounding
/// took most. First come, first served among equals.
std::vector<std::int64_t> quotas(const std::vector<std::int64_t>& weights, std::int64_t partitions) {
  std::int64_t all = 0;
  for (std::int64_t weight : weights) all += weight;
  std::vector<std::int64_t> quota;
  std::vector<std::pair<std::int64_t, std::size_t>> lost;  // what rounding took, as a negative number; whose
  std::int64_t left = partitions;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    quota.push_back(partitions * weights[i] / all);
    lost.emplace_back(-(partitions * weights[i] % all), i);
    left -= quota.back();
  }
  std::ranges::sort(lost);
  for (std::size_t i = 0; i < static_cast<std::size_t>(left); ++i) ++quota[lost[i].second];
  return quota;
}

const std::vector<std::int32_t>* owned_of(const AssignorMember& member, std::uint32_t topic) {
  auto at = std::ranges::find(member.owned, topic, &coordinator::TopicShare::topic);
  return at == member.owned.end() ? nullptr : &at->partitions;
}

void assign_topic(const AssignorInput& input, std::uint32_t topic, AssignorOutput& output) {
  std::vector<std::size_t> readers;
  std::vector<std::int64_t> weights;
  for (std::size_t m = 0; m < input.members.size(); ++m) {
    if (!std::ranges::binary_search(input.members[m].topics, topic)) continue;
    readers.push_back(m);
    weights.push_back(weight_of(input.members[m]));
  }
  const std::int32_t partitions = input.topics[topic].partitions;
  const auto quota = quotas(weights, partitions);
  std::vector<std::vector<std::int32_t>> gets(readers.size());
  std::vector<bool> given(static_cast<std::size_t>(partitions));
  for (std::size_t r = 0; r < readers.size(); ++r) {
    const auto* owned = owned_of(input.members[readers[r]], topic);
    if (owned == nullptr) continue;
    const auto kept = std::min(owned->size(), static_cast<std::size_t>(quota[r]));
    gets[r].assign(owned->begin(), owned->begin() + static_cast<std::ptrdiff_t>(kept));
    for (std::int32_t p : gets[r]) given[static_cast<std::size_t>(p)] = true;
  }
  std::int32_t next = 0;
  for (std::size_t r = 0; r < readers.size(); ++r) {
    while (gets[r].size() < static_cast<std::size_t>(quota[r])) {
      while (given[static_cast<std::size_t>(next)]) ++next;
      gets[r].push_back(next++);
    }
    std::ranges::sort(gets[r]);
    if (!gets[r].empty()) output[readers[r]].push_back({topic, std::move(gets[r])});
  }
}

class Weighted : public coordinator::Assignor {
 public:
  std::string_view name() const override { return "weighted"; }
  AssignorOutput assign(const AssignorInput& input) const override {
    AssignorOutput output(input.members.size());
    for (std::uint32_t topic = 0; topic < input.topics.size(); ++topic) assign_topic(input, topic, output);
    return output;
  }
};

}  // namespace

std::unique_ptr<coordinator::Assignor> make_weighted_assignor() { return std::make_unique<Weighted>(); }

}  // namespace mr::examples
