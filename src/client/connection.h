#pragma once
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/reply.h"
#include "runtime/env.h"
#include "runtime/scope.h"
#include "wire/frame.h"

namespace mr::client {

struct ConnectionOptions {
  std::string client_id = "millrace";
  /// Largest answer taken.
  std::uint32_t frame_bytes_max = 256u << 20;
  /// Requests whose answer is still to come; more calls wait.
  std::size_t in_flight_max = 64;
};

/// One connection to one Kafka broker, over the streams of an Env: real or simulated. Calls may overlap: requests go
/// out in the order of the calls and answers are told apart by correlation id. One shard. Life: open(), calls, close()
/// before destruction. A connection that broke stays broken: open another.
class Connection {
 public:
  /// Connects and asks which versions the broker speaks. Errors: connection_refused, connection_closed, timed_out,
  /// not_found (host name), malformed (no Kafka broker), cancelled. The sentence names the address.
  static Task<Result<std::unique_ptr<Connection>>> open(Env& env, Address broker, ConnectionOptions options,
                                                        TimePoint deadline);
  Connection(const Connection&) = delete;
  ~Connection();

  /// Sends `request` in the newest version that both sides speak (or in `version`) and waits for the answer; error
  /// codes inside it are the caller's. `request` and what it views must stay until the call returns. Errors:
  /// connection_closed (with why), timed_out, cancelled: in all three the broker may have done it; unsupported_version
  /// (nothing was sent), too_large, malformed (the connection is closed).
  template <class Request>
  Task<Result<Reply<typename Request::Response>>> call(const Request& request, TimePoint deadline,
                                                       std::optional<wire::Version> version = std::nullopt) {
    MR_CO_TRY(wire::Version chosen, choose(Request::kApi, version));
    std::int32_t id = next_id_++;
    MR_CO_TRY(std::vector<std::byte> bytes, encode(request, chosen, id));
    MR_CO_TRY(Frame frame, co_await exchange(std::move(bytes), id, deadline));
    auto head = wire::parse_response(frame.view(), Request::kApi, chosen);
    if (!head.ok()) co_return broken_answer(head.error());
    ByteView body = head->body;
    auto reply = Reply<typename Request::Response>::decode(std::move(frame), body, chosen);
    if (!reply.ok()) co_return broken_answer(reply.error());
    co_return reply;
  }

  /// For a request that has no answer (produce with acks=0): returns once the kernel has all of it, so that close()
  /// takes nothing back. Errors: as call().
  template <class Request>
  Task<Result<void>> send(const Request& request, TimePoint deadline) {
    MR_CO_TRY(wire::Version chosen, choose(Request::kApi, std::nullopt));
    MR_CO_TRY(std::vector<std::byte> bytes, encode(request, chosen, next_id_++));
    MR_CO_TRY_VOID(co_await enqueue(std::move(bytes), deadline));
    co_return co_await written(queued_, deadline);
  }

  /// The newest version of `api` that both sides speak. Errors: unsupported_version.
  Result<wire::Version> choose(const wire::ApiInfo& api, std::optional<wire::Version> wanted) const;

  bool broken() const { return broken_.has_value(); }
  const Address& address() const { return address_; }
  const Address& local() const { return stream_->local(); }
  Env& env() { return env_; }

  /// Fails what is waiting with connection_closed and ends. Idempotent.
  Task<void> close();

 private:
  struct Pending {
    std::optional<Result<Frame>> answer;
    Event arrived;
  };
  struct InFlight {
    std::int32_t id;
    Pending* pending;  ///< null: the caller has given up
  };
  struct Range {
    wire::Version min = 0;
    wire::Version max = -1;
  };

  Connection(Env& env, Address address, std::unique_ptr<Stream> stream, ConnectionOptions options);
  Task<Result<void>> negotiate(TimePoint deadline);
  Task<Result<Frame>> exchange(std::vector<std::byte> request, std::int32_t id, TimePoint deadline);
  Task<Result<void>> enqueue(std::vector<std::byte> request, TimePoint deadline);
  Task<Result<void>> written(std::uint64_t requests, TimePoint deadline);
  Task<void> write_requests();
  Task<void> read_answers();
  Task<Result<Frame>> read_frame();
  Task<Result<void>> read_exactly(MutableBytes into);
  Result<void> deliver(Frame frame);
  void fail(Error error);
  Error broken_answer(const Error& error);

  template <class Request>
  Result<std::vector<std::byte>> encode(const Request& request, wire::Version version, std::int32_t id) const {
    wire::Writer writer;
    MR_TRY_VOID(wire::encode_request(writer, request, version, id, options_.client_id));
    return flatten(writer);
  }
  /// A copy, so that a caller may leave (deadline, cancellation) while its request is on the way.
  static std::vector<std::byte> flatten(wire::Writer& writer);

  Env& env_;
  const Address address_;
  std::unique_ptr<Stream> stream_;
  const ConnectionOptions options_;
  std::array<Range, 128> versions_{};
  std::int32_t next_id_ = 0;
  std::deque<InFlight> in_flight_;
  std::deque<std::vector<std::byte>> outgoing_;
  std::uint64_t queued_ = 0;   ///< requests that have been in outgoing_
  std::uint64_t written_ = 0;  ///< of these, those that the kernel has
  Event outgoing_changed_;
  Event room_changed_;
  std::optional<Error> broken_;
  std::array<std::byte, 4096> head_;  ///< received and not looked at yet: [head_from_, head_to_)
  std::size_t head_from_ = 0;
  std::size_t head_to_ = 0;
  Scope scope_;
};

}  // namespace mr::client
