#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

/// Kafka's primitive fields, written into requests and cut out of answers. Not the product's codecs, on purpose.
namespace mr::bench {

using Bytes = std::vector<std::byte>;

/// Builds one request, its size in front; or, begun with nothing, a piece of one.
class FrameWriter {
 public:
  FrameWriter() = default;
  FrameWriter(std::int16_t key, std::int16_t version, bool flexible) {
    put<std::int32_t>(0).put(key).put(version).put<std::int32_t>(0).text("kload");
    if (flexible) put<std::uint8_t>(0);
  }
  template <class T>
  FrameWriter& put(T value) {
    out_.resize(out_.size() + sizeof value);
    store_be(out_.data() + out_.size() - sizeof value, value);
    return *this;
  }
  FrameWriter& varint(std::uint32_t value) {
    for (; value >= 0x80; value >>= 7) put(static_cast<std::uint8_t>(value | 0x80));
    return put(static_cast<std::uint8_t>(value));
  }
  FrameWriter& text(std::string_view value) {
    put(static_cast<std::int16_t>(value.size()));
    return raw(as_bytes(value));
  }
  FrameWriter& compact_text(std::string_view value) { return compact_bytes(as_bytes(value)); }
  FrameWriter& compact_bytes(ByteView value) {
    varint(static_cast<std::uint32_t>(value.size()) + 1);
    return raw(value);
  }
  /// A compact array's length.
  FrameWriter& items(std::size_t n) { return varint(static_cast<std::uint32_t>(n) + 1); }
  FrameWriter& null() { return varint(0); }
  FrameWriter& no_tags() { return varint(0); }
  FrameWriter& raw(ByteView value) {
    out_.insert(out_.end(), value.begin(), value.end());
    return *this;
  }
  std::size_t size() const { return out_.size(); }
  Bytes bytes() { return std::move(out_); }
  /// `more` bytes follow that are not in here.
  Bytes frame(std::size_t more = 0) {
    store_be(out_.data(), static_cast<std::int32_t>(out_.size() - 4 + more));
    return std::move(out_);
  }

 private:
  Bytes out_;
};

/// Patches the correlation id of a frame that begins with its size.
inline void set_correlation(std::span<std::byte> frame, std::int32_t id) { store_be(frame.data() + 8, id); }

/// Cuts an answer into fields. Running past the end ends the program: the peer is broken, there is nothing to measure.
class Cursor {
 public:
  explicit Cursor(ByteView bytes) : bytes_(bytes) {}
  template <class T>
  T take() {
    return load_be<T>(skip(sizeof(T)).data());
  }
  std::uint32_t varint();
  /// Null is empty.
  std::string_view text() {
    return as_text(skip(static_cast<std::size_t>(std::max<std::int16_t>(take<std::int16_t>(), 0))));
  }
  /// Null is empty.
  std::string_view compact_text() {
    std::uint32_t n = varint();
    return n > 1 ? as_text(skip(n - 1)) : std::string_view{};
  }
  void tags();
  ByteView skip(std::size_t n);

 private:
  ByteView bytes_;
};

}  // namespace mr::bench
