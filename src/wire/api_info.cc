#include "wire/api_info.h"

#include <algorithm>

namespace mr::wire {

const ApiInfo* find_api(std::int16_t key) {
  std::span<const ApiInfo> all = apis();
  auto found =
      std::ranges::lower_bound(all, key, {}, [](const ApiInfo& api) { return static_cast<std::int16_t>(api.key); });
  return found != all.end() && static_cast<std::int16_t>(found->key) == key ? &*found : nullptr;
}

}  // namespace mr::wire
