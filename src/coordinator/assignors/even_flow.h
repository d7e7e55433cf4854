#pragma once
#include "coordinator/assignors/shares.h"

namespace mr::coordinator {

/// Moves partitions between members until loads are as even as subscriptions allow: nobody could give a partition,
/// directly or by way of others, to somebody who has at least two less. Every step moves as few as it finds.
/// Cost: a maximum flow (Dinic) over subscriptions for each level of loads that must differ; usually one or two.
void even_out(const AssignorInput& input, Counts& counts);

}  // namespace mr::coordinator
