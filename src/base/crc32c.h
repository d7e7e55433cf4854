#pragma once
#include "base/bytes.h"

namespace mr {

/// CRC-32C (Castagnoli) of `bytes`, as Kafka's batch v2 stores it. `seed` continues an earlier call:
/// crc32c(b, crc32c(a)) == crc32c(ab). SSE4.2 three ways at a time where the CPU has it, slicing-by-8 otherwise.
std::uint32_t crc32c(ByteView bytes, std::uint32_t seed = 0);

/// The portable routine, for tests and for CPUs without SSE4.2.
std::uint32_t crc32c_portable(ByteView bytes, std::uint32_t seed = 0);

}  // namespace mr
