#pragma once
#include <cstdint>
#include <vector>

#include "coordinator/assignors/assignor.h"

/// What the assignors of this folder share: counting first, naming partitions afterwards.
namespace mr::coordinator {

/// How many partitions of each topic a member gets: one count for each entry of AssignorMember::topics.
using Counts = std::vector<std::vector<std::int32_t>>;

/// What everybody has now: the counts of `owned`.
Counts owned_counts(const AssignorInput& input);

/// Which topic is read by whom: (member, place in its topics), ascending by member.
struct Subscriber {
  std::uint32_t member;
  std::uint32_t place;
};
std::vector<std::vector<Subscriber>> subscribers_of(const AssignorInput& input);

/// Names the partitions: everybody keeps what it owns as far as its count allows, the rest goes to those who are short,
/// first to members in a rack that has a replica. The counts of a topic sum up to its partitions, or to 0 when nobody
/// subscribes.
AssignorOutput name_partitions(const AssignorInput& input, const Counts& counts);

}  // namespace mr::coordinator
