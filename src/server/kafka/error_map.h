#pragma once
#include "base/result.h"
#include "wire/kafka_error.h"

namespace mr::server::kafka {

/// Kafka's number for what went wrong inside. The only place that knows both.
wire::KafkaError kafka_error(Errc code);
inline wire::KafkaError kafka_error(const Error& error) { return kafka_error(error.code()); }

}  // namespace mr::server::kafka
