#pragma once
#include <string>

#include "base/result.h"
#include "model/ids.h"
#include "runtime/env.h"

namespace mr::storage {

inline constexpr std::string_view kPartitionMetadataName = "partition.metadata";
inline constexpr std::string_view kEpochCheckpointName = "leader-epoch-checkpoint";

inline std::string epoch_checkpoint_path(const std::string& directory) {
  return directory + "/" + std::string(kEpochCheckpointName);
}

/// "version: 0", "topic_id: 22 characters" (docs/formats/partition-metadata.md).
std::string encode_partition_metadata(TopicId id);
/// Errors: corrupt_data, newer_format.
Result<TopicId> decode_partition_metadata(std::string_view text);

/// Whose partition a directory holds; not_found when it does not say.
Result<TopicId> read_partition_metadata(FileSystem& files, const std::string& directory);

enum class MetadataCheck { fits, written, replaced };
/// Writes the file when missing (written) or damaged (replaced: an event), compares when there; unless it fits the
/// caller must sync the directory. A zero `id` means the caller does not know it: nothing is written or compared. Pool.
/// Errors: inconsistent_topic_id, newer_format, those of File.
Result<MetadataCheck> check_partition_metadata(FileSystem& files, const std::string& directory, TopicId id);

}  // namespace mr::storage
