// Compressed records of every codec: no crash, never more than the limit, and the same twice from one Inflater.
#include "model/compression.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mr;
  if (size < 1) return 0;
  static Inflater inflater;
  auto codec = static_cast<Codec>(data[0] % 6);
  constexpr std::uint64_t kMax = 256 << 10;
  ByteView packed{reinterpret_cast<const std::byte*>(data + 1), size - 1};
  auto first = inflater.inflate(codec, packed, kMax);
  if (!first.ok()) return 0;
  MR_CHECK(codec == Codec::none || first->size() <= kMax);
  std::vector<std::byte> copy(first->begin(), first->end());
  auto second = inflater.inflate(codec, packed, kMax);
  MR_CHECK(second.ok());
  MR_CHECK(std::ranges::equal(*second, copy));
  return 0;
}
