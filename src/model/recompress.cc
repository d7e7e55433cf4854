#include "model/recompress.h"

#include "base/crc32c.h"
#include "model/compression.h"

namespace mr {

namespace {
constexpr std::int16_t kCodecBits = 7;
}

bool has_other_codec(ByteView batch, Codec codec) {
  if (batch.size() < BatchHeader::kBytes) return false;
  auto attributes = load_be<std::int16_t>(batch.data() + BatchHeader::kAttributesAt);
  return (attributes & kCodecBits) != static_cast<std::int16_t>(codec);
}

Result<std::uint64_t> inflated_size(ByteView batch, std::uint64_t bytes_max) {
  MR_TRY(BatchHeader header, BatchHeader::parse(batch));
  thread_local Inflater inflater;
  std::uint64_t size = 0;
  MR_TRY_VOID(inflater.inflate_pieces(header.codec(), batch.subspan(BatchHeader::kBytes), bytes_max,
                                      [&](ByteView piece) -> Result<void> {
                                        size += piece.size();
                                        return {};
                                      }));
  return size;
}

Result<std::vector<std::byte>> recompress_batch(ByteView batch, Codec codec, int level,
                                                std::uint64_t inflated_bytes_max) {
  MR_TRY(BatchHeader header, BatchHeader::parse(batch));
  if (header.total_bytes() != batch.size()) return Error(Errc::malformed, "there must be exactly one whole batch");
  // A new checksum must not hide that the old one was wrong.
  if (!batch_crc_matches(batch)) return Error(Errc::corrupt_batch, "checksum of the batch does not match");
  // Contexts and output memory, used again: a cache of this thread, nothing that a result depends on.
  thread_local Inflater inflater;
  ByteView records = batch.subspan(BatchHeader::kBytes);
  MR_TRY(ByteView inflated, inflater.inflate(header.codec(), records, inflated_bytes_max));
  std::vector<std::byte> out(batch.begin(), batch.begin() + BatchHeader::kBytes);
  MR_TRY_VOID(compress(codec, inflated, out, level));
  auto attributes = static_cast<std::int16_t>((header.attributes & ~kCodecBits) | static_cast<std::int16_t>(codec));
  store_be(out.data() + BatchHeader::kLengthAt, static_cast<std::int32_t>(out.size() - BatchHeader::kLengthPrefix));
  store_be(out.data() + BatchHeader::kAttributesAt, attributes);
  store_be(out.data() + BatchHeader::kCrcAt, crc32c(ByteView(out).subspan(BatchHeader::kAttributesAt)));
  return out;
}

}  // namespace mr
