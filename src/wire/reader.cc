#include "wire/reader.h"

namespace mr::wire {
namespace {

// Kafka's parsers refuse longer strings, also in the compact form that could say more.
constexpr std::int64_t kStringBytesMax = 0x7fff;

}  // namespace

Result<void> Reader::status() const {
  if (over_budget_) return Error(Errc::too_large, "arrays need more memory than a message may take");
  if (failed_) return Error(Errc::malformed, "message is cut short or a length in it is impossible");
  return {};
}

Result<void> Reader::finish() const {
  MR_TRY_VOID(status());
  if (left() != 0) return Error(Errc::malformed, "bytes behind the end of the message");
  return {};
}

std::uint32_t Reader::uvarint() {
  std::uint32_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (at_ == end_) break;
    auto byte = std::to_integer<std::uint32_t>(*at_++);
    if (shift == 28 && byte > 0x0f) break;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail();
  return 0;
}

std::int64_t Reader::checked_length(std::int64_t length) {
  if (length < -1 || length > static_cast<std::int64_t>(left())) [[unlikely]]
    fail();
  return failed_ ? -1 : length;
}

std::int64_t Reader::string_length(bool flexible) {
  std::int64_t length = flexible ? static_cast<std::int64_t>(uvarint()) - 1 : i16();
  if (length > kStringBytesMax) [[unlikely]]
    fail();
  return checked_length(length);
}

std::int64_t Reader::bytes_length(bool flexible) {
  return checked_length(flexible ? static_cast<std::int64_t>(uvarint()) - 1 : i32());
}

std::string_view Reader::string(bool flexible) {
  std::int64_t n = string_length(flexible);
  if (n < 0) {
    fail();
    return {};
  }
  return as_text(take(static_cast<std::size_t>(n)));
}

NullableString Reader::nullable_string(bool flexible) {
  std::int64_t n = string_length(flexible);
  if (n < 0) return {};
  return as_text(take(static_cast<std::size_t>(n)));
}

ByteView Reader::bytes(bool flexible) {
  std::int64_t n = bytes_length(flexible);
  if (n < 0) {
    fail();
    return {};
  }
  return take(static_cast<std::size_t>(n));
}

NullableBytes Reader::nullable_bytes(bool flexible) {
  std::int64_t n = bytes_length(flexible);
  if (n < 0) return {};
  return take(static_cast<std::size_t>(n));
}

Records Reader::records(bool flexible) { return Records::of(bytes(flexible)); }

Records Reader::nullable_records(bool flexible) {
  NullableBytes found = nullable_bytes(flexible);
  return found ? Records::of(*found) : Records::null();
}

bool Reader::present() {
  std::int8_t prefix = i8();
  if (prefix != 1 && prefix != -1) fail();
  return prefix == 1;
}

std::optional<std::size_t> Reader::nullable_count(bool flexible, std::size_t element_bytes_min) {
  std::int64_t n = flexible ? static_cast<std::int64_t>(uvarint()) - 1 : i32();
  if (failed_) return 0;
  if (n == -1) return {};
  if (n < 0 || static_cast<std::uint64_t>(n) > left() / element_bytes_min) {
    fail();
    return 0;
  }
  return static_cast<std::size_t>(n);
}

std::size_t Reader::count(bool flexible, std::size_t element_bytes_min) {
  std::optional<std::size_t> n = nullable_count(flexible, element_bytes_min);
  if (!n) fail();
  return n.value_or(0);
}

bool Reader::take_budget(std::size_t count, std::size_t element_bytes) {
  if (failed_) return false;
  if (count > budget_ / element_bytes) {
    over_budget_ = true;
    fail();
    return false;
  }
  budget_ -= count * element_bytes;
  return true;
}

bool Reader::next_tag(Tags& tags) {
  if (!tags.open) {
    tags.open = true;
    tags.count = uvarint();
  } else if (!failed_) {
    if (at_ != tags.field_end) fail();
    end_ = tags.outer_end;
    if (failed_) at_ = end_;
  }
  if (failed_ || tags.count == 0) return false;
  --tags.count;
  tags.tag = uvarint();
  std::uint32_t size = uvarint();
  if (failed_ || size > left()) {
    fail();
    return false;
  }
  tags.field_end = at_ + size;
  tags.outer_end = end_;
  end_ = tags.field_end;
  return true;
}

void Reader::skip_tags() {
  Tags tags;
  while (next_tag(tags)) skip_tag(tags);
}

}  // namespace mr::wire
