#include "base/siphash.h"

#include <array>
#include <bit>

namespace mr {
namespace {

std::uint64_t load_le64(const std::byte* at) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return std::endian::native == std::endian::big ? std::byteswap(value) : value;
}

struct State {
  std::uint64_t a, b, c, d;

  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      a += b;
      c += d;
      b = std::rotl(b, 13) ^ a;
      d = std::rotl(d, 16) ^ c;
      a = std::rotl(a, 32);
      c += b;
      a += d;
      b = std::rotl(b, 17) ^ c;
      d = std::rotl(d, 21) ^ a;
      c = std::rotl(c, 32);
    }
  }
  void take(std::uint64_t word) {
    d ^= word;
    rounds(2);
    a ^= word;
  }
  std::uint64_t mixed() const { return a ^ b ^ c ^ d; }
};

}  // namespace

Hash128 siphash128(ByteView bytes, const HashSeed& seed) {
  State state{seed.first ^ 0x736f6d6570736575, seed.second ^ 0x646f72616e646f6d ^ 0xee, seed.first ^ 0x6c7967656e657261,
              seed.second ^ 0x7465646279746573};
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) state.take(load_le64(bytes.data() + at));
  std::array<std::byte, 8> last{};
  if (at < bytes.size()) std::memcpy(last.data(), bytes.data() + at, bytes.size() - at);
  last[7] = static_cast<std::byte>(bytes.size());
  state.take(load_le64(last.data()));
  Hash128 hash;
  state.c ^= 0xee;
  state.rounds(4);
  hash.low = state.mixed();
  state.b ^= 0xdd;
  state.rounds(4);
  hash.high = state.mixed();
  return hash;
}

}  // namespace mr
