#pragma once
#include "tests/simulation/stage.h"

namespace mr::sim {

/// Knocks on the Kafka port with what no client sends: noise, impossible sizes, HTTP, a TLS hello, half a request, a
/// large one that does not come, a whole request whose answer it does not wait for. The broker may hang up; nobody else
/// may notice.
class Vandal {
 public:
  explicit Vandal(ClientSeat seat) : seat_(std::move(seat)) {}
  Task<void> run();
  bool ended() const { return ended_; }

 private:
  Task<void> knock(Stream& stream);
  std::vector<std::byte> something_bad();

  ClientSeat seat_;
  bool ended_ = false;
};

}  // namespace mr::sim
