#include "storage/waiting_tail.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"

namespace mr::storage {

namespace {

class FileWithTail final : public File {
 public:
  FileWithTail(std::shared_ptr<File> file, std::uint64_t position, ByteView tail)
      : file_(std::move(file)), position_(position), tail_(tail.begin(), tail.end()) {}

  Result<std::size_t> read_at(MutableBytes into, std::uint64_t position) override {
    std::size_t count = 0;
    if (position < position_) {
      const std::uint64_t below = std::min<std::uint64_t>(into.size(), position_ - position);
      MR_TRY(count, file_->read_at(into.first(below), position));
      if (count < below) return count;
    }
    const std::uint64_t at = position + count - position_;
    if (at >= tail_.size()) return count;
    const std::size_t more = std::min<std::size_t>(into.size() - count, tail_.size() - at);
    std::memcpy(into.data() + count, tail_.data() + at, more);
    return count + more;
  }
  Result<std::uint64_t> size() override { return position_ + tail_.size(); }
  Result<void> write_at(std::span<const ByteView>, std::uint64_t) override { return Errc::internal; }
  Result<void> sync() override { return Errc::internal; }
  Result<void> truncate(std::uint64_t) override { return Errc::internal; }
  Result<void> allocate(std::uint64_t, std::uint64_t) override { return Errc::internal; }
  void drop_cache(std::uint64_t position, std::uint64_t bytes) override { file_->drop_cache(position, bytes); }
  int native_handle() const override { return -1; }

 private:
  std::shared_ptr<File> file_;
  std::uint64_t position_;
  std::vector<std::byte> tail_;
};

}  // namespace

WaitingTail::~WaitingTail() { of_.in_use_.fetch_sub(1, std::memory_order_relaxed); }

void WaitingTail::copy(ByteView batch) {
  MR_CHECK(has_room(batch.size()));
  std::memcpy(bytes_.data() + used_, batch.data(), batch.size());
}

std::shared_ptr<File> WaitingTail::over(const std::shared_ptr<File>& file, std::uint64_t position) {
  auto known = over_.lock();
  if (known && over_bytes_ == used_) return known;
  auto made = std::make_shared<FileWithTail>(file, position, bytes());
  over_ = made;
  over_bytes_ = used_;
  return made;
}

std::unique_ptr<WaitingTail> WaitingTails::take() {
  if (in_use() >= tails_max_) return nullptr;  // only this shard adds
  auto tail = std::make_unique<WaitingTail>(*this);
  in_use_.fetch_add(1, std::memory_order_relaxed);
  return tail;
}

}  // namespace mr::storage
