#pragma once
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/stage.h"

namespace mr::sim {

/// Makes a topic, writes one acknowledged batch, reads it back, deletes the topic, sees that it is gone, and begins
/// again under the same name: nothing of an older life may show. Where an answer is lost to a crash, asks until it
/// knows.
class TopicChurn {
 public:
  TopicChurn(ClientSeat seat, std::string topic) : seat_(std::move(seat)), topic_(std::move(topic)) {}
  Task<void> run();
  bool ended() const { return ended_; }
  std::uint64_t rounds() const { return rounds_; }

 private:
  Task<Result<void>> round(Link& link);
  Task<Result<wire::KafkaError>> create(Link& link);
  Task<Result<wire::KafkaError>> remove(Link& link);
  Task<Result<void>> write_and_read(Link& link);
  Task<Result<TopicView>> look(Link& link);

  ClientSeat seat_;
  std::string topic_;
  TopicView view_;
  std::uint64_t number_ = 0;
  std::uint64_t rounds_ = 0;
  bool there_ = false;       ///< as far as we know
  bool made_by_us_ = false;  ///< nobody else touches it: what is not there we have deleted
  bool ended_ = false;
};

struct NewTopic {
  std::string name;
  std::int32_t partitions = 1;
  std::vector<std::pair<std::string, std::string>> configs;
};
/// Makes a topic; comes back when it is there (or the stage ends).
Task<void> make_topic(ClientSeat seat, NewTopic topic, bool* done);

}  // namespace mr::sim
