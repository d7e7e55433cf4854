#include "storage/log_repair.h"

#include <fmt/format.h>

#include "storage/partition_metadata.h"
#include "storage/segment_names.h"

namespace mr::storage {
namespace {

using Kind = VerifyProblem::Kind;

std::string offsets_of(const VerifyProblem& problem) {
  if (!problem.offset) return "what it held";
  if (!problem.next) return fmt::format("records at offset {}, perhaps more", problem.offset->v);
  return fmt::format("offsets {} to {}", problem.offset->v, problem.next->v - 1);
}

Remedy remedy_for_side_file(const VerifyProblem& problem) {
  auto is = [&](std::string_view name) { return problem.file.ends_with(name); };
  if (is(kSealSuffix)) return {"the next start reads its segment and writes it again", ""};
  if (is(kSnapshotSuffix)) return {"the next start reads the batches behind an older one and writes it again", ""};
  if (is(kLogStartName))
    return {"the next stop writes it again", "how far DeleteRecords had gone: such records can be read again"};
  if (is(kIdentityName))
    return {
        "a start refuses a damaged one; write cluster.id and node.id anew, or remove it: the start then claims the "
        "directory for its own cluster and node",
        ""};
  if (is(kPartitionMetadataName))
    return {"the next start writes it again, if the metadata knows a topic of this name",
            "nothing; but without it nobody can look up here what a commit journal says of these records"};
  if (is(kEpochCheckpointName))
    return {"the next start makes it again from the batches",
            "nothing, unless segments before the first one are missing: it would have told"};
  return {"the next start makes it again from the batches and the metadata", ""};
}

}  // namespace

Remedy remedy_for(const VerifyProblem& problem) {
  switch (problem.kind) {
    case Kind::torn_tail:
      return {fmt::format("the next start cuts the file at {}", problem.position),
              "bytes that nothing says were ever acknowledged"};
    case Kind::corrupt:
      return {
          "nothing is cut: reads of these offsets answer CORRUPT_MESSAGE, the rest is served; put the file back "
          "from a copy while the broker is stopped, if there is one",
          offsets_of(problem), true};
    case Kind::missing:
      return {
          "put it back from a copy while the broker is stopped; without one the log goes on, and these offsets "
          "answer CORRUPT_MESSAGE or, at its start, OFFSET_OUT_OF_RANGE",
          offsets_of(problem), true};
    case Kind::hole:
      return {"none is needed if the topic was compacted, or its start deleted; else there is none",
              offsets_of(problem) + ", unless they were deleted on purpose"};
    case Kind::side_file:
      return remedy_for_side_file(problem);
    case Kind::index_wrong:
      return {"remove it while the broker is stopped: the next start makes it again", ""};
    case Kind::foreign:
      return {"move it away while the broker is stopped; it is passed over", ""};
    case Kind::records_wrong:
      return {"none: it is as the producer sent it, and is served so", ""};
  }
  return {};
}

}  // namespace mr::storage
