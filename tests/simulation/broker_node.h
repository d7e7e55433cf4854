#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "metastore/local_metastore.h"
#include "server/kafka/kafka_server.h"
#include "sim/metastore.h"
#include "sim/world.h"
#include "tests/simulation/mutation.h"

namespace mr::sim {

struct BrokerNodeOptions {
  std::uint32_t shards = 2;
  std::int32_t node_id = 1;
  std::uint16_t port = 9092;
  MetastoreFaults metastore;
  std::uint64_t receive_bytes_max = 1ull << 30;  ///< of requests in flight
  std::vector<std::string> log_dirs = {"/data"};
  Mutation mutation = Mutation::none;
};

/// The real broker with its Kafka door on one host, over start, stop and crash. A crashed life is stopped in the
/// background: its disk, network and metadata are ghosts by then.
class BrokerNode {
 public:
  BrokerNode(Host& host, BrokerNodeOptions options);
  ~BrokerNode();
  BrokerNode(const BrokerNode&) = delete;

  void start();
  /// Asks for a clean stop; stopped() tells when it is through.
  void stop();
  /// The process dies. `disk_is_cut`: the power went by Disk::crash_after() already.
  void crash(CrashMode mode, bool disk_is_cut = false);

  /// False also once the program stops by itself: its last log directory has failed.
  bool running() const;
  bool stopped() const;
  /// Why the last start failed; empty when it did not.
  const std::string& failure() const;
  std::size_t lives() const { return lives_.size(); }
  std::size_t ghosts() const;

  struct Inside {
    TopicPartition name;
    Offset log_start, high_watermark, durable_end, log_end;
    bool watermark_is_durable = true;
  };
  /// A request that records be deleted, and what came of it.
  class Deletion {
   public:
    std::optional<Result<Offset>> answer;  ///< of a process that was alive then
    /// No answer will come.
    bool lost() const { return !answer && !process_.alive(); }

   private:
    friend class BrokerNode;
    explicit Deletion(const Process& process) : process_(process) {}
    const Process& process_;
  };
  /// Asks the running broker as a door does: no API of Kafka's for it is served yet. Null when none runs.
  std::shared_ptr<const Deletion> delete_records(const TopicPartition& partition, Offset before);

  /// What each partition of the running broker says of itself, between two steps.
  void inspect(const std::function<void(const Inside&)>& look) const;
  bool short_of_memory() const { return options_.receive_bytes_max < 1u << 20; }
  std::size_t log_dirs() const { return options_.log_dirs.size(); }
  Host& host() { return host_; }
  /// For mutation tests: each crash takes the metastore back to where it was at the crash before.
  void lose_metadata() { lose_metadata_ = true; }

 private:
  struct Life;
  Host& host_;
  BrokerNodeOptions options_;
  std::shared_ptr<metastore::MemoryJournal> journal_ = std::make_shared<metastore::MemoryJournal>();
  std::shared_ptr<metastore::MemoryJournal> old_journal_ = std::make_shared<metastore::MemoryJournal>();
  bool lose_metadata_ = false;
  std::vector<std::unique_ptr<Life>> lives_;
};

}  // namespace mr::sim
