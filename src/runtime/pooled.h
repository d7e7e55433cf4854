#pragma once
#include <cstddef>

#include "runtime/frame_pool.h"

namespace mr {

/// Allocator for what lives no longer than a request: the memory of coroutine frames, of which a warm shard has some.
/// For containers and std::allocate_shared; what was made on one thread may go on another.
template <class T>
struct Pooled {
  using value_type = T;
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

  Pooled() = default;
  template <class U>
  Pooled(const Pooled<U>&) noexcept {}
  T* allocate(std::size_t n) { return static_cast<T*>(allocate_frame(n * sizeof(T))); }
  void deallocate(T* at, std::size_t n) noexcept { free_frame(at, n * sizeof(T)); }
  friend bool operator==(const Pooled&, const Pooled&) { return true; }
};

}  // namespace mr
