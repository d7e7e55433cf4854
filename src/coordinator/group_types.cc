#include "coordinator/group_types.h"

namespace mr::coordinator {

std::string_view group_state_name(GroupStateName state) {
  switch (state) {
    case GroupStateName::empty:
      return "Empty";
    case GroupStateName::preparing_rebalance:
      return "PreparingRebalance";
    case GroupStateName::completing_rebalance:
      return "CompletingRebalance";
    case GroupStateName::stable:
      return "Stable";
    case GroupStateName::dead:
      return "Dead";
    case GroupStateName::assigning:
      return "Assigning";
    case GroupStateName::reconciling:
      return "Reconciling";
  }
  return "Dead";
}

std::string_view group_type_name(GroupType type) { return type == GroupType::classic ? "classic" : "consumer"; }

}  // namespace mr::coordinator
