#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "wire/api_info.h"
#include "wire/arena.h"
#include "wire/records.h"

namespace mr::wire {

using NullableString = std::optional<std::string_view>;
using NullableBytes = std::optional<ByteView>;

/// Decodes primitive wire types from one frame. Bounds-checked, and sticky: after the first bad byte every read returns
/// an empty value and takes nothing, so generated code asks once at the end. Strings and bytes are views into the
/// frame; arrays go into the arena. `flexible` selects compact lengths (unsigned varint of length + 1).
class Reader {
 public:
  /// What arrays of one message may take in the arena. A request of N bytes needs at most about 30 N.
  static constexpr std::size_t kArenaBytesMax = 64 << 20;

  Reader(ByteView frame, Arena& arena, std::size_t arena_bytes_max = kArenaBytesMax)
      : at_(frame.data()), end_(frame.data() + frame.size()), arena_(&arena), budget_(arena_bytes_max) {}

  bool ok() const { return !failed_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  /// Everything not read yet.
  ByteView rest() const { return {at_, left()}; }

  /// ok and nothing left, else malformed; called after the last field.
  Result<void> finish() const;
  /// malformed if anything failed so far.
  Result<void> status() const;

  bool boolean() { return fixed<std::int8_t>() != 0; }
  std::int8_t i8() { return fixed<std::int8_t>(); }
  std::int16_t i16() { return fixed<std::int16_t>(); }
  std::uint16_t u16() { return fixed<std::uint16_t>(); }
  std::int32_t i32() { return fixed<std::int32_t>(); }
  std::uint32_t u32() { return fixed<std::uint32_t>(); }
  std::int64_t i64() { return fixed<std::int64_t>(); }
  double f64() { return std::bit_cast<double>(fixed<std::uint64_t>()); }
  Uuid uuid() {
    std::uint64_t high = fixed<std::uint64_t>();
    return {high, fixed<std::uint64_t>()};
  }
  /// At most five bytes, value below 2^32.
  std::uint32_t uvarint();

  std::string_view string(bool flexible);
  NullableString nullable_string(bool flexible);
  ByteView bytes(bool flexible);
  NullableBytes nullable_bytes(bool flexible);
  Records records(bool flexible);
  Records nullable_records(bool flexible);
  /// The int8 in front of a nullable struct: true when one follows.
  bool present();

  /// Count of an array whose elements take at least `element_bytes_min` bytes each; fails when so many cannot be there.
  std::size_t count(bool flexible, std::size_t element_bytes_min);
  /// The same, empty for null.
  std::optional<std::size_t> nullable_count(bool flexible, std::size_t element_bytes_min);

  /// `count` elements in the arena, each filled by `read_one(element)`. Memory is taken within the budget only.
  template <class T, class ReadOne>
  List<T> list(std::size_t count, ReadOne read_one) {
    if (!take_budget(count, sizeof(T))) return {};
    List<T> items = arena_->list<T>(count);
    for (T& item : items) {
      read_one(item);
      if (failed_) return {};
    }
    return items;
  }

  /// A tag section, in a loop: `while (in.next_tag(tags)) switch (tags.tag) { ... in.skip_tag(tags) }`.
  struct Tags {
    bool open = false;        ///< the count was read
    std::uint32_t count = 0;  ///< fields not seen yet
    std::uint32_t tag = 0;
    const std::byte* field_end = nullptr;
    const std::byte* outer_end = nullptr;
  };
  /// Enters the next tagged field (reads stop at its end); false after the last. A field that was read must have used
  /// exactly its size.
  bool next_tag(Tags& tags);
  void skip_tag(const Tags& tags) {
    if (!failed_) at_ = tags.field_end;
  }
  /// A section in which we know no tag.
  void skip_tags();

  void fail() {
    failed_ = true;
    at_ = end_;
  }

 private:
  template <class T>
  T fixed() {
    if (left() < sizeof(T)) [[unlikely]] {
      fail();
      return T{};
    }
    T value = load_be<T>(at_);
    at_ += sizeof(T);
    return value;
  }
  /// Length of a string (`flexible`: compact) or of bytes; -1 is null; fails below -1 or beyond what is left.
  std::int64_t string_length(bool flexible);
  std::int64_t bytes_length(bool flexible);
  std::int64_t checked_length(std::int64_t length);
  bool take_budget(std::size_t count, std::size_t element_bytes);
  ByteView take(std::size_t n) {
    ByteView view{at_, n};
    at_ += n;
    return view;
  }

  const std::byte* at_;
  const std::byte* end_;
  Arena* arena_;
  std::size_t budget_;
  bool failed_ = false;
  bool over_budget_ = false;
};

}  // namespace mr::wire
