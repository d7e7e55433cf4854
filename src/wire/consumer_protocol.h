#pragma once
#include <optional>
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

/// All that a subscription says.
struct ConsumerSubscription {
  std::int16_t version = 0;
  std::vector<std::string> topics;
  std::vector<TopicPartition> owned;  ///< sorted; what the member says it still reads (v1)
  std::int32_t generation = -1;       ///< in which it got them (v2)
  std::optional<std::string> rack;    ///< (v3)
};
/// Newer versions as subscribed_topics(). A message that ends before a later version's field lacks it. Errors:
/// malformed, too_large.
Result<ConsumerSubscription> read_subscription(ByteView metadata);

/// Bytes of an assignor of the client's own in an assignment; nobody else can make them. False: none, or it does not
/// read.
bool has_user_data(ByteView assignment);

/// As a client of that version would write it: what only later versions have is left out. `owned` in order of topics.
/// `user_data` is the assignor's own.
std::vector<std::byte> write_subscription(const ConsumerSubscription& says,
                                          std::optional<ByteView> user_data = std::nullopt);

/// As a leader would write it, without user data. `partitions` in order of topics.
std::vector<std::byte> write_assignment(std::int16_t version, const std::vector<TopicPartition>& partitions);

}  // namespace mr::wire
