#include "runtime/frame_pool.h"

#include <array>
#include <new>

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

struct Pool {
  std::array<FreeFrame*, kClasses> head{};
  std::array<std::size_t, kClasses> count{};
  ~Pool() {
    for (FreeFrame*& list : head) {
      while (list != nullptr) {
        FreeFrame* next = list->next;
        ::operator delete(list);
        list = next;
      }
    }
  }
};

thread_local Pool t_pool;

}  // namespace

void* allocate_frame(std::size_t size) {
  std::size_t cls = (size + kStep - 1) / kStep;
  if (cls >= kClasses) return ::operator new(size);
  FreeFrame*& head = t_pool.head[cls];
  if (head == nullptr) return ::operator new(cls * kStep);
  FreeFrame* frame = head;
  head = frame->next;
  --t_pool.count[cls];
  return frame;
}

void free_frame(void* frame, std::size_t size) noexcept {
  std::size_t cls = (size + kStep - 1) / kStep;
  if (cls >= kClasses || t_pool.count[cls] >= kKeepPerClass) {
    ::operator delete(frame);
    return;
  }
  auto* free = static_cast<FreeFrame*>(frame);
  free->next = t_pool.head[cls];
  t_pool.head[cls] = free;
  ++t_pool.count[cls];
}

#endif

}  // namespace mr
