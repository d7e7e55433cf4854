#pragma once
#include <deque>
#include <string>
#include <vector>

#include "model/batch_header.h"
#include "tests/simulation/stage.h"

namespace mr::sim {

/// A producer in one of the ways real ones work. An idempotent one retries until each batch is acknowledged, with the
/// same sequences, and keeps its requests in order; the others never retry, so that nothing may ever appear twice.
/// Each request holds one batch for one partition (idempotent) or batches for some partitions.
struct ProducerPlan {
  std::string topic;
  std::int32_t partition = 0;  ///< idempotent: the only one; others: start of the round
  std::int16_t acks = -1;
  bool idempotent = false;
  std::size_t pipeline = 1;  ///< requests in flight
  std::size_t value_bytes_max = 300;
  Codec codec = Codec::none;
  bool fresh_sequences = false;  ///< faulty: a new producer id on each connection (mutation test)
};

class Producer {
 public:
  Producer(ClientSeat seat, ProducerPlan plan) : seat_(std::move(seat)), plan_(std::move(plan)) {}
  /// Until the stage says stop_producing and, if idempotent, all is acknowledged; or stop_all.
  Task<void> run();
  bool ended() const { return ended_; }
  const std::string& name() const { return seat_.name; }
  /// Of an idempotent one; others do not insist on any.
  Ledger::PartitionName only_partition() const {
    return plan_.idempotent ? Ledger::PartitionName{plan_.topic, plan_.partition} : Ledger::PartitionName{};
  }
  std::size_t unacknowledged() const { return open_.size(); }

 private:
  struct Part {
    std::int32_t partition = 0;
    std::vector<std::string> values;
    std::vector<std::byte> batch;
  };
  struct Batch {
    std::vector<Part> parts;
    std::int32_t base_sequence = -1;
  };
  struct Verdict {
    bool acked = false;
    bool out_of_order = false;
  };

  Task<bool> get_producer_id(Link& link);
  Task<void> talk(Link& link);
  Task<Result<void>> send_next(Link& link);
  Task<Result<Verdict>> take_answer(Link& link, const Batch& batch);
  void make_next();
  void encode(Batch& batch);
  bool finished() const { return seat_.stage.stop_all || (seat_.stage.stop_producing && open_.empty()); }
  Random& draws() { return static_cast<Random&>(seat_.env.rng); }

  ClientSeat seat_;
  ProducerPlan plan_;
  TopicView topic_;
  std::uint64_t links_ = 0;
  std::string author_;  ///< whose order the ledger watches
  std::int64_t id_ = -1;
  std::int16_t epoch_ = -1;
  std::int32_t next_sequence_ = 0;
  bool known_ = false;  ///< something of this id was acknowledged
  std::uint64_t next_number_ = 0;
  std::deque<Batch> open_;     ///< made and not acknowledged, in order
  std::size_t in_flight_ = 0;  ///< of these, sent on the present link
  bool ended_ = false;
};

}  // namespace mr::sim
