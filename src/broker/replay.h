#pragma once
#include <functional>

#include "broker/shard_state.h"
#include "model/record.h"

namespace mr::broker {

/// Calls `apply` for every record of [log start, high watermark), in order of offsets, compressed ones too, with its
/// timestamp. Control batches are skipped. Reads on the pool in pieces of about a megabyte. Home shard of the
/// partition. Errors: corrupt_batch, disk_failed, not_leader (closed meanwhile), cancelled.
Task<Result<void>> replay(Env& env, PartitionRef partition, std::function<void(const Record&, WallMillis)> apply);

}  // namespace mr::broker
