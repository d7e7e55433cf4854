#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "wire/api_key.h"

namespace mr::wire {

/// Version of an API or of a stored message.
using Version = std::int16_t;

/// What the schema says about one API.
struct ApiInfo {
  static constexpr Version kNeverFlexible = 0x7fff;

  ApiKey key;
  std::string_view name;
  Version min;  ///< versions that the codecs speak
  Version max;
  Version
      advertised_min;  ///< what ApiVersions answers; may be wider (Produce, traps.md 17) or narrower (unstable ones)
  Version advertised_max;
  Version flexible_from;

  /// Decodable and meant for clients: everything else closes the connection (traps.md 5).
  constexpr bool serves(Version v) const { return v >= min && v <= max && v >= advertised_min && v <= advertised_max; }
  constexpr bool flexible(Version v) const { return v >= flexible_from; }
};

/// Every API with a schema, by key. Whether it is served is the handler table's matter.
std::span<const ApiInfo> apis();
/// Null when there is no schema for `key`.
const ApiInfo* find_api(std::int16_t key);

}  // namespace mr::wire
