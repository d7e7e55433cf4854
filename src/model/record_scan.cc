#include "model/record_scan.h"

#include <algorithm>

namespace mr {

namespace {
constexpr const char* kLengthBeyond = "record length is beyond the batch";
}

RecordScan::Got RecordScan::number(const std::byte*& at, const std::byte* end, bool wide, std::int64_t& value) {
  const bool within = at_ != At::length;
  const int last = wide ? 63 : 28;
  const unsigned last_max = wide ? 1 : 0x0f;
  for (;;) {
    if (within && left_ == 0) return Got::bad;
    if (at == end) return Got::more;
    const auto byte = std::to_integer<unsigned>(*at++);
    if (within) --left_;
    if (shift_ == last && byte > last_max) return Got::bad;
    raw_ |= std::uint64_t{byte & 0x7f} << shift_;
    shift_ += 7;
    if (byte < 0x80) break;
  }
  value = static_cast<std::int64_t>(raw_ >> 1) ^ -static_cast<std::int64_t>(raw_ & 1);
  raw_ = 0;
  shift_ = 0;
  return Got::whole;
}

RecordScan::Got RecordScan::begin_record(const std::byte*& at, const std::byte* end) {
  if (index_ == count_) return fail("bytes behind the last record");
  std::int64_t length = 0;
  const Got got = number(at, end, false, length);
  if (got == Got::more) return got;
  if (got == Got::bad || length < 0) return fail(kLengthBeyond);
  if (length == 0) return fail("empty record");
  left_ = length;
  at_ = At::attributes;
  return Got::whole;
}

/// -1 is null, where that may be.
RecordScan::Got RecordScan::bytes_length(const std::byte*& at, const std::byte* end, bool nullable, const char* why,
                                         At bytes) {
  std::int64_t length = 0;
  const Got got = number(at, end, false, length);
  if (got == Got::more) return got;
  if (got == Got::bad || length < (nullable ? -1 : 0) || length > left_) return fail(why);
  if (bytes == At::key) seen_.has_key = length >= 0;
  pass_ = std::max<std::int64_t>(length, 0);
  at_ = bytes;
  return Got::whole;
}

RecordScan::Got RecordScan::pass(const std::byte*& at, const std::byte* end, At next) {
  const std::int64_t n = std::min<std::int64_t>(pass_, end - at);
  at += n;
  pass_ -= n;
  left_ -= n;
  if (pass_ > 0) return Got::more;
  at_ = next;
  return Got::whole;
}

RecordScan::Got RecordScan::next_header() {
  if (headers_left_ > 0) {
    --headers_left_;
    at_ = At::header_key_length;
    return Got::whole;
  }
  if (left_ != 0) return fail("record longer than its fields");
  at_ = At::end;
  return Got::whole;
}

RecordScan::Got RecordScan::step(const std::byte*& at, const std::byte* end) {
  constexpr const char* kHeaderKey = "header key is null or longer than its record";
  std::int64_t value = 0;
  Got got = Got::whole;
  switch (at_) {
    case At::length:
      return begin_record(at, end);
    case At::attributes:  // unused, any value
      if (at == end) return Got::more;
      ++at;
      --left_;
      at_ = At::timestamp;
      return Got::whole;
    case At::timestamp:
      got = number(at, end, true, seen_.timestamp_delta);
      if (got == Got::bad) return fail("timestamp delta is cut");
      if (got == Got::whole) at_ = At::offset;
      return got;
    case At::offset:
      got = number(at, end, false, value);
      if (got == Got::bad) return fail("offset delta is cut");
      seen_.offset_delta = static_cast<std::int32_t>(value);
      if (got == Got::whole) at_ = At::key_length;
      return got;
    case At::key_length:
      return bytes_length(at, end, true, "key longer than its record", At::key);
    case At::key:
      return pass(at, end, At::value_length);
    case At::value_length:
      return bytes_length(at, end, true, "value longer than its record", At::value);
    case At::value:
      return pass(at, end, At::header_count);
    case At::header_count:
      got = number(at, end, false, headers_left_);
      if (got == Got::more) return got;
      if (got == Got::bad || headers_left_ < 0) return fail("header count is cut or negative");
      return next_header();
    case At::header_key_length:
      return bytes_length(at, end, false, kHeaderKey, At::header_key);
    case At::header_key:
      return pass(at, end, At::header_value_length);
    case At::header_value_length:
      return bytes_length(at, end, true, "header value longer than its record", At::header_value);
    case At::header_value:
      got = pass(at, end, At::end);
      return got == Got::whole ? next_header() : got;
    case At::end:
      return Got::whole;
  }
  return Got::bad;
}

bool RecordScan::feed(ByteView piece, const Each& each) {
  const std::byte* at = piece.data();
  const std::byte* const end = at + piece.size();
  // A record may end, and be told of, with the last byte of a piece: only a new one needs a byte to begin.
  while (at != end || at_ != At::length) {
    const Got got = step(at, end);
    if (got == Got::bad) return false;
    if (got == Got::more) return true;
    if (at_ != At::end) continue;
    at_ = At::length;
    ++index_;
    if (!each(seen_)) return false;
  }
  return true;
}

bool RecordScan::finish() {
  if (problem_ == nullptr && (at_ != At::length || shift_ != 0 || index_ != count_)) problem_ = kLengthBeyond;
  return problem_ == nullptr;
}

}  // namespace mr
