#include "runtime/frame_pool.h"

#include <array>
#include <new>
#include <utility>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MR_PLAIN_FRAMES 1
#endif
#endif

namespace mr {

#ifdef MR_PLAIN_FRAMES

void* allocate_frame(std::size_t size) { return ::operator new(size); }
void free_frame(void* frame, std::size_t) noexcept { ::operator delete(frame); }

#else

namespace {

constexpr std::size_t kStep = 128;
constexpr std::size_t kClasses = 32;        // up to 4 KiB; larger frames are rare and go to the heap
constexpr std::size_t kKeepPerClass = 256;  // bound on idle frames: at worst 16 MiB a thread, in practice far less

struct FreeFrame {
  FreeFrame* next;
};

struct Shelf {
  FreeFrame* first = nullptr;
  std::size_t count = 0;
};

// No constructor, no destructor: every use of a thread's variable that has one asks first whether it is there yet.
constinit thread_local std::array<Shelf, kClasses> t_shelves{};

struct Emptier {
  ~Emptier() {
    for (Shelf& shelf : t_shelves) {
      while (shelf.first != nullptr) ::operator delete(std::exchange(shelf.first, shelf.first->next));
    }
  }
};

/// The thread's frames go with it.
void empty_at_the_end() { thread_local Emptier emptier; }

}  // namespace

void* allocate_frame(std::size_t size) {
  std::size_t cls = (size + kStep - 1) / kStep;
  if (cls >= kClasses) return ::operator new(size);
  Shelf& shelf = t_shelves[cls];
  if (shelf.first == nullptr) return ::operator new(cls * kStep);
  --shelf.count;
  return std::exchange(shelf.first, shelf.first->next);
}

void free_frame(void* frame, std::size_t size) noexcept {
  std::size_t cls = (size + kStep - 1) / kStep;
  if (cls >= kClasses || t_shelves[cls].count >= kKeepPerClass) {
    ::operator delete(frame);
    return;
  }
  Shelf& shelf = t_shelves[cls];
  if (shelf.first == nullptr) empty_at_the_end();
  auto* free = static_cast<FreeFrame*>(frame);
  free->next = shelf.first;
  shelf.first = free;
  ++shelf.count;
}

#endif

}  // namespace mr
