#include "server/kafka/kafka_server.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "broker/broker.h"
#include "server/kafka/connection.h"

namespace mr::server::kafka {

KafkaServer::KafkaServer(Shards& shards, broker::Broker& broker, coordinator::GroupCoordinator& groups,
                         KafkaServerOptions options)
    : shards_(shards),
      broker_(broker),
      groups_(groups),
      options_(std::move(options)),
      address_(options_.listen),
      memory_("requests", options_.receive_bytes_max),
      session_memory_("fetch sessions", options_.fetch_session_bytes_max),
      hosts_(options_.hosts ? options_.hosts : std::make_shared<HostCounts>()) {
  // Shards share the number; each has at least one, unless there are none at all.
  const std::size_t sessions_max = (options_.fetch_sessions_max + shards_.count() - 1) / shards_.count();
  for (std::uint32_t s = 0; s < shards_.count(); ++s)
    per_shard_.push_back(
        std::make_unique<PerShard>(shards_.env(ShardId{s}), memory_, shards_.count(), sessions_max, session_memory_));
}

KafkaServer::~KafkaServer() = default;

Task<Result<void>> KafkaServer::start() {
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    auto listening = co_await shards_.call(ShardId{s}, [this, s]() -> Result<void> {
      PerShard& mine = *per_shard_[s];
      MR_TRY(mine.listener, shards_.env(ShardId{s}).network.listen(address_, options_.buffers));
      address_.port = mine.listener->local().port;
      return {};
    });
    if (!listening.ok()) {
      co_await stop();
      co_return listening.error();
    }
  }
  // Only when every shard listens: a connection on a half-open door could be reset.
  for (std::uint32_t s = 0; s < shards_.count(); ++s)
    co_await shards_.call(ShardId{s},
                          [this, s] { per_shard_[s]->scope.spawn("kafka accept", accept_loop(ShardId{s})); });
  co_return Result<void>{};
}

Task<void> KafkaServer::stop() {
  for (std::uint32_t s = 0; s < shards_.count(); ++s) {
    co_await shards_.call(ShardId{s}, [this, s]() -> Task<void> {
      PerShard& mine = *per_shard_[s];
      if (mine.listener) mine.listener->close();
      co_await mine.scope.stop();
      mine.listener.reset();
    });
  }
}

Task<void> KafkaServer::accept_loop(ShardId shard) {
  PerShard& mine = *per_shard_[shard.v];
  Env& env = shards_.env(shard);
  std::uint64_t failed = 0;  // in a row
  for (;;) {
    auto stream = co_await mine.listener->accept();
    if (!stream.ok()) {
      if (mine.scope.stopping() || stream.code() == Errc::cancelled || stream.code() == Errc::connection_closed)
        co_return;
      ServerCounters::bump(mine.counters.accept_failures);
      if (failed++ == 0) log_warn("server", "no connections are accepted", {{"error", stream.error().message()}});
      if (!(co_await sleep_until(env.now() + Millis(100))).ok()) co_return;
      continue;
    }
    if (failed > 0) log_info("server", "connections are accepted again", {{"tries", std::exchange(failed, 0)}});
    const auto wanted = static_cast<std::uint32_t>(broker_.settings(shard)->config.max_connections);
    if (open_.fetch_add(1, std::memory_order_relaxed) >= std::min(wanted, options_.connections_max)) {
      open_.fetch_sub(1, std::memory_order_relaxed);
      ServerCounters::bump(mine.counters.connections_refused);
      if (std::uint64_t times = mine.refused.count(env.now()))
        log_warn("server", "connections are refused: as many are open as max.connections or the file limit allows",
                 {{"limit", std::min(wanted, options_.connections_max)}, {"refused", times}});
      (*stream)->close();
      continue;
    }
    mine.scope.spawn("kafka connection", serve(shard, std::move(*stream)));
  }
}

Task<void> KafkaServer::serve(ShardId shard, std::unique_ptr<Stream> stream) {
  const std::string host = stream->remote().host;
  // All shards and listeners count together, so one shard does it.
  const bool admitted = co_await shards_.call(ShardId{0}, [this, &host] {
    return hosts_->enter(host, broker_.settings(ShardId{0}), shards_.env(ShardId{0}).now());
  });
  if (admitted) {
    co_await serve_admitted(shard, std::move(stream));
    co_await shards_.call(ShardId{0}, [this, &host] { hosts_->leave(host); });
  } else {
    ServerCounters::bump(per_shard_[shard.v]->counters.connections_refused_by_host);
    stream->close();
  }
  open_.fetch_sub(1, std::memory_order_relaxed);
}

Task<void> KafkaServer::serve_admitted(ShardId shard, std::unique_ptr<Stream> stream) {
  PerShard& mine = *per_shard_[shard.v];
  mine.counters.connections_opened.fetch_add(1, std::memory_order_relaxed);
  mine.counters.connections_open.fetch_add(1, std::memory_order_relaxed);
  {
    Connection connection(*this, shards_.env(shard), std::move(stream), mine.pool, options_.listener_name);
    co_await connection.run();
  }
  mine.counters.connections_open.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace mr::server::kafka
