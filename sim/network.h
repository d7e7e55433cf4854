#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtime/env.h"
#include "runtime/wait.h"
#include "sim/world.h"

namespace mr::sim {

struct Connection;
struct ListenerState;

/// All wires of a World. Streams have latency, bounded buffers in each direction, and hand out what has arrived in
/// pieces of any size from one byte up.
class Fabric {
 public:
  explicit Fabric(World& world);
  ~Fabric();

  Duration latency_min = std::chrono::microseconds(20);
  Duration latency_max = std::chrono::microseconds(400);
  /// Bytes on the way and not yet read, each direction.
  std::size_t buffer_bytes = 64 << 10;
  /// Of all packets, so many break their connection; 0: none.
  std::uint64_t reset_one_in = 0;

  /// Nothing passes between the two hosts, in either direction, until heal(); it is late then, not lost.
  void partition(const Host& a, const Host& b);
  void heal();
  /// Breaks every open connection that has an end on `host`. Returns how many.
  std::size_t reset_connections(const Host& host);
  /// The next `count` accepts on `host` fail with resource_exhausted.
  void fail_accepts(const Host& host, std::uint64_t count);
  std::size_t open_connections() const;
  std::uint64_t resets() const { return resets_; }
  std::uint64_t bytes_delivered() const { return bytes_delivered_; }
  std::string describe() const;

  void process_died(Process& process);

 private:
  friend struct Connection;
  friend class SimNetwork;
  friend class SimStream;
  friend class SimListener;

  struct Packet;
  bool blocked(const Host& a, const Host& b) const;
  Duration latency();
  void send(std::shared_ptr<Connection> connection, int to, Packet packet);
  void arrive(std::shared_ptr<Connection> connection, int to, Packet packet);
  void release_held();

  World& world_;
  std::set<std::pair<std::string, std::string>> partitions_;
  std::map<std::string, std::uint64_t> accept_failures_;
  std::map<std::pair<Host*, std::uint16_t>, std::vector<std::shared_ptr<ListenerState>>> listeners_;
  std::vector<std::weak_ptr<Connection>> connections_;
  std::uint16_t port_next_ = 30'000;
  std::uint64_t resets_ = 0;
  std::uint64_t bytes_delivered_ = 0;
};

/// One shard's way to the fabric.
class SimNetwork final : public Network {
 public:
  SimNetwork(Fabric& fabric, Process& process, ShardExecutor& executor)
      : fabric_(fabric), process_(process), executor_(executor) {}
  Result<std::unique_ptr<Listener>> listen(const Address& address, const SocketBuffers& buffers) override;
  Task<Result<std::unique_ptr<Stream>>> connect(Address address, TimePoint deadline) override;

 private:
  Fabric& fabric_;
  Process& process_;
  ShardExecutor& executor_;
};

/// Ends our sending direction only: the peer reads 0, we may go on reading. `stream` must come from a SimNetwork.
void finish_sending(Stream& stream);

}  // namespace mr::sim
