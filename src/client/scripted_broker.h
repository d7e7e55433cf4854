#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <vector>

#include "runtime/env.h"
#include "wire/api/api_versions.h"
#include "wire/frame.h"

namespace mr::client {

/// A broker for tests of this room: serves one connection after the other, reads frames and hands each to `answer`,
/// whose bytes go back as they are.
struct ScriptedBroker {
  std::vector<wire::RequestFrame> seen;
  std::function<void(const wire::RequestFrame&, wire::Writer&)> answer;
  std::size_t hold_until = 0;   ///< answers nothing before so many requests are there
  std::size_t close_after = 0;  ///< closes instead of answering request number N (from 1)
  Duration delay{};

  Task<Result<void>> serve(Env& env, Stream& stream) {
    std::vector<std::byte> held;
    for (;;) {
      std::array<std::byte, 4> size;
      MR_CO_TRY_VOID(co_await read(stream, size));
      std::vector<std::byte> frame(load_be<std::uint32_t>(size.data()));
      MR_CO_TRY_VOID(co_await read(stream, frame));
      MR_CO_TRY(wire::RequestFrame head, wire::parse_request(frame));
      wire::Writer out;
      answer(head, out);
      seen.push_back(head);
      if (seen.size() == close_after) break;
      for (const wire::Piece& piece : out.pieces()) held.insert(held.end(), piece.bytes.begin(), piece.bytes.end());
      if (seen.size() < hold_until) continue;
      if (delay.count() > 0) MR_CO_TRY_VOID(co_await sleep_until(env.now() + delay));
      ByteView piece = held;
      MR_CO_TRY_VOID(co_await stream.write(std::span(&piece, 1)));
      held.clear();
    }
    stream.close();
    co_return Result<void>{};
  }
  static Task<Result<void>> read(Stream& stream, MutableBytes into) {
    while (!into.empty()) {
      MR_CO_TRY(std::size_t n, co_await stream.read_some(into));
      if (n == 0) co_return Errc::connection_closed;
      into = into.subspan(n);
    }
    co_return Result<void>{};
  }
};

/// The same with a handler for each API; ApiVersions tells which there are.
struct ApiBroker : ScriptedBroker {
  ApiBroker() {
    answer = [this](const wire::RequestFrame& head, wire::Writer& out) {
      if (head.api->key == wire::ApiKey::api_versions) return offer(head, out);
      apis.at(head.api->key).handle(head, out);
    };
  }
  ApiBroker(const ApiBroker&) = delete;

  /// `fill(request, response, arena, version)` makes the answer; `newest` is the newest version that is offered.
  template <class Request, class Fill>
  void on(wire::Version newest, Fill fill) {
    auto handle = [fill](const wire::RequestFrame& head, wire::Writer& out) mutable {
      wire::Arena arena;
      auto request = wire::decode_body<Request>(head.body, head.version, arena);
      ASSERT_TRUE(request.ok());
      typename Request::Response response;
      fill(*request, response, arena, head.version);
      ASSERT_TRUE(wire::encode_response(out, response, head.version, head.correlation_id).ok());
    };
    apis[Request::kApi.key] = {newest, std::move(handle)};
  }
  std::size_t calls(wire::ApiKey key) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(seen, [key](const wire::RequestFrame& frame) { return frame.api->key == key; }));
  }

 private:
  struct Handler {
    wire::Version newest = 0;
    std::function<void(const wire::RequestFrame&, wire::Writer&)> handle;
  };
  void offer(const wire::RequestFrame& head, wire::Writer& out) {
    wire::Arena arena;
    wire::api_versions::Response response;
    response.api_keys = arena.list<wire::api_versions::ApiVersion>(apis.size() + 1);
    response.api_keys[0] = {.api_key = 18, .min_version = 0, .max_version = 4};
    std::size_t next = 1;
    for (const auto& [key, handler] : apis)
      response.api_keys[next++] = {
          .api_key = static_cast<std::int16_t>(key), .min_version = 0, .max_version = handler.newest};
    ASSERT_TRUE(wire::encode_response(out, response, head.version, head.correlation_id).ok());
  }

  std::map<wire::ApiKey, Handler> apis;
};

inline Task<void> run_broker(ScriptedBroker& broker, Env& env, Listener& listener) {
  for (;;) {
    auto stream = co_await listener.accept();
    if (!stream.ok()) co_return;
    (void)co_await broker.serve(env, **stream);
    (*stream)->close();
  }
}

}  // namespace mr::client
