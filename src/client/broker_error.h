#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/kafka_error.h"

namespace mr::client {

/// An error code that a broker answered, as a value of ours. The sentence holds `what` (what was asked for), the
/// broker's own sentence when it gave one, and Kafka's name of the code. `code` is not none.
Error broker_error(wire::KafkaError code, std::string_view what,
                   std::optional<std::string_view> message = std::nullopt);

/// Asking again, after looking at the metadata again, may help.
bool worth_a_retry(wire::KafkaError code);

}  // namespace mr::client
