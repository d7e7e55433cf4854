#include "model/record.h"

namespace mr {
namespace {

/// A length and as many bytes; -1 is null. False when they are not there.
bool read_nullable(const std::byte*& at, const std::byte* end, std::optional<ByteView>& value) {
  std::int32_t length = 0;
  if (!read_varint(at, end, length)) return false;
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
  if (!read_varint(at_, end_, length) || length < 0 || length > end_ - at_)
    return fail("record length is beyond the batch");
  const std::byte* end = at_ + length;
  if (at_ == end) return fail("empty record");
  ++at_;  // attributes: unused, any value
  if (!read_varlong(at_, end, record.timestamp_delta)) return fail("timestamp delta is cut");
  if (!read_varint(at_, end, record.offset_delta)) return fail("offset delta is cut");
  if (!read_nullable(at_, end, record.key)) return fail("key longer than its record");
  if (!read_nullable(at_, end, record.value)) return fail("value longer than its record");
  if (!read_varint(at_, end, record.headers_count) || record.headers_count < 0)
    return fail("header count is cut or negative");
  if (!headers_fit(end, record.headers_count)) return false;
  record.headers = {at_, static_cast<std::size_t>(end - at_)};
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
