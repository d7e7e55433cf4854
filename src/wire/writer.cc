#include "wire/writer.h"

#include <algorithm>
#include <limits>

namespace mr::wire {
namespace {

constexpr std::size_t kStringBytesMax = 0x7fff;
constexpr std::uint64_t kLengthMax = std::numeric_limits<std::int32_t>::max();

std::size_t put_uvarint(std::byte* to, std::uint32_t v) {
  std::size_t n = 0;
  for (; v >= 0x80; v >>= 7) to[n++] = static_cast<std::byte>(v | 0x80);
  to[n++] = static_cast<std::byte>(v);
  return n;
}

}  // namespace

void Writer::count_error(std::int16_t code) {
  const auto at = static_cast<std::size_t>(code + 1);
  MR_CHECK(at < errors_->size());
  auto& count = (*errors_)[at];
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void Writer::grow(std::size_t n) {
  std::size_t bigger = std::max({capacity_ * 2, used_ + n, std::size_t{1024}});
  auto buffer = std::make_unique_for_overwrite<std::byte[]>(bigger);
  if (used_ > 0) std::memcpy(buffer.get(), buffer_.get(), used_);
  buffer_ = std::move(buffer);
  capacity_ = bigger;
}

void Writer::reset(std::size_t kept_bytes_max) {
  used_ = 0;
  spliced_ = 0;
  cuts_.clear();
  pieces_.clear();
  error_ = Outcome::fine;
  if (capacity_ > kept_bytes_max) {
    buffer_.reset();
    capacity_ = 0;
  }
}

Result<void> Writer::status() const {
  switch (error_) {
    case Outcome::fine:
      return {};
    case Outcome::unsupported:
      return Error(Errc::unsupported_version,
                   std::string(error_field_) + " has a value that this version cannot carry");
    case Outcome::null:
      return Error(Errc::invalid_argument, std::string(error_field_) + " may not be null in this version");
    case Outcome::too_long:
      return Error(Errc::too_large, std::string(error_field_) + " is too long for the wire");
  }
  return {};
}

void Writer::begin_frame() {
  frame_at_ = used_;
  i32(0);
  frame_from_ = size();
}

void Writer::end_frame() {
  std::uint64_t bytes = size() - frame_from_;
  if (bytes > kLengthMax) fail(Outcome::too_long, "frame");
  store_be(buffer_.get() + frame_at_, static_cast<std::int32_t>(bytes));
}

std::span<const Piece> Writer::pieces() {
  pieces_.clear();
  std::size_t from = 0;
  for (const Cut& cut : cuts_) {
    if (cut.at > from) pieces_.push_back({.bytes = {buffer_.get() + from, cut.at - from}});
    pieces_.push_back(cut.piece);
    from = cut.at;
  }
  if (used_ > from) pieces_.push_back({.bytes = {buffer_.get() + from, used_ - from}});
  return pieces_;
}

void Writer::uvarint(std::uint32_t v) { used_ += put_uvarint(room(5), v); }

void Writer::raw(ByteView bytes) {
  if (bytes.empty()) return;
  std::memcpy(room(bytes.size()), bytes.data(), bytes.size());
  used_ += bytes.size();
}

void Writer::length(std::uint64_t n, bool flexible) {
  if (n >= kLengthMax) {
    fail(Outcome::too_long, "bytes");
    n = 0;
  }
  if (flexible) return uvarint(static_cast<std::uint32_t>(n) + 1);
  i32(static_cast<std::int32_t>(n));
}

void Writer::string(std::string_view text, bool flexible) {
  if (text.size() > kStringBytesMax) {
    fail(Outcome::too_long, "string");
    text = {};
  }
  if (flexible)
    uvarint(static_cast<std::uint32_t>(text.size()) + 1);
  else
    i16(static_cast<std::int16_t>(text.size()));
  raw(as_bytes(text));
}

void Writer::nullable_string(const NullableString& text, bool flexible) {
  if (text) return string(*text, flexible);
  if (flexible) return uvarint(0);
  i16(-1);
}

void Writer::bytes(ByteView bytes, bool flexible) {
  length(bytes.size(), flexible);
  if (ok()) raw(bytes);
}

void Writer::nullable_bytes(const NullableBytes& bytes_or_null, bool flexible) {
  if (bytes_or_null) return bytes(*bytes_or_null, flexible);
  null_count(flexible);
}

void Writer::records(const Records& records, bool flexible) {
  if (records.is_null) return null_count(flexible);
  length(records.size(), flexible);
  if (!ok() || records.size() == 0) return;
  if (!records.is_external && records.inline_bytes.size() <= kCopyBytesMax) return raw(records.inline_bytes);
  spliced_ += records.size();
  cuts_.push_back({used_,
                   {.bytes = records.inline_bytes,
                    .external_size = records.external_size,
                    .token = records.token,
                    .is_external = records.is_external}});
}

void Writer::count(std::size_t n, bool flexible) { length(n, flexible); }

void Writer::null_count(bool flexible) {
  if (flexible) return uvarint(0);
  i32(-1);
}

std::size_t Writer::begin_tag(std::uint32_t tag) {
  uvarint(tag);
  room(1);
  ++used_;  // nearly every tagged field is below 128 bytes: its size takes this byte
  return used_;
}

void Writer::end_tag(std::size_t mark) {
  std::size_t bytes = used_ - mark;
  std::byte size[5];
  std::size_t n = put_uvarint(size, static_cast<std::uint32_t>(bytes));
  if (n > 1) {
    room(n - 1);
    std::byte* field = buffer_.get() + mark;
    std::memmove(field + n - 1, field, bytes);
    used_ += n - 1;
  }
  std::memcpy(buffer_.get() + mark - 1, size, n);
}

}  // namespace mr::wire
