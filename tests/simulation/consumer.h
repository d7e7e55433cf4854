#pragma once
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/stage.h"

namespace mr::sim {

/// Reads some partitions of a topic from offset 0 on, for ever; checks that offsets are dense, batches whole and sound,
/// contents known, watermarks honest. Now and then starts again from an older offset or asks ListOffsets.
class Consumer {
 public:
  Consumer(ClientSeat seat, std::string topic, bool restless)
      : seat_(std::move(seat)), topic_name_(std::move(topic)), restless_(restless) {}
  Task<void> run();
  bool ended() const { return ended_; }
  /// Everything promised so far has been read by this consumer.
  bool caught_up() const;
  std::string describe() const;

 private:
  Task<void> talk(Link& link);
  Task<Result<void>> fetch_once(Link& link);
  Task<Result<void>> list_once(Link& link);
  /// ListOffsets of one partition; empty when the broker refuses for now.
  Task<Result<std::optional<std::int64_t>>> ask_offset(Link& link, std::int32_t partition, std::int64_t timestamp);
  /// After retention has overtaken us: to the first record that is left.
  Task<Result<void>> catch_up_with_retention(Link& link);
  void take_records(std::int32_t partition, ByteView bytes);
  Ledger::PartitionName name_of(std::int32_t partition) const { return {topic_name_, partition}; }
  Ledger& ledger() { return seat_.stage.ledger; }

  ClientSeat seat_;
  std::string topic_name_;
  bool restless_;  ///< rereads and odd limits
  TopicView topic_;
  std::vector<std::int64_t> position_;
  std::vector<bool> overtaken_;
  wire::KafkaError last_error_{};
  bool ended_ = false;
};

}  // namespace mr::sim
