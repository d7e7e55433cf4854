#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "broker/request_context.h"
#include "runtime/task.h"
#include "storage/log.h"
#include "wire/arena.h"
#include "wire/frame.h"
#include "wire/writer.h"

namespace mr::broker {
class Broker;
}
namespace mr::coordinator {
class GroupCoordinator;
}

namespace mr::server::kafka {

class KafkaServer;

/// One request and its answer, from decoding until the last byte is sent. Recycled by its connection, so that a warm
/// connection allocates little. Shard: the connection's.
struct Exchange {
  broker::RequestContext context;
  KafkaServer* server = nullptr;
  broker::Broker* broker = nullptr;
  coordinator::GroupCoordinator* groups = nullptr;

  ShardId shard;            ///< of the connection
  MutableBytes frame;       ///< lent by the FrameReader: gone once the handler has returned
  wire::RequestFrame head;  ///< views into frame

  wire::Arena arena;    ///< decoded request, and what the handler builds for its answer
  wire::Writer writer;  ///< the encoded answer

  /// What the answer's cut-out records come from: the token of a piece is the index here.
  std::vector<storage::ReadResult> reads;

  /// A handler may leave the second half of its work here (design section 4: produce in two stages). The connection
  /// takes its next request meanwhile; the answer is sent, in order, after this has run.
  std::optional<Task<Result<void>>> second_stage;
  std::shared_ptr<void> second_stage_state;                 ///< what second_stage refers to
  bool (*second_stage_waits)(const void* state) = nullptr;  ///< set with it: whether it would have to wait now

  /// The answer can be sent without waiting for anything but the socket.
  bool ends_at_once() const { return !second_stage || !second_stage_waits(second_stage_state.get()); }

  std::size_t pending_bytes = 0;  ///< counted by the connection while the answer waits

  bool no_answer = false;    ///< acks=0: nothing is sent
  bool close_after = false;  ///< close the connection once the answer is sent

  void reset() {
    context = {};
    frame = {};
    head = {};
    second_stage.reset();
    second_stage_state.reset();
    second_stage_waits = nullptr;
    reads.clear();
    arena.reset();
    writer.reset();
    pending_bytes = 0;
    no_answer = close_after = false;
  }

  /// A few bytes of a request may ask for kilobytes of answer, and may do so a million times. Handlers that build such
  /// answers look here; too_large closes the connection.
  static constexpr std::size_t kBuiltBytesMax = 32 << 20;
  bool built_too_much() const { return arena.held_bytes() > kBuiltBytesMax; }
  Result<void> check_built_bytes() const {
    if (built_too_much()) return Error(Errc::too_large, "the answer would take too much memory");
    return {};
  }

  /// Decodes the body. Errors close the connection.
  template <class Request>
  Result<Request> decode() {
    return wire::decode_body<Request>(head.body, head.version, arena);
  }
  /// Encodes the whole answer frame.
  template <class Response>
  Result<void> answer(const Response& response) {
    return wire::encode_response(writer, response, head.version, head.correlation_id);
  }
  /// The bytes behind a decoded view, to be patched in place: the frame is ours until the handler returns.
  MutableBytes writable(ByteView view) const {
    MR_CHECK(view.data() >= frame.data() && view.data() + view.size() <= frame.data() + frame.size());
    return frame.subspan(static_cast<std::size_t>(view.data() - frame.data()), view.size());
  }
};

}  // namespace mr::server::kafka
