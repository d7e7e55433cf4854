#pragma once
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/batch_header.h"

namespace mr {

/// Whether `batch` has to be written anew to be stored with `codec`. Looks at the attributes alone; false when there
/// are none.
bool has_other_codec(ByteView batch, Codec codec);

/// How many bytes the records of `batch` are once inflated; holds a piece at a time. Errors: malformed, too_large (more
/// than `bytes_max`), unsupported_compression.
Result<std::uint64_t> inflated_size(ByteView batch, std::uint64_t bytes_max);

/// The same batch with its records compressed by `codec` (none: as they are): offsets, timestamps, producer and all
/// other attributes stay; length and checksum are new. `level` as compress() takes it. Pure, but works for as long as
/// the codecs do: off the shard for large batches. May hold `inflated_bytes_max` twice.
/// Errors: malformed, corrupt_batch, invalid_record (no whole batch, its checksum does not match, not what its codec
/// says), too_large (records inflate to more than `inflated_bytes_max`), unsupported_compression, internal.
Result<std::vector<std::byte>> recompress_batch(ByteView batch, Codec codec, int level,
                                                std::uint64_t inflated_bytes_max);

}  // namespace mr
