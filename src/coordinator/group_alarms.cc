#include "coordinator/group_alarms.h"

namespace mr::coordinator {

bool FlapWatch::begins(TimePoint now) {
  const bool same_burst = count_ > 0 && now - last_ < kFlapBurst;
  if (same_burst) return false;
  last_ = now;
  bursts_[count_++ % kFlapRebalances] = now;
  if (count_ < kFlapRebalances || now - bursts_[count_ % kFlapRebalances] > kFlapWindow) return false;
  if (told_ && now - *told_ < kFlapWindow) return false;
  told_ = now;
  return true;
}

}  // namespace mr::coordinator
