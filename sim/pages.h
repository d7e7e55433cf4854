#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace mr::sim {

/// Contents of one file as copy-on-write pages: the durable and the cached view of a file share what is equal, and a
/// hole or a run of zeros takes no memory. Not thread-safe.
class Pages {
 public:
  static constexpr std::uint64_t kPage = 4096;

  std::uint64_t size() const { return size_; }
  /// Bytes copied: less than asked only at the end.
  std::size_t read(MutableBytes into, std::uint64_t position) const;
  /// Grows the file when needed; a gap reads as zeros.
  void write(ByteView bytes, std::uint64_t position);
  void truncate(std::uint64_t size);
  /// Takes one page over from `other` as it is there (zeros where it has none). Sizes stay.
  void share_page(const Pages& other, std::uint64_t index);
  void flip_bit(std::uint64_t position, unsigned bit);

 private:
  using Page = std::array<std::byte, kPage>;
  Page& writable(std::uint64_t index);

  std::vector<std::shared_ptr<Page>> pages_;
  std::uint64_t size_ = 0;
};

}  // namespace mr::sim
