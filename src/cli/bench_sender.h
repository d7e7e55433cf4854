#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "cli/bench.h"
#include "cli/bench_payload.h"
#include "model/batch_builder.h"
#include "runtime/scope.h"
#include "wire/kafka_error.h"

namespace mr::cli {

/// In front of a value whose way is timed.
struct Stamp {
  std::uint64_t run = 0;
  std::int64_t due = 0;  ///< nanoseconds of the monotonic clock
};

/// The sending half of a load: producers with a client each, that send what their Pacer says, round the partitions,
/// with so many requests under way. Nothing is repeated: each failure is one. One shard. Life: run() once, close().
class LoadSender {
 public:
  struct Options {
    std::optional<std::uint64_t> run;  ///< values carry a Stamp of this run, and `meter` hears of failures only
  };
  /// `partitions` of the topic. `load`, `meter` must outlive this.
  LoadSender(Session& session, const BenchLoad& load, std::int32_t partitions, Meter& meter, Options options);

  /// Returns when all is sent and answered, when it makes no sense to go on (a failure that does not go away, nothing
  /// but failures for --timeout-ms), or when cancelled. Errors: of making batches, of the first connections.
  Task<Result<void>> run();
  bool interrupted() const { return interrupted_; }
  std::uint64_t acknowledged() const { return acknowledged_; }
  std::uint64_t owed() const;
  Task<void> close();

  /// Of a full batch.
  std::uint32_t batch_records() const { return batch_records_; }
  /// How the load is told: for people, and in figures.
  std::string line() const;
  Value::Object shape() const;

 private:
  struct Producer {
    Producer(client::Cluster& c, const Pacer& p, std::uint32_t in_flight, std::int32_t partition)
        : cluster(c), pacer(p), room(in_flight), next_partition(partition) {}
    client::Cluster& cluster;
    Pacer pacer;
    Semaphore room;
    std::int32_t next_partition;
  };

  Task<Result<void>> connect();
  void make_producers();
  static Task<void> feed(LoadSender& self, Producer& producer);
  static Task<void> send(LoadSender& self, Producer& producer, DueRecords due);
  /// How many bytes were sent. `code`: what a broker answered.
  Task<Result<std::uint64_t>> attempt(Producer& producer, DueRecords due, wire::KafkaError& code);
  Result<std::vector<std::byte>> build(const DueRecords& due);
  /// After acks 0 nothing is known to have left.
  static Task<void> flush(LoadSender& self, Producer& producer);
  void sent();
  void give_up();
  /// False when cancelled.
  Task<bool> none_left(const std::uint64_t& running);

  Session& session_;
  const BenchLoad& load_;
  const std::int32_t partitions_;
  Meter& meter_;
  const Options options_;
  const std::uint32_t batch_records_;
  Payload payload_;
  std::optional<ReadyBatches> ready_;
  std::vector<std::byte> value_;  ///< with its stamp
  std::vector<std::unique_ptr<client::Cluster>> clusters_;
  std::vector<std::unique_ptr<Producer>> producers_;
  TimePoint ends_ = kForever;
  std::uint64_t feeding_ = 0;
  std::uint64_t sending_ = 0;
  Event changed_;
  std::uint64_t acknowledged_ = 0;
  bool interrupted_ = false;
  bool given_up_ = false;
  Scope feeders_;
  Scope sends_;
};

/// Errors: invalid_argument (the load would take too much memory).
Result<void> check_load(const BenchLoad& load);

}  // namespace mr::cli
