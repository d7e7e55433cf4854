#pragma once
#include <memory>

#include "coordinator/assignors/assignor.h"

namespace mr::examples {

/// Machines of unequal strength in one group: a member whose group.instance.id ends with "*N" (1 to 1000) gets N parts
/// where one without gets one part. Of each topic everybody has its share, to within one partition; who has more than
/// that gives up its highest partitions, so only what the new shares need moves.
std::unique_ptr<coordinator::Assignor> make_weighted_assignor();

}  // namespace mr::examples
