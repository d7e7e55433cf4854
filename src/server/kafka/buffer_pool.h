#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/memory_account.h"

namespace mr::server::kafka {

/// Receive buffers of one shard, kept by size so that their pages stay touched (first touch of a page is dear here:
/// limits.md section 5). Charged to the shard's account while handed out and while kept.
class BufferPool {
 public:
  explicit BufferPool(MemoryAccount& account) : account_(account) {}
  BufferPool(const BufferPool&) = delete;
  ~BufferPool() {
    for (auto& shelf : shelves_) shelf.clear();
  }

  /// There is memory for buffers that somebody would like and could do without.
  bool roomy() const { return account_.used() < account_.limit() / 4; }
  /// How often somebody, on any shard, got nothing.
  std::uint64_t refused() const { return account_.refused(); }

  /// A buffer that goes back to its pool when destroyed.
  class Buffer {
   public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)),
          data_(std::move(other.data_)),
          size_(std::exchange(other.size_, 0)),
          charge_(std::move(other.charge_)) {}
    Buffer& operator=(Buffer&& other) noexcept {
      release();
      pool_ = std::exchange(other.pool_, nullptr);
      data_ = std::move(other.data_);
      size_ = std::exchange(other.size_, 0);
      charge_ = std::move(other.charge_);
      return *this;
    }
    ~Buffer() { release(); }
    std::byte* data() const { return data_.get(); }
    std::size_t size() const { return size_; }
    explicit operator bool() const { return data_ != nullptr; }

   private:
    friend class BufferPool;
    void release() {
      if (data_ && pool_ != nullptr) pool_->give_back(std::move(*this));
      data_.reset();
      charge_ = MemoryCharge();
      pool_ = nullptr;
      size_ = 0;
    }
    BufferPool* pool_ = nullptr;
    std::unique_ptr<std::byte[]> data_;
    std::size_t size_ = 0;
    MemoryCharge charge_;
  };

  /// At least `bytes`. Empty when the account refuses: wait and ask again.
  Buffer take(std::size_t bytes) {
    std::size_t shelf = shelf_of(bytes);
    if (shelf < kShelves && !shelves_[shelf].empty()) {
      Buffer buffer = std::move(shelves_[shelf].back());
      shelves_[shelf].pop_back();
      buffer.pool_ = this;
      return buffer;
    }
    // Over the largest shelf the exact size is taken: rounding 65 MiB up to 128 would waste the budget.
    std::size_t size = shelf < kShelves ? kSmallest << shelf : bytes;
    Buffer buffer;
    buffer.charge_ = MemoryCharge::take(account_, size);
    if (!buffer.charge_) {
      // Idle buffers of other sizes must not stand in the way of a request for ever.
      for (auto& other : shelves_) other.clear();
      buffer.charge_ = MemoryCharge::take(account_, size);
    }
    if (!buffer.charge_) return {};
    buffer.data_ = std::make_unique_for_overwrite<std::byte[]>(size);
    buffer.size_ = size;
    buffer.pool_ = this;
    return buffer;
  }

 private:
  static constexpr std::size_t kSmallest = 16 << 10;
  static constexpr std::size_t kShelves = 9;  // 16 KiB to 4 MiB
  /// Kept idle bytes per shelf at most.
  static constexpr std::size_t kKeepBytes = 8 << 20;

  static std::size_t shelf_of(std::size_t bytes) {
    if (bytes <= kSmallest) return 0;
    return static_cast<std::size_t>(std::bit_width((bytes - 1) / kSmallest));
  }
  void give_back(Buffer buffer) {
    buffer.pool_ = nullptr;
    std::size_t shelf = shelf_of(buffer.size_);
    // When the budget is tight nothing is kept: another shard may be waiting for it.
    bool tight = account_.used() > account_.limit() / 2;
    if (shelf < kShelves && !tight && shelves_[shelf].size() * buffer.size_ < kKeepBytes)
      shelves_[shelf].push_back(std::move(buffer));
  }

  MemoryAccount& account_;
  std::array<std::vector<Buffer>, kShelves> shelves_;
};

}  // namespace mr::server::kafka
