#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

/// Counts operator new of the whole program: for one file of a program that measures. The definitions below replace the
/// library's.
namespace mr::bench {

inline std::atomic<std::uint64_t> allocations{0};
inline thread_local bool allocations_count = true;  ///< those of this thread

inline void* counted_new(std::size_t n, std::size_t alignment) {
  if (allocations_count) allocations.fetch_add(1, std::memory_order_relaxed);
  void* p = alignment <= alignof(std::max_align_t)
                ? std::malloc(n)
                : std::aligned_alloc(alignment, (n + alignment - 1) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

}  // namespace mr::bench

void* operator new(std::size_t n) { return mr::bench::counted_new(n, 1); }
void* operator new(std::size_t n, std::align_val_t a) { return mr::bench::counted_new(n, static_cast<std::size_t>(a)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
