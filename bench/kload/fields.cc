#include "bench/kload/fields.h"

#include <errno.h>
#include <fmt/format.h>

#include <cstdlib>

namespace mr::bench {

std::uint32_t Cursor::varint() {
  std::uint32_t value = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    auto b = take<std::uint8_t>();
    value |= static_cast<std::uint32_t>(b & 0x7f) << shift;
    if (b < 0x80) break;
  }
  return value;
}

void Cursor::tags() {
  for (std::uint32_t n = varint(); n > 0; --n) {
    varint();
    skip(varint());
  }
}

ByteView Cursor::skip(std::size_t n) {
  if (n > bytes_.size()) {
    fmt::print(stderr, "{}: an answer is shorter than its fields\n", program_invocation_short_name);
    std::exit(1);
  }
  ByteView taken = bytes_.first(n);
  bytes_ = bytes_.subspan(n);
  return taken;
}

}  // namespace mr::bench
