#pragma once
#include "runtime/event_loop.h"

namespace mr {

/// Sockets of one shard.
class RealNetwork final : public Network {
 public:
  RealNetwork(EventLoop& loop, OffloadPool& pool) : loop_(loop), pool_(pool) {}
  /// A host that is a name is looked up on the caller: at start-up only.
  Result<std::unique_ptr<Listener>> listen(const Address& address, const SocketBuffers& buffers) override;
  Task<Result<std::unique_ptr<Stream>>> connect(Address address, TimePoint deadline) override;

 private:
  EventLoop& loop_;
  OffloadPool& pool_;
};

}  // namespace mr
