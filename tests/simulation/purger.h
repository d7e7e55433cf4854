#pragma once
#include <string>
#include <utility>

#include "tests/simulation/broker_node.h"
#include "tests/simulation/stage.h"

namespace mr::sim {

/// Has records of a topic's only partition deleted, again and again: up to what somebody was promised, up to the
/// watermark, and beyond it, which must be refused.
class Purger {
 public:
  Purger(ClientSeat seat, BrokerNode& node, std::string topic)
      : seat_(std::move(seat)), node_(node), partition_{std::move(topic), PartitionIndex{0}} {}
  Task<void> run();

 private:
  Task<void> round();
  void judge(std::int64_t before, bool beyond, const Result<Offset>& answer);

  ClientSeat seat_;
  BrokerNode& node_;
  TopicPartition partition_;
};

}  // namespace mr::sim
