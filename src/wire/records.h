#pragma once
#include <cstdint>

#include "base/bytes.h"

namespace mr::wire {

/// A `records` field: record batches as they are stored, never parsed by a codec.
/// Decoded: `inline_bytes` is a view into the frame. To be encoded: either `inline_bytes` (must live until the pieces
/// are sent), or `external(size, token)`: bytes that the sender has elsewhere (file range, pinned memory); the writer
/// emits their length and leaves a cut with the token.
struct Records {
  ByteView inline_bytes;
  std::uint64_t external_size = 0;
  std::uint32_t token = 0;
  bool is_external = false;
  bool is_null = false;

  static Records of(ByteView bytes) { return {.inline_bytes = bytes}; }
  static Records external(std::uint64_t size, std::uint32_t token) {
    return {.external_size = size, .token = token, .is_external = true};
  }
  static Records null() { return {.is_null = true}; }

  std::uint64_t size() const { return is_external ? external_size : inline_bytes.size(); }
};

}  // namespace mr::wire
