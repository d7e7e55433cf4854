#pragma once
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"

/// What the members of a group of protocol type "consumer" put into its opaque bytes. They come from clients that
/// nobody checked: any bytes end in a value or an error, and take memory in proportion to what came.
namespace mr::wire {

/// The topics that a member's subscription names, in its order. Newer versions are read as far as they are known, as
/// Kafka does. Errors: malformed, too_large.
Result<std::vector<std::string>> subscribed_topics(ByteView metadata);

/// The partitions of a member's assignment, sorted. Nothing at all (a member that was given no answer yet) is an empty
/// assignment. Errors: malformed, too_large.
Result<std::vector<TopicPartition>> assigned_partitions(ByteView assignment);

}  // namespace mr::wire
