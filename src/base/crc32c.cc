#include "base/crc32c.h"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#endif

namespace mr {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41 reflected

constexpr std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> t{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c & 1) ? (c >> 1) ^ kPolynomial : c >> 1;
    t[0][i] = c;
  }
  for (std::uint32_t i = 0; i < 256; ++i)
    for (std::size_t s = 1; s < 8; ++s) t[s][i] = (t[s - 1][i] >> 8) ^ t[0][t[s - 1][i] & 0xff];
  return t;
}
constexpr auto kTables = make_tables();

std::uint32_t portable_raw(std::uint32_t crc, const std::byte* p, std::size_t n) {
  while (n >= 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    if constexpr (std::endian::native == std::endian::big) word = std::byteswap(word);
    word ^= crc;
    crc = 0;
    for (std::size_t s = 0; s < 8; ++s) crc ^= kTables[7 - s][(word >> (8 * s)) & 0xff];
    p += 8;
    n -= 8;
  }
  while (n-- > 0) crc = (crc >> 8) ^ kTables[0][(crc ^ std::to_integer<std::uint32_t>(*p++)) & 0xff];
  return crc;
}

#if defined(__x86_64__)

/// x^n mod P in the reflected representation (bit 31 is x^0).
constexpr std::uint32_t x_power(std::uint64_t n) {
  std::uint32_t r = 0x80000000;
  while (n-- > 0) r = (r & 1) ? (r >> 1) ^ kPolynomial : r >> 1;
  return r;
}

// Lanes of two sizes: long ones for big batches, short ones for what is left. A lane's CRC is carried over the lanes
// behind it by a carry-less multiplication with x^(8*length-33); the CRC instruction does the reduction and supplies
// the missing x^33.
constexpr std::size_t kLong = 1024;
constexpr std::size_t kShort = 128;
template <std::size_t Lane>
inline constexpr std::uint32_t kShift1 = x_power(8 * Lane - 33);
template <std::size_t Lane>
inline constexpr std::uint32_t kShift2 = x_power(16 * Lane - 33);

__attribute__((target("sse4.2,pclmul"))) std::uint64_t shifted(std::uint32_t crc, std::uint32_t constant) {
  __m128i product =
      _mm_clmulepi64_si128(_mm_cvtsi32_si128(static_cast<int>(crc)), _mm_cvtsi32_si128(static_cast<int>(constant)), 0);
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(product));
}

template <std::size_t Lane>
__attribute__((target("sse4.2,pclmul"))) void three_lanes(std::uint64_t& crc, const std::byte*& p, std::size_t& n) {
  while (n >= 3 * Lane) {
    std::uint64_t a = crc;
    std::uint64_t b = 0;
    std::uint64_t c = 0;
    for (std::size_t i = 0; i < Lane; i += 8) {
      std::uint64_t wa, wb, wc;
      std::memcpy(&wa, p + i, 8);
      std::memcpy(&wb, p + Lane + i, 8);
      std::memcpy(&wc, p + 2 * Lane + i, 8);
      a = _mm_crc32_u64(a, wa);
      b = _mm_crc32_u64(b, wb);
      c = _mm_crc32_u64(c, wc);
    }
    std::uint64_t folded =
        shifted(static_cast<std::uint32_t>(a), kShift2<Lane>) ^ shifted(static_cast<std::uint32_t>(b), kShift1<Lane>);
    crc = _mm_crc32_u64(0, folded) ^ c;
    p += 3 * Lane;
    n -= 3 * Lane;
  }
}

__attribute__((target("sse4.2,pclmul"))) std::uint32_t sse_raw(std::uint32_t seed, const std::byte* p, std::size_t n) {
  std::uint64_t crc = seed;
  three_lanes<kLong>(crc, p, n);
  three_lanes<kShort>(crc, p, n);
  while (n >= 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    crc = _mm_crc32_u64(crc, word);
    p += 8;
    n -= 8;
  }
  while (n-- > 0) crc = _mm_crc32_u8(static_cast<std::uint32_t>(crc), std::to_integer<unsigned char>(*p++));
  return static_cast<std::uint32_t>(crc);
}

bool has_sse() { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"); }

#endif

}  // namespace

std::uint32_t crc32c_portable(ByteView bytes, std::uint32_t seed) {
  return ~portable_raw(~seed, bytes.data(), bytes.size());
}

std::uint32_t crc32c(ByteView bytes, std::uint32_t seed) {
#if defined(__x86_64__)
  static const bool sse = has_sse();
  if (sse) return ~sse_raw(~seed, bytes.data(), bytes.size());
#endif
  return crc32c_portable(bytes, seed);
}

}  // namespace mr
