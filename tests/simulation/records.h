#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "model/batch_header.h"

/// Record batches v2 written and read without the product's own code: the checker must not share the broker's errors.
/// Only compression is the product's.
namespace mr::sim {

struct BatchSpec {
  std::vector<std::string> values;
  WallMillis timestamp = 1'760'000'000'000;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  Codec codec = Codec::none;
};

/// One batch as a producer sends it: base offset 0, no leader epoch.
std::vector<std::byte> make_batch(const BatchSpec& spec);

struct SeenRecord {
  std::int64_t offset = -1;
  WallMillis timestamp = -1;
  std::string value;
};

struct SeenBatch {
  std::int64_t base_offset = -1;
  std::int32_t leader_epoch = -1;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  std::vector<SeenRecord> records;
  std::size_t bytes = 0;
};

/// All whole batches in `bytes`; a cut one at the end is left out. Checks framing, checksum, counts and that offsets
/// inside a batch are dense. Errors: malformed, with a sentence.
Result<std::vector<SeenBatch>> read_batches(ByteView bytes);

/// Contents that say who they are: "<name>/<number>/" and padding that depends on both.
std::string tagged_value(const std::string& name, std::uint64_t number, std::size_t bytes);

}  // namespace mr::sim
