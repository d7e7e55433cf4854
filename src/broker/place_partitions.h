#pragma once
#include <map>

#include "broker/broker.h"

namespace mr::broker {

/// The partition directories of all log directories.
struct Broker::Found {
  std::unordered_map<PartitionKey, std::size_t> by_id;
  /// Those whose partition.metadata is missing or does not read, by name: somebody's data, and no reason to start an
  /// empty log beside it.
  std::multimap<TopicPartition, std::size_t> unnamed;
};

/// Where a partition lies.
struct Broker::Place {
  std::size_t directory = 0;
  bool is_new = false;  ///< nothing is there: an empty log starts
  /// Set: nobody can tell where, so it is offline. An empty log elsewhere would give offsets out twice.
  std::optional<Error> unknown = {};
};

}  // namespace mr::broker
