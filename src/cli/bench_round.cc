#include "cli/bench_round.h"

#include <algorithm>

#include "base/check.h"

namespace mr::cli {

void JoinRound::joined(std::size_t member, std::int32_t generation, std::size_t shown) {
  generations_[member] = generation;
  if (shown == generations_.size()) {
    generation_ = generation;
    leader_ = member;
  } else if (shown > 0) {
    short_ = std::max(short_, generation);
  }
}

bool JoinRound::complete() const {
  return generation_ > short_ && std::ranges::all_of(generations_, [&](std::int32_t g) { return g == generation_; });
}

bool converged(std::span<const ConsumerState> members, std::size_t partitions) {
  if (members.empty()) return false;
  std::size_t owned = 0;
  const std::size_t least = partitions / members.size();
  for (const ConsumerState& member : members) {
    if (member.epoch != members.front().epoch || member.unacknowledged) return false;
    if (member.owned < least || member.owned > least + 1) return false;
    owned += member.owned;
  }
  return owned == partitions;
}

std::vector<PartitionIndex> share_of(std::size_t partitions, std::size_t members, std::size_t member) {
  std::vector<PartitionIndex> share;
  for (std::size_t p = member; p < partitions; p += members)
    share.push_back(PartitionIndex{static_cast<std::int32_t>(p)});
  return share;
}

std::vector<PartitionIndex> committed_by(std::size_t partitions, std::size_t count, std::uint64_t turn) {
  MR_CHECK(count <= partitions);
  std::vector<PartitionIndex> committed;
  for (std::size_t i = 0; i < count; ++i)
    committed.push_back(PartitionIndex{static_cast<std::int32_t>((turn * count + i) % partitions)});
  return committed;
}

}  // namespace mr::cli
