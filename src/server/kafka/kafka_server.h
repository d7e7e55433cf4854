#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/duration_counts.h"
#include "base/memory_account.h"
#include "runtime/shards.h"
#include "server/kafka/buffer_pool.h"
#include "server/kafka/exchange.h"
#include "server/kafka/fetch_sessions.h"
#include "server/kafka/host_counts.h"
#include "wire/api_info.h"

namespace mr::broker {
class Broker;
}
namespace mr::coordinator {
class GroupCoordinator;
}

namespace mr::server::kafka {

/// Decodes the body, does the work through broker, encodes the answer into the exchange. An error closes the connection
/// without an answer (undecodable body); everything else is said in the answer.
using Handler = Task<Result<void>> (*)(Exchange& exchange);

/// One served API. The table is the only registration: ApiVersions answers from it, dispatch looks up in it.
struct ApiEntry {
  const wire::ApiInfo* api;
  Handler handler;
};
/// By key.
std::span<const ApiEntry> handler_table();
/// Null for a key that is not served.
Handler find_handler(wire::ApiKey key);

struct KafkaServerOptions {
  std::string listener_name = "PLAINTEXT";
  Address listen{"127.0.0.1", 9092};
  SocketBuffers buffers;                          ///< socket.send.buffer.bytes, socket.receive.buffer.bytes
  std::optional<Address> advertised;              ///< unset: the local address of the client's own connection
  std::uint32_t request_bytes_max = 104'857'600;  ///< socket.request.max.bytes
  std::uint32_t connections_max = 20'000;         ///< of descriptors; max.connections may say less
  Duration idle_max = std::chrono::minutes(10);   ///< connections.max.idle.ms
  std::uint64_t receive_bytes_max = 1ull << 30;   ///< of all requests in flight
  std::uint32_t fetch_sessions_max = 1000;        ///< max.incremental.fetch.session.cache.slots, over all shards
  std::uint64_t fetch_session_bytes_max = 64ull << 20;
  std::shared_ptr<HostCounts> hosts;  ///< of all listeners of the broker; unset: this one's alone
};

/// Written by one shard, read by any.
struct ServerCounters {
  std::atomic<std::uint64_t> connections_opened{0};
  std::atomic<std::uint64_t> connections_open{0};
  std::atomic<std::uint64_t> connections_refused{0};          ///< max.connections
  std::atomic<std::uint64_t> connections_refused_by_host{0};  ///< max.connections.per.ip
  std::atomic<std::uint64_t> accept_failures{0};              ///< such as no descriptor left
  std::atomic<std::uint64_t> closed_idle{0};
  std::atomic<std::uint64_t> closed_unread{0};  ///< an answer was not read in time
  std::atomic<std::uint64_t> closed_bad_input{0};
  std::atomic<std::uint64_t> closed_memory{0};  ///< none for its request, or it held some too slowly
  std::atomic<std::uint64_t> bytes_received{0};
  std::atomic<std::uint64_t> bytes_sent{0};
  std::array<std::atomic<std::uint64_t>, 128> requests_by_api{};
  /// From the whole request being there to its answer going out.
  std::array<LiveDurationCounts<kLatencyBounds>, 128> durations_by_api;
  wire::ErrorCodeCounts errors{};
  ServerCounters() = default;

  /// On the shard that writes: no locked instruction.
  static void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
};

/// The Kafka door of one broker: one listening socket per shard on the same port, connections stay on the shard that
/// accepted them. Life: start() once, stop() before destruction.
class KafkaServer {
 public:
  KafkaServer(Shards& shards, broker::Broker& broker, coordinator::GroupCoordinator& groups,
              KafkaServerOptions options);
  KafkaServer(const KafkaServer&) = delete;
  ~KafkaServer();

  /// Listens on every shard. With port 0 the first shard's port is taken by the others. Errors: in_use,
  /// permission_denied, invalid_argument.
  Task<Result<void>> start();
  /// Stops accepting, lets requests in progress end, closes all connections.
  Task<void> stop();

  const Address& address() const { return address_; }
  const KafkaServerOptions& options() const { return options_; }
  broker::Broker& broker() { return broker_; }
  coordinator::GroupCoordinator& groups() { return groups_; }
  MemoryAccount& memory() { return memory_; }
  /// Of the connections of `shard`; that shard only, but for its counters.
  FetchSessions& fetch_sessions(ShardId shard) { return per_shard_[shard.v]->fetch_sessions; }
  ServerCounters& counters(ShardId shard) { return per_shard_[shard.v]->counters; }
  std::uint32_t shard_count() const { return shards_.count(); }

  /// Parses the header, finds the handler, runs it. Errors close the connection (traps.md 5).
  Task<Result<void>> dispatch(Exchange& exchange, MutableBytes frame);

 private:
  struct PerShard {
    PerShard(Env& env, MemoryAccount& account, std::uint32_t shards, std::size_t sessions_max, MemoryAccount& sessions)
        : pool(account), fetch_sessions(env.shard, shards, sessions_max, sessions, env.rng), scope(env.executor) {}
    ServerCounters counters;
    BufferPool pool;
    FetchSessions fetch_sessions;
    std::unique_ptr<Listener> listener;
    SeldomSaid refused;
    Scope scope;
  };
  Task<void> accept_loop(ShardId shard);
  Task<void> serve(ShardId shard, std::unique_ptr<Stream> stream);
  Task<void> serve_admitted(ShardId shard, std::unique_ptr<Stream> stream);

  Shards& shards_;
  broker::Broker& broker_;
  coordinator::GroupCoordinator& groups_;
  KafkaServerOptions options_;
  Address address_;
  MemoryAccount memory_;
  MemoryAccount session_memory_;
  std::shared_ptr<HostCounts> hosts_;  ///< shard 0
  std::atomic<std::uint32_t> open_{0};
  std::vector<std::unique_ptr<PerShard>> per_shard_;
};

}  // namespace mr::server::kafka
