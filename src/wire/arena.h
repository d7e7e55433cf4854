#pragma once
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"

namespace mr::wire {

/// Non-owning array in an Arena or in somebody's buffer; copies share the elements. What messages hold for arrays.
template <class T>
class List {
 public:
  using value_type = T;

  List() = default;
  List(T* data, std::size_t size) : data_(data), size_(size) {}
  explicit(false) List(std::span<T> items) : data_(items.data()), size_(items.size()) {}

  T* begin() const { return data_; }
  T* end() const { return data_ + size_; }
  T* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](std::size_t i) const {
    MR_CHECK(i < size_);
    return data_[i];
  }

  friend bool operator==(List a, List b) {
    if (a.size_ != b.size_) return false;
    for (std::size_t i = 0; i < a.size_; ++i)
      if (!(a.data_[i] == b.data_[i])) return false;
    return true;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Memory that is given back all at once: decoded arrays and what a handler builds for its answer. Chunks are kept over
/// reset(), so a connection that sees requests of one size allocates nothing after the first few.
/// One shard; views into it die with reset() or the arena.
class Arena {
 public:
  /// `kept_bytes_max`: what reset() keeps; a single huge request does not pin its memory for ever.
  explicit Arena(std::size_t chunk_bytes = 16 << 10, std::size_t kept_bytes_max = 1 << 20)
      : chunk_bytes_(chunk_bytes), kept_bytes_max_(kept_bytes_max) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  Arena(Arena&&) = default;
  Arena& operator=(Arena&&) = default;

  /// Never null. Bounds are the caller's: a Reader compares counts with its budget first.
  void* allocate(std::size_t bytes, std::size_t alignment) {
    std::size_t at = (used_ + alignment - 1) & ~(alignment - 1);
    if (current_ < chunks_.size() && at + bytes <= chunks_[current_].size) [[likely]] {
      used_ = at + bytes;
      return chunks_[current_].data.get() + at;
    }
    return allocate_in_next(bytes);
  }

  /// `count` elements, each T{}.
  template <class T>
  List<T> list(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T>, "an arena runs no destructors");
    static_assert(alignof(T) <= alignof(std::max_align_t));
    if (count == 0) return {};
    MR_CHECK(count <= SIZE_MAX / sizeof(T));
    T* first = static_cast<T*>(allocate(count * sizeof(T), alignof(T)));
    for (std::size_t i = 0; i < count; ++i) new (first + i) T{};
    return {first, count};
  }
  template <class T>
  List<T> list(std::initializer_list<T> items) {
    List<T> copy = list<T>(items.size());
    std::size_t i = 0;
    for (const T& item : items) copy[i++] = item;
    return copy;
  }

  std::string_view copy(std::string_view text) { return as_text(copy(as_bytes(text))); }
  ByteView copy(ByteView bytes) {
    if (bytes.empty()) return {};
    auto* to = static_cast<std::byte*>(allocate(bytes.size(), 1));
    std::memcpy(to, bytes.data(), bytes.size());
    return {to, bytes.size()};
  }

  /// Forgets everything handed out.
  void reset();

  /// Bytes held, used or not: what a memory account should be charged.
  std::size_t held_bytes() const { return held_; }

 private:
  struct Chunk {
    std::unique_ptr<std::byte[]> data;
    std::size_t size = 0;
  };
  void* allocate_in_next(std::size_t bytes);

  std::size_t chunk_bytes_;
  std::size_t kept_bytes_max_;
  std::vector<Chunk> chunks_;
  std::size_t current_ = 0;
  std::size_t used_ = 0;  ///< of the current chunk
  std::size_t held_ = 0;
};

/// A list of unknown length growing in an arena by doubling; for handlers that build an answer as they go.
template <class T>
class ListBuilder {
 public:
  explicit ListBuilder(Arena& arena, std::size_t reserve = 0) : arena_(&arena) {
    if (reserve > 0) items_ = arena.list<T>(reserve);
  }
  T& push_back(const T& item = T{}) {
    if (size_ == items_.size()) grow();
    items_[size_] = item;
    return items_[size_++];
  }
  std::size_t size() const { return size_; }
  /// What was pushed so far. A later push_back may leave this behind.
  List<T> list() const { return {items_.data(), size_}; }

 private:
  void grow() {
    List<T> bigger = arena_->list<T>(items_.empty() ? 4 : items_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i) bigger[i] = items_[i];
    items_ = bigger;
  }

  Arena* arena_;
  List<T> items_;
  std::size_t size_ = 0;
};

}  // namespace mr::wire
