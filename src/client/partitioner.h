#pragma once
#include "base/bytes.h"
#include "model/ids.h"

namespace mr::client {

/// Where the Java client puts a record with this key among `count` > 0 partitions: murmur2 of the key, sign bit
/// dropped, modulo. Programs in all languages agree on it, so that a key's records stay in one partition.
PartitionIndex partition_for_key(ByteView key, std::int32_t count);

}  // namespace mr::client
