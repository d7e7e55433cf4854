#include "wire/arena.h"

#include <algorithm>

namespace mr::wire {

void* Arena::allocate_in_next(std::size_t bytes) {
  // Chunks behind the current one are left from an earlier round; the first that is large enough moves up.
  std::size_t next = chunks_.empty() ? 0 : current_ + 1;
  std::size_t found = next;
  while (found < chunks_.size() && chunks_[found].size < bytes) ++found;
  if (found == chunks_.size()) {
    std::size_t size = std::max(chunk_bytes_, bytes);
    chunks_.push_back({std::make_unique_for_overwrite<std::byte[]>(size), size});
    held_ += size;
  }
  std::swap(chunks_[next], chunks_[found]);
  current_ = next;
  used_ = bytes;
  return chunks_[current_].data.get();
}

void Arena::reset() {
  current_ = 0;
  used_ = 0;
  while (held_ > kept_bytes_max_ && !chunks_.empty()) {
    held_ -= chunks_.back().size;
    chunks_.pop_back();
  }
}

}  // namespace mr::wire
