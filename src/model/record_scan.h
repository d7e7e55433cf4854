#pragma once
#include <cstdint>
#include <functional>

#include "base/bytes.h"

namespace mr {

/// Walks the records of one batch that come in pieces, as RecordReader does when they are there as a whole: the same
/// checks, memory for none of it. Keys, values and headers are passed over.
///   RecordScan in(header.records_count);
///   inflater.inflate_pieces(..., [&](ByteView piece) { return in.feed(piece, each) ? ... });
///   if (!in.finish()) ... in.index() is the record at fault, in.problem() says why
class RecordScan {
 public:
  /// What is kept of a record.
  struct Seen {
    std::int64_t timestamp_delta = 0;
    std::int32_t offset_delta = 0;
    bool has_key = false;
  };
  /// Told of each record once it has ended; false: enough.
  using Each = std::function<bool(const Seen&)>;

  explicit RecordScan(std::int32_t count) : count_(count) {}

  /// The next bytes. False at the first bad record or when `each` has enough; then no more may be fed.
  bool feed(ByteView piece, const Each& each);
  /// After the last piece. False when records are missing.
  bool finish();
  const char* problem() const { return problem_; }
  /// Records that have ended, which is the index of the one that comes.
  std::int32_t index() const { return index_; }

 private:
  enum class At : std::uint8_t {
    length,
    attributes,
    timestamp,
    offset,
    key_length,
    key,
    value_length,
    value,
    header_count,
    header_key_length,
    header_key,
    header_value_length,
    header_value,
    end,
  };
  enum class Got : std::uint8_t { more, whole, bad };

  /// One field, or what there is of it. more: the piece is used up.
  Got step(const std::byte*& at, const std::byte* end);
  Got begin_record(const std::byte*& at, const std::byte* end);
  Got bytes_length(const std::byte*& at, const std::byte* end, bool nullable, const char* why, At bytes);
  Got pass(const std::byte*& at, const std::byte* end, At next);
  Got number(const std::byte*& at, const std::byte* end, bool wide, std::int64_t& value);
  Got next_header();
  Got fail(const char* why) {
    problem_ = why;
    return Got::bad;
  }

  std::int32_t count_;
  std::int32_t index_ = 0;
  At at_ = At::length;
  const char* problem_ = nullptr;
  std::int64_t left_ = 0;  ///< of the record
  std::int64_t pass_ = 0;  ///< of the field that is passed over
  std::int64_t headers_left_ = 0;
  std::uint64_t raw_ = 0;  ///< a number so far
  int shift_ = 0;
  Seen seen_;
};

}  // namespace mr
