#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace mr {

/// A number with a meaning: different tags do not mix. Arithmetic is spelled out with `.v`.
template <class Tag, class Rep>
struct Id {
  using rep = Rep;
  Rep v{};
  friend auto operator<=>(Id, Id) = default;
};

}  // namespace mr

template <class Tag, class Rep>
struct std::hash<mr::Id<Tag, Rep>> {
  std::size_t operator()(mr::Id<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.v); }
};
