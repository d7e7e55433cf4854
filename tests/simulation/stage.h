#pragma once
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/ids.h"
#include "sim/world.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/link.h"
#include "wire/kafka_error.h"

namespace mr::sim {

/// What all clients of one simulation share.
struct Stage {
  World& world;
  Ledger ledger;
  Address bootstrap;
  std::vector<std::string> topics;
  std::set<std::string> zstd_topics;  ///< to be fetched by versions that know zstd
  std::int32_t partitions = 2;
  bool stop_producing = false;  ///< producers finish what they have begun, then end
  bool stop_all = false;
  std::set<Ledger::PartitionName> lost;  ///< their log directory has failed for good: nobody needs to reach them
  TimePoint bad_reads_until{};           ///< until then CORRUPT_MESSAGE is an honest answer to a fetch

  void hit(const char* name) { world.probes().hit(name); }
};

/// A client's own corner: its shard, its draws, its name.
struct ClientSeat {
  Stage& stage;
  Env& env;
  std::string name;
};

struct TopicView {
  wire::KafkaError error{};
  TopicId id;
  std::int32_t partitions = 0;
};

/// What Metadata says of one topic (without making it), and the broker to go to.
struct ClusterView {
  Address leader;
  TopicView topic;
};
Task<Result<ClusterView>> ask_metadata(ClientSeat seat, Link& link, std::string topic);

/// Connects to the bootstrap address, asks for `topic`, and connects to the leader it names. Comes back only with a
/// link, or when the stage ends: then empty. A main topic that the broker does not know is a violation.
Task<std::unique_ptr<Link>> find_leader(ClientSeat seat, std::string topic, TopicView* view);

/// Waits up to `limit`. False when cancelled.
Task<bool> pause(ClientSeat seat, Duration limit);

/// Errors after which a client may ask again: the broker is starting, stopping, full, slow. All others break a rule.
bool may_ask_again(wire::KafkaError error);

wire::Version pick_version(ClientSeat& seat, const wire::ApiInfo& api, wire::Version at_least = 0);

}  // namespace mr::sim
