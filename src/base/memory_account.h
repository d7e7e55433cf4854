#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "base/check.h"

namespace mr {

/// Counts bytes against a limit; children charge their parents too. Any thread. A charge that would pass a limit is
/// refused, and the caller answers by waiting or by an error that says so (design decision 12).
class MemoryAccount {
 public:
  MemoryAccount(std::string name, std::uint64_t limit_bytes, MemoryAccount* parent = nullptr)
      : name_(std::move(name)), limit_(limit_bytes), parent_(parent) {}
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;
  ~MemoryAccount() { MR_CHECK(used() == 0); }

  [[nodiscard]] bool try_charge(std::uint64_t bytes) {
    std::uint64_t before = used_.fetch_add(bytes, std::memory_order_relaxed);
    if (before + bytes > limit_ || (parent_ != nullptr && !parent_->try_charge(bytes))) {
      used_.fetch_sub(bytes, std::memory_order_relaxed);
      refused_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    return true;
  }
  void release(std::uint64_t bytes) {
    std::uint64_t before = used_.fetch_sub(bytes, std::memory_order_relaxed);
    MR_CHECK(before >= bytes);
    if (parent_ != nullptr) parent_->release(bytes);
  }
  const std::string& name() const { return name_; }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  std::uint64_t limit() const { return limit_; }
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  std::string name_;
  std::uint64_t limit_;
  MemoryAccount* parent_;
  std::atomic<std::uint64_t> used_{0};
  std::atomic<std::uint64_t> refused_{0};
};

/// Bytes charged to an account until destroyed.
class MemoryCharge {
 public:
  MemoryCharge() = default;
  /// Empty (false) when the account refused.
  static MemoryCharge take(MemoryAccount& account, std::uint64_t bytes) {
    MemoryCharge charge;
    if (account.try_charge(bytes)) {
      charge.account_ = &account;
      charge.bytes_ = bytes;
    }
    return charge;
  }
  MemoryCharge(MemoryCharge&& other) noexcept
      : account_(std::exchange(other.account_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryCharge& operator=(MemoryCharge&& other) noexcept {
    std::swap(account_, other.account_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MemoryCharge() {
    if (account_ != nullptr) account_->release(bytes_);
  }
  explicit operator bool() const { return account_ != nullptr; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  MemoryAccount* account_ = nullptr;
  std::uint64_t bytes_ = 0;
};

}  // namespace mr
