#pragma once
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "runtime/env.h"
#include "runtime/wait.h"
#include "wire/frame.h"

namespace mr::sim {

/// A decoded answer and the memory its views point into.
template <class Response>
struct Answer {
  std::vector<std::byte> frame;
  std::unique_ptr<wire::Arena> arena = std::make_unique<wire::Arena>();
  Response body;
};

/// A client's connection to a broker: requests go out one after the other, answers come back in the order of the
/// requests, or the broker is wrong. One coroutine.
class Link {
 public:
  Link(Env& env, std::unique_ptr<Stream> stream, std::string client_id)
      : env_(env), stream_(std::move(stream)), client_id_(std::move(client_id)) {}
  static Task<Result<std::unique_ptr<Link>>> open(Env& env, Address address, std::string client_id);

  /// Returns once the bytes are in the network's hands. Without `answered` no answer will be waited for (acks=0).
  template <class Request>
  Task<Result<void>> send(const Request& request, wire::Version version, bool answered = true) {
    wire::Writer writer;
    std::int32_t correlation = next_correlation_++;
    MR_CO_TRY_VOID(wire::encode_request(writer, request, version, correlation, client_id_));
    if (answered) outstanding_.push_back({correlation, version});
    MR_CO_TRY_VOID(co_await send_pieces(writer));
    co_return Result<void>{};
  }

  /// The answer to the oldest request. Errors: those of the stream, malformed (wrong correlation id or body).
  template <class Response>
  Task<Result<Answer<Response>>> receive(TimePoint deadline) {
    MR_CHECK(!outstanding_.empty());
    Outstanding expected = outstanding_.front();
    Answer<Response> answer;
    MR_CO_TRY(answer.frame, co_await read_frame(deadline));
    MR_CO_TRY(wire::ResponseFrame head, wire::parse_response(answer.frame, Response::kApi, expected.version));
    if (head.correlation_id != expected.correlation) co_return Error(Errc::malformed, "answer to another request");
    outstanding_.pop_front();
    MR_CO_TRY(answer.body, wire::decode_body<Response>(head.body, expected.version, *answer.arena));
    co_return answer;
  }

  template <class Response, class Request>
  Task<Result<Answer<Response>>> call(const Request& request, wire::Version version, Duration limit) {
    MR_CHECK(outstanding_.empty());
    MR_CO_TRY_VOID(co_await send(request, version));
    co_return co_await receive<Response>(env_.now() + limit);
  }

  std::size_t outstanding() const { return outstanding_.size(); }
  void close() { stream_->close(); }
  Stream& stream() { return *stream_; }

 private:
  struct Outstanding {
    std::int32_t correlation;
    wire::Version version;
  };
  Task<Result<void>> send_pieces(wire::Writer& writer);
  Task<Result<std::vector<std::byte>>> read_frame(TimePoint deadline);
  Task<Result<void>> read_exactly(MutableBytes into, TimePoint deadline);

  Env& env_;
  std::unique_ptr<Stream> stream_;
  std::string client_id_;
  std::int32_t next_correlation_ = 1;
  std::deque<Outstanding> outstanding_;
};

}  // namespace mr::sim
