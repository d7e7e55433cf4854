#include "model/record.h"

namespace mr {
namespace {

[[gnu::noinline]] bool read_long(const std::byte*& at, const std::byte* end, std::int32_t& value) {
  return read_varint(at, end, value);
}
[[gnu::noinline]] bool read_long(const std::byte*& at, const std::byte* end, std::int64_t& value) {
  return read_varlong(at, end, value);
}

inline std::int32_t unzigzag(std::uint32_t raw) {
  return static_cast<std::int32_t>(raw >> 1) ^ -static_cast<std::int32_t>(raw & 1);
}

/// As read_varint and read_varlong. Nearly all numbers of a record have one or two bytes: no loop for those, since
/// every record of every produce request comes by here.
template <class Int>
[[gnu::always_inline]] inline bool read_number(const std::byte*& at, const std::byte* end, Int& value) {
  if (at != end) [[likely]] {
    const auto first = std::to_integer<std::uint32_t>(at[0]);
    if (first < 0x80) {
      at += 1;
      value = unzigzag(first);
      return true;
    }
    if (at + 1 != end) [[likely]] {
      const auto second = std::to_integer<std::uint32_t>(at[1]);
      if (second < 0x80) {
        at += 2;
        value = unzigzag((first & 0x7f) | second << 7);
        return true;
      }
    }
  }
  const std::byte* there = at;  // of its own, so that `at` needs no memory
  Int whole = 0;
  const bool read = read_long(there, end, whole);
  at = there;
  value = whole;
  return read;
}

/// A length and as many bytes; -1 is null. False when they are not there.
[[gnu::always_inline]] inline bool read_nullable(const std::byte*& at, const std::byte* end,
                                                 std::optional<ByteView>& value) {
  std::int32_t length = 0;
  if (!read_number(at, end, length)) return false;
  if (length == -1) {
    value.reset();
    return true;
  }
  if (length < 0 || length > end - at) return false;
  value.emplace(at, static_cast<std::size_t>(length));
  at += length;
  return true;
}

}  // namespace

bool HeaderReader::next(RecordHeader& header) {
  if (left_ == 0) return false;
  --left_;
  std::optional<ByteView> key;
  MR_CHECK(read_nullable(at_, end_, key) && key && read_nullable(at_, end_, header.value));
  header.key = as_text(*key);
  return true;
}

bool RecordReader::headers_fit(const std::byte* end, std::int32_t count) {
  const std::byte* at = at_;
  std::optional<ByteView> bytes;
  for (std::int32_t i = 0; i < count; ++i) {
    if (!read_nullable(at, end, bytes) || !bytes) return fail("header key is null or longer than its record");
    if (!read_nullable(at, end, bytes)) return fail("header value longer than its record");
  }
  if (at != end) return fail("record longer than its fields");
  return true;
}

bool RecordReader::next(Record& record) {
  if (problem_ != nullptr) return false;
  if (index_ == count_) return at_ == end_ ? false : fail("bytes behind the last record");
  std::int32_t length = 0;
  const std::byte* at = at_;
  if (!read_number(at, end_, length) || length < 0 || length > end_ - at)
    return fail("record length is beyond the batch");
  const std::byte* end = at + length;
  if (at == end) return fail("empty record");
  ++at;  // attributes: unused, any value
  if (!read_number(at, end, record.timestamp_delta)) return fail("timestamp delta is cut");
  if (!read_number(at, end, record.offset_delta)) return fail("offset delta is cut");
  if (!read_nullable(at, end, record.key)) return fail("key longer than its record");
  if (!read_nullable(at, end, record.value)) return fail("value longer than its record");
  if (!read_number(at, end, record.headers_count) || record.headers_count < 0)
    return fail("header count is cut or negative");
  record.headers = {at, static_cast<std::size_t>(end - at)};
  at_ = at;
  if ((record.headers_count > 0 || at != end) && !headers_fit(end, record.headers_count)) return false;
  at_ = end;
  ++index_;
  return true;
}

bool BatchReader::next(BatchView& batch) {
  if (problem_) return false;
  ByteView rest = bytes_.subspan(position_);
  if (rest.size() < BatchHeader::kBytes) return false;
  auto header = BatchHeader::parse(rest);
  if (!header.ok()) {
    problem_ = std::move(header).error();
    return false;
  }
  if (header->total_bytes() > rest.size()) return false;
  batch.header = *header;
  batch.bytes = rest.first(header->total_bytes());
  position_ += header->total_bytes();
  return true;
}

}  // namespace mr
