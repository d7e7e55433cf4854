#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/kload/fields.h"
#include "bench/kload/options.h"

/// Requests as bytes and answers read from bytes. Written by hand and not with the product's codecs on purpose: what
/// measures the broker must not share its code, and a produce request here is a short head in front of a batch that
/// was built once. Versions: Produce 9, Fetch 12, CreateTopics 4, DeleteTopics 3, Metadata 1, ListOffsets 2,
/// ApiVersions 0.
namespace mr::bench {

/// One produce request in two parts: `head` (copied per request, its correlation id is patched) and `body` (shared:
/// the batches and the closing bytes).
struct ProduceFrame {
  Bytes head;
  Bytes body;
  std::uint64_t batch_bytes = 0;  ///< of all its batches
};
/// `batch` for `partition` and, with options.spread, as many more partitions, evenly apart.
ProduceFrame produce_frame(const Options& options, std::int32_t partition, const Bytes& batch);

/// A batch of options.records records of options.record_bytes pseudo-random bytes each.
Bytes build_batch(const Options& options);

Bytes fetch_frame(const Options& options, std::int32_t partition);
void set_fetch_offset(Bytes& frame, std::int64_t offset);

Bytes create_frame(const Options& options);
Bytes delete_frame(const Options& options);
Bytes metadata_frame(const Options& options);
Bytes list_offsets_frame(const Options& options, std::int32_t partition, std::int64_t timestamp);
Bytes api_versions_frame();

/// The first error of the partitions in a Produce answer (`body` begins at the correlation id).
std::int16_t produce_error(ByteView body);

struct Fetched {
  std::int16_t error = 0;
  std::int64_t high_watermark = 0;
  std::int64_t next_offset = -1;  ///< after the last whole batch; -1 when there is none
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;  ///< of whole batches
};
Fetched read_fetch(ByteView body);

/// Of the one topic in a CreateTopics or DeleteTopics answer.
std::int16_t topic_error(ByteView body);
/// Partitions of the one topic that have a leader.
std::int32_t partitions_with_leader(ByteView body);
std::int64_t listed_offset(ByteView body);

}  // namespace mr::bench
