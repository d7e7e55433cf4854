#pragma once
#include <cstddef>

namespace mr {

/// Coroutine frames come from per-thread free lists by size class, so that a warm shard allocates none. A frame may be
/// freed on another thread than it was made on. Under AddressSanitizer these are plain new and delete.
void* allocate_frame(std::size_t size);
void free_frame(void* frame, std::size_t size) noexcept;

}  // namespace mr
