#include "client/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/version.h"
#include "wire/api/api_versions.h"

namespace mr::client {

Connection::Connection(Env& env, Address address, std::unique_ptr<Stream> stream, ConnectionOptions options)
    : env_(env),
      address_(std::move(address)),
      stream_(std::move(stream)),
      options_(std::move(options)),
      scope_(env.executor) {}

Connection::~Connection() { MR_CHECK(broken_.has_value()); }

Task<Result<std::unique_ptr<Connection>>> Connection::open(Env& env, Address broker, ConnectionOptions options,
                                                           TimePoint deadline) {
  auto stream = co_await env.network.connect(broker, deadline);
  if (!stream.ok())
    co_return Error(stream.code(),
                    fmt::format("cannot connect to {}: {}", broker.to_string(), stream.error().message()));
  std::unique_ptr<Connection> connection(
      new Connection(env, std::move(broker), std::move(*stream), std::move(options)));
  connection->scope_.spawn("client requests", connection->write_requests());
  connection->scope_.spawn("client answers", connection->read_answers());
  auto negotiated = co_await connection->negotiate(deadline);
  if (!negotiated.ok()) {
    co_await connection->close();
    co_return Error(negotiated.code(), fmt::format("{} does not answer as a Kafka broker: {}",
                                                   connection->address_.to_string(), negotiated.error().message()));
  }
  co_return connection;
}

Task<Result<void>> Connection::negotiate(TimePoint deadline) {
  const wire::ApiInfo& api = wire::api_versions::kApi;
  wire::api_versions::Request request;
  request.client_software_name = "millrace";
  request.client_software_version = kVersion;
  for (wire::Version version : {api.advertised_max, wire::Version{0}}) {
    std::int32_t id = next_id_++;
    MR_CO_TRY(std::vector<std::byte> bytes, encode(request, version, id));
    MR_CO_TRY(Frame frame, co_await exchange(std::move(bytes), id, deadline));
    MR_CO_TRY(wire::ResponseFrame head, wire::parse_response(frame.view(), api, version));
    // A broker that does not know our version answers in the layout of version 0 (traps.md 6); the error code comes
    // first in each.
    ByteView body = head.body;
    bool too_new = body.size() >= 2 && load_be<std::int16_t>(body.data()) ==
                                           static_cast<std::int16_t>(wire::KafkaError::unsupported_version);
    if (too_new && version > 0) continue;
    MR_CO_TRY(auto reply, Reply<wire::api_versions::Response>::decode(std::move(frame), body, version));
    if (reply->error_code != wire::KafkaError::none)
      co_return Error(Errc::unsupported_version,
                      fmt::format("ApiVersions answered error {}", static_cast<int>(reply->error_code)));
    for (const auto& served : reply->api_keys)
      if (served.api_key >= 0 && static_cast<std::size_t>(served.api_key) < versions_.size())
        versions_[static_cast<std::size_t>(served.api_key)] = {served.min_version, served.max_version};
    co_return Result<void>{};
  }
  co_return Error(Errc::unsupported_version, "it speaks no version of ApiVersions that we know");
}

Result<wire::Version> Connection::choose(const wire::ApiInfo& api, std::optional<wire::Version> wanted) const {
  const Range served = versions_[static_cast<std::size_t>(api.key)];
  auto refuse = [&](std::string_view why) {
    return Error(Errc::unsupported_version, fmt::format("{}: {} {}", address_.to_string(), api.name, why));
  };
  if (served.max < served.min) return refuse("is not served by this broker");
  const wire::Version min = std::max({api.min, api.advertised_min, served.min});
  const wire::Version max = std::min({api.max, api.advertised_max, served.max});
  if (max < min) return refuse(fmt::format("is served in versions {} to {} only", served.min, served.max));
  if (!wanted) return max;
  if (*wanted < min || *wanted > max) return refuse(fmt::format("has no version {} in common with us", *wanted));
  return *wanted;
}

std::vector<std::byte> Connection::flatten(wire::Writer& writer) {
  std::vector<std::byte> bytes;
  bytes.reserve(writer.size());
  for (const wire::Piece& piece : writer.pieces()) {
    MR_CHECK(!piece.is_external);  // requests carry their records in memory
    bytes.insert(bytes.end(), piece.bytes.begin(), piece.bytes.end());
  }
  return bytes;
}

Task<Result<void>> Connection::enqueue(std::vector<std::byte> request, TimePoint deadline) {
  while (!broken_ && (in_flight_.size() >= options_.in_flight_max || outgoing_.size() >= options_.in_flight_max))
    MR_CO_TRY_VOID(co_await room_changed_.wait(deadline));
  if (broken_) co_return *broken_;
  outgoing_.push_back(std::move(request));
  ++queued_;
  outgoing_changed_.notify_all();
  co_return Result<void>{};
}

Task<Result<void>> Connection::written(std::uint64_t requests, TimePoint deadline) {
  while (!broken_ && written_ < requests) MR_CO_TRY_VOID(co_await room_changed_.wait(deadline));
  if (written_ < requests) co_return *broken_;
  co_return Result<void>{};
}

Task<Result<Frame>> Connection::exchange(std::vector<std::byte> request, std::int32_t id, TimePoint deadline) {
  MR_CO_TRY_VOID(co_await enqueue(std::move(request), deadline));
  if (broken_) co_return *broken_;
  Pending pending;
  in_flight_.push_back({id, &pending});
  Result<void> waited;
  while (!pending.answer && waited.ok()) waited = co_await pending.arrived.wait(deadline);
  if (pending.answer) co_return std::move(*pending.answer);
  // The answer may still come: its place is kept, so that those behind it stay in step.
  for (InFlight& each : in_flight_)
    if (each.pending == &pending) each.pending = nullptr;
  if (waited.code() == Errc::timed_out)
    co_return Error(Errc::timed_out, fmt::format("no answer from {} in time", address_.to_string()));
  co_return waited.error();
}

Task<void> Connection::write_requests() {
  std::vector<std::vector<std::byte>> batch;
  std::vector<ByteView> pieces;
  while (!broken_) {
    if (outgoing_.empty()) {
      if (!(co_await outgoing_changed_.wait()).ok()) co_return;
      continue;
    }
    batch.clear();
    pieces.clear();
    std::ranges::move(outgoing_, std::back_inserter(batch));
    outgoing_.clear();
    room_changed_.notify_all();
    for (const auto& frame : batch) pieces.push_back(frame);
    auto written = co_await stream_->write(pieces);
    if (!written.ok()) {
      fail(written.error());
      co_return;
    }
    written_ += batch.size();
    room_changed_.notify_all();
  }
}

Task<void> Connection::read_answers() {
  for (;;) {
    auto frame = co_await read_frame();
    if (!frame.ok()) {
      fail(frame.error());
      co_return;
    }
    auto delivered = deliver(std::move(*frame));
    if (!delivered.ok()) {
      fail(delivered.error());
      co_return;
    }
  }
}

Task<Result<Frame>> Connection::read_frame() {
  std::array<std::byte, wire::kFrameSizeBytes> size_bytes;
  MR_CO_TRY_VOID(co_await read_exactly(size_bytes));
  MR_CO_TRY(std::size_t size, wire::frame_size(size_bytes, options_.frame_bytes_max));
  Frame frame{std::make_unique_for_overwrite<std::byte[]>(size), size};
  MR_CO_TRY_VOID(co_await read_exactly({frame.bytes.get(), size}));
  co_return frame;
}

Task<Result<void>> Connection::read_exactly(MutableBytes into) {
  while (!into.empty()) {
    if (head_from_ < head_to_) {
      std::size_t n = std::min(into.size(), head_to_ - head_from_);
      std::memcpy(into.data(), head_.data() + head_from_, n);
      head_from_ += n;
      into = into.subspan(n);
      continue;
    }
    // What is larger than the buffer goes straight to its place.
    bool direct = into.size() >= head_.size();
    MutableBytes target = direct ? into : MutableBytes(head_);
    MR_CO_TRY(std::size_t n, co_await stream_->read_some(target));
    if (n == 0) co_return Error(Errc::connection_closed, fmt::format("{} closed the connection", address_.to_string()));
    if (direct) {
      into = into.subspan(n);
    } else {
      head_from_ = 0;
      head_to_ = n;
    }
  }
  co_return Result<void>{};
}

Result<void> Connection::deliver(Frame frame) {
  if (frame.size < 4) return Error(Errc::malformed, "an answer is too short for its correlation id");
  const std::int32_t id = load_be<std::int32_t>(frame.bytes.get());
  // A broker answers in order.
  if (in_flight_.empty() || in_flight_.front().id != id)
    return Error(Errc::malformed, fmt::format("an answer has correlation id {}, which is not the next", id));
  Pending* pending = in_flight_.front().pending;
  in_flight_.pop_front();
  room_changed_.notify_all();
  if (pending != nullptr) {
    pending->answer.emplace(std::move(frame));
    pending->arrived.notify_all();
  }
  return {};
}

void Connection::fail(Error error) {
  if (broken_) return;
  if (error.code() != Errc::malformed && error.code() != Errc::too_large) {
    std::string why =
        error.detail().empty() ? fmt::format("the connection to {} ended", address_.to_string()) : error.detail();
    error = Error(Errc::connection_closed, std::move(why));
  }
  broken_ = error;
  stream_->close();
  for (InFlight& each : in_flight_) {
    if (each.pending == nullptr) continue;
    each.pending->answer.emplace(error);
    each.pending->arrived.notify_all();
  }
  in_flight_.clear();
  outgoing_.clear();
  outgoing_changed_.notify_all();
  room_changed_.notify_all();
}

Error Connection::broken_answer(const Error& error) {
  fail(error);
  return error;
}

Task<void> Connection::close() {
  fail(Error(Errc::connection_closed, "closed here"));
  co_await scope_.stop();
}

}  // namespace mr::client
