#include "storage/batch_scanner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc32c.h"

namespace mr::storage {
namespace {

constexpr std::int64_t kOffsetMax = INT64_MAX - INT32_MAX - 1;

}  // namespace

Error BatchScanner::bad(std::string why) const {
  return Error(Errc::corrupt_batch, fmt::format("at position {}: {}", position_, why));
}

Result<ByteView> BatchScanner::bytes(std::uint64_t at, std::size_t wanted) {
  if (at < chunk_at_ || at + wanted > chunk_at_ + chunk_.size()) {
    chunk_.resize(std::min<std::uint64_t>(std::max(chunk_bytes_, wanted), end_ - at));
    chunk_at_ = at;
    auto got = file_.read_at(chunk_, at);
    if (!got.ok()) {
      chunk_.clear();
      return std::move(got).error();
    }
    chunk_.resize(*got);
  }
  std::size_t skip = at - chunk_at_;
  return ByteView(chunk_).subspan(skip, std::min(wanted, chunk_.size() - skip));
}

Result<void> BatchScanner::check_crc(const Item& item) {
  std::uint32_t crc = 0;
  std::uint64_t at = item.position + BatchHeader::kAttributesAt;
  while (at < item.end()) {
    std::size_t wanted = std::min<std::uint64_t>(item.end() - at, chunk_bytes_);
    MR_TRY(ByteView piece, bytes(at, wanted));
    if (piece.empty()) return bad("the file ends inside the batch");
    crc = crc32c(piece, crc);
    at += piece.size();
  }
  if (crc != item.header.crc) return bad(fmt::format("crc is {:08x}, should be {:08x}", item.header.crc, crc));
  return {};
}

Result<std::optional<BatchScanner::Item>> BatchScanner::next() {
  if (position_ >= end_) return std::optional<Item>();
  MR_TRY(ByteView fixed, bytes(position_, BatchHeader::kBytes));
  auto header = BatchHeader::parse(fixed);
  if (!header.ok()) return bad(header.error().detail());
  // Arithmetic on offsets must not overflow, whatever the bytes say.
  if (header->base_offset < 0 || header->base_offset > kOffsetMax)
    return bad(fmt::format("base offset {} is impossible", header->base_offset));
  std::ranges::copy(fixed, header_.begin());
  Item item{*header, position_};
  if (item.end() > end_)
    return bad(fmt::format("batch of {} bytes reaches beyond the end at {}", header->total_bytes(), end_));
  if (depth_ == Depth::checksums) MR_TRY_VOID(check_crc(item));
  position_ = item.end();
  return std::optional<Item>(item);
}

}  // namespace mr::storage
