#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "wire/reader.h"
#include "wire/records.h"

namespace mr::wire {

/// One stretch of an encoded frame, in order. Either bytes in memory or, when `is_external`, `external_size` bytes that
/// the sender finds by `token` (what the handler gave to Records::external).
struct Piece {
  ByteView bytes;
  std::uint64_t external_size = 0;
  std::uint32_t token = 0;
  bool is_external = false;
};

/// How often each error code was written: at code + 1, since -1 is one. Any thread may read, one writes.
using ErrorCodeCounts = std::array<std::atomic<std::uint64_t>, 160>;

/// Encodes primitive wire types into a buffer that grows once and is recycled by reset(). Errors are sticky: encode()
/// of a message reports them at its end. Record bytes are not copied: the frame is a list of pieces.
///
///   Writer out;
///   out.begin_frame();
///   out.i32(correlation_id); ... response.encode(out, version)
///   out.end_frame();                          // patches the int32 size, external bytes included
///   for (const Piece& p : out.pieces()) ...   // send
///
/// Pieces stay valid until the next write or reset().
class Writer {
 public:
  /// Inline records up to this size are copied, since a piece of their own would cost more.
  static constexpr std::size_t kCopyBytesMax = 256;

  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  Writer(Writer&&) = default;
  Writer& operator=(Writer&&) = default;

  /// Forgets what was written, keeps the memory unless it is over `kept_bytes_max`.
  void reset(std::size_t kept_bytes_max = 1 << 20);

  /// reset() keeps it. `counts` outlives the writer.
  void count_errors_in(ErrorCodeCounts* counts) { errors_ = counts; }

  void begin_frame();
  void end_frame();

  /// Bytes written so far, external ones included.
  std::uint64_t size() const { return used_ + spliced_; }
  std::span<const Piece> pieces();
  /// The whole as one view; only when nothing is spliced (requests, stored messages, tests).
  ByteView flat() const {
    MR_CHECK(cuts_.empty());
    return {buffer_.get(), used_};
  }

  bool ok() const { return error_ == Outcome::fine; }
  Result<void> status() const;
  /// A field holds what its version cannot say, and it is not ignorable.
  void fail_unsupported(const char* field) { fail(Outcome::unsupported, field); }
  /// Null where the version has no null.
  void fail_null(const char* field) { fail(Outcome::null, field); }

  void boolean(bool v) { fixed<std::int8_t>(v ? 1 : 0); }
  void i8(std::int8_t v) { fixed(v); }
  void i16(std::int16_t v) { fixed(v); }
  void u16(std::uint16_t v) { fixed(v); }
  /// Counted when it is an error and somebody counts.
  void error_code(std::int16_t code) {
    if (code != 0 && errors_ != nullptr) [[unlikely]]
      count_error(code);
    fixed(code);
  }
  void i32(std::int32_t v) { fixed(v); }
  void u32(std::uint32_t v) { fixed(v); }
  void i64(std::int64_t v) { fixed(v); }
  void f64(double v) { fixed(std::bit_cast<std::uint64_t>(v)); }
  void uuid(const Uuid& v) {
    fixed(v.high);
    fixed(v.low);
  }
  void uvarint(std::uint32_t v);
  void raw(ByteView bytes);

  void string(std::string_view text, bool flexible);
  void nullable_string(const NullableString& text, bool flexible);
  void bytes(ByteView bytes, bool flexible);
  void nullable_bytes(const NullableBytes& bytes, bool flexible);
  /// Null records are written as null; the caller has checked that the version allows them.
  void records(const Records& records, bool flexible);
  void count(std::size_t n, bool flexible);
  void null_count(bool flexible);
  /// The int8 in front of a nullable struct.
  void present(bool yes) { i8(yes ? 1 : -1); }

  /// One tagged field: tag, then the size of what is written until end_tag(). No records inside.
  std::size_t begin_tag(std::uint32_t tag);
  void end_tag(std::size_t mark);

 private:
  enum class Outcome : std::uint8_t { fine, unsupported, null, too_long };
  struct Cut {
    std::size_t at = 0;  ///< position in the buffer in front of which the piece goes
    Piece piece;
  };

  template <class T>
  void fixed(T v) {
    store_be(room(sizeof(T)), v);
    used_ += sizeof(T);
  }
  /// `n` bytes at the end of the buffer, not counted as used yet.
  std::byte* room(std::size_t n) {
    if (capacity_ - used_ < n) [[unlikely]]
      grow(n);
    return buffer_.get() + used_;
  }
  void grow(std::size_t n);
  void count_error(std::int16_t code);
  void length(std::uint64_t n, bool flexible);
  void fail(Outcome outcome, const char* field) {
    if (error_ != Outcome::fine) return;
    error_ = outcome;
    error_field_ = field;
  }

  std::unique_ptr<std::byte[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
  std::uint64_t spliced_ = 0;
  std::vector<Cut> cuts_;
  std::vector<Piece> pieces_;
  std::size_t frame_at_ = 0;
  std::uint64_t frame_from_ = 0;
  Outcome error_ = Outcome::fine;
  const char* error_field_ = "";
  ErrorCodeCounts* errors_ = nullptr;
};

}  // namespace mr::wire
