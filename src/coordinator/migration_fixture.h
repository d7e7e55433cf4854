#pragma once
#include "coordinator/consumer_fixture.h"
#include "wire/consumer_protocol.h"
#include "wire/writer.h"

/// What classic consumers of the topics "t" and "u" send and are told.
namespace mr::coordinator {

struct Subscribed {
  std::vector<std::string> topics{"t"};
  std::vector<int> owned{};  ///< of "t"
  int generation = -1;
  std::vector<int> owned_u{};
};

/// A subscription with what a cooperative member still has (version 2).
inline Blob subscribes(const Subscribed& says) {
  std::vector<TopicPartition> owned;
  for (int partition : says.owned) owned.push_back({"t", PartitionIndex{partition}});
  for (int partition : says.owned_u) owned.push_back({"u", PartitionIndex{partition}});
  return Blob(wire::write_subscription(
      {.version = 2, .topics = says.topics, .owned = std::move(owned), .generation = says.generation}));
}

/// As a leader hands it in.
inline Blob assignment(const std::vector<int>& partitions, std::string_view user_data = "") {
  std::vector<TopicPartition> all;
  for (int partition : partitions) all.push_back({"t", PartitionIndex{partition}});
  std::vector<std::byte> bytes = wire::write_assignment(1, all);
  if (user_data.empty()) return Blob(bytes);
  bytes.resize(bytes.size() - 4);
  wire::Writer out;
  out.bytes(as_bytes(user_data), false);
  bytes.insert(bytes.end(), out.flat().begin(), out.flat().end());
  return Blob(bytes);
}

/// Partitions of "t" that an assignment names.
inline std::vector<int> partitions_of(const Blob& assignment) {
  auto read = wire::assigned_partitions(assignment.view());
  if (!read.ok()) {
    ADD_FAILURE() << read.error().message();
    return {};
  }
  std::vector<int> all;
  for (const TopicPartition& one : *read) all.push_back(one.partition.v);
  return all;
}

}  // namespace mr::coordinator
