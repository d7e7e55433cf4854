#include "cli/bench_sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "client/broker_error.h"
#include "runtime/machine.h"
#include "wire/api/metadata.h"
#include "wire/api/produce.h"

namespace mr::cli {

namespace {

/// Between a failure and what its place is used for next.
constexpr Duration kFailurePause = std::chrono::milliseconds(100);
constexpr std::int64_t kBrokerWaitMsMax = 30'000;

std::uint32_t batch_records_of(const BenchLoad& load) {
  return load.batch_records > 0 ? load.batch_records : records_that_fit(load.record_bytes, load.batch_bytes);
}

std::string_view acks_name(std::int16_t acks) { return acks == -1 ? "all" : acks == 0 ? "0" : "1"; }

}  // namespace

Result<void> check_load(const BenchLoad& load) {
  // A request is copied once, to be on its way when its sender has given up.
  const double bytes = 2.0 * load.connections * load.in_flight * batch_records_of(load) * (load.record_bytes + 20.0);
  const auto most = static_cast<double>(usable_memory_bytes()) / 2;
  if (bytes > most)
    return Error(
        Errc::invalid_argument,
        fmt::format("--connections x --in-flight x --batch-bytes (or --batch-records x --size) would take {} of "
                    "memory; half of this machine's is {}",
                    human_bytes(bytes), human_bytes(most)));
  return {};
}

LoadSender::LoadSender(Session& session, const BenchLoad& load, std::int32_t partitions, Meter& meter, Options options)
    : session_(session),
      load_(load),
      partitions_(partitions),
      meter_(meter),
      options_(options),
      batch_records_(batch_records_of(load)),
      payload_(session.env.rng, load.record_bytes),
      value_(load.record_bytes),
      feeders_(session.env.executor),
      sends_(session.env.executor) {}

/// Connects: what is timed begins with connections that are there.
Task<Result<void>> LoadSender::connect() {
  for (std::uint32_t i = 0; i < load_.connections; ++i) {
    clusters_.push_back(bench_client(session_));
    for (std::int32_t p = 0; p < partitions_; ++p)
      MR_CO_TRY_VOID(co_await clusters_.back()->leader({load_.topic, PartitionIndex{p}}, session_.deadline()));
  }
  co_return Result<void>{};
}

void LoadSender::make_producers() {
  meter_.begin();
  const TimePoint now = session_.env.now();
  if (load_.records == 0) ends_ = meter_.counts_from() + seconds_of(load_.seconds);
  const std::uint64_t count = load_.connections;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double each = load_.rate / static_cast<double>(count);
    // Producers take turns, so that together they keep an even rate.
    const double apart_ns = load_.rate > 0 ? 1e9 / load_.rate : 0;
    Pacer pacer({.rate = each,
                 .start = now + Duration(static_cast<std::int64_t>(apart_ns * static_cast<double>(i))),
                 .counts_from = meter_.counts_from(),
                 .ends = ends_,
                 .records_max =
                     load_.records == 0 ? Pacer::kNoBound : load_.records / count + (i < load_.records % count ? 1 : 0),
                 .batch_records_max = batch_records_,
                 .linger = Millis(load_.linger_ms)});
    producers_.push_back(std::make_unique<Producer>(
        *clusters_[i], pacer, load_.in_flight, static_cast<std::int32_t>(i % static_cast<std::uint64_t>(partitions_))));
  }
}

Task<Result<void>> LoadSender::run() {
  if (!options_.run) {
    auto built = ReadyBatches::build(payload_, load_.codec, batch_records_);
    if (!built.ok()) co_return built.error();
    ready_ = std::move(*built);
  }
  MR_CO_TRY_VOID(co_await connect());
  make_producers();
  feeding_ = producers_.size();
  for (auto& producer : producers_) feeders_.spawn("bench producer", feed(*this, *producer));
  interrupted_ = !co_await none_left(feeding_);
  co_await feeders_.stop();
  if (!interrupted_) interrupted_ = !co_await none_left(sending_);
  if (load_.acks == 0 && !interrupted_ && !given_up_) {
    sending_ = producers_.size();
    for (auto& producer : producers_) sends_.spawn("bench flush", flush(*this, *producer));
    interrupted_ = !co_await none_left(sending_);
  }
  co_await sends_.stop();
  co_return Result<void>{};
}

Task<bool> LoadSender::none_left(const std::uint64_t& running) {
  while (running > 0)
    if (!(co_await changed_.wait()).ok()) co_return false;
  co_return true;
}

Task<void> LoadSender::feed(LoadSender& self, Producer& producer) {
  Env& env = self.session_.env;
  while (!self.given_up_ && (co_await producer.room.acquire(1)).ok()) {
    Result<void> waited;
    std::optional<TimePoint> at;
    TimePoint now = env.now();
    while (waited.ok() && (at = producer.pacer.ready(now)) && *at > now) {
      waited = co_await sleep_until(*at);
      now = env.now();
    }
    if (!waited.ok() || !at || self.given_up_) break;
    ++self.sending_;
    self.sends_.spawn("bench batch", send(self, producer, producer.pacer.take(now)));
  }
  if (--self.feeding_ == 0) self.changed_.notify_all();
}

Task<void> LoadSender::send(LoadSender& self, Producer& producer, DueRecords due) {
  wire::KafkaError code{};
  auto sent = co_await self.attempt(producer, due, code);
  if (sent.ok()) {
    self.acknowledged_ += due.count;
    if (!self.options_.run)
      self.meter_.done(due, static_cast<std::uint64_t>(due.count) * self.load_.record_bytes, *sent);
  } else if (sent.code() != Errc::cancelled) {
    const bool answered = code != wire::KafkaError::none;
    self.meter_.failures.add(answered ? to_string(code) : to_string(sent.code()), sent.error());
    const bool hopeless = (answered && !client::worth_a_retry(code)) ||
                          self.session_.env.now() - self.meter_.alive() > Millis(self.session_.common.timeout_ms);
    if (hopeless) self.give_up();
    (void)co_await sleep_until(self.session_.env.now() + kFailurePause);
  }
  producer.room.release(1);
  self.sent();
}

void LoadSender::sent() {
  if (--sending_ == 0) changed_.notify_all();
}

void LoadSender::give_up() {
  given_up_ = true;
  feeders_.cancel();
}

Task<Result<std::uint64_t>> LoadSender::attempt(Producer& producer, DueRecords due, wire::KafkaError& code) {
  namespace api = wire::produce;
  const TimePoint deadline = session_.deadline();
  TopicPartition name{load_.topic, PartitionIndex{producer.next_partition}};
  producer.next_partition = (producer.next_partition + 1) % partitions_;
  MR_CO_TRY(client::Cluster::Leader leader, co_await producer.cluster.leader(name, deadline));
  std::vector<std::byte> own;
  ByteView batch;
  if (ready_ && due.count == batch_records_) {
    batch = ready_->next(session_.env.clock.wall());
  } else {
    MR_CO_TRY(own, build(due));
    batch = own;
  }
  wire::Arena arena;
  api::Request request;
  request.transactional_id.reset();
  request.acks = load_.acks;
  request.timeout_ms = static_cast<std::int32_t>(std::min(session_.common.timeout_ms, kBrokerWaitMsMax));
  request.topic_data = arena.list<api::TopicProduceData>(1);
  request.topic_data[0].name = name.topic;
  request.topic_data[0].topic_id = leader.topic;
  request.topic_data[0].partition_data = arena.list<api::PartitionProduceData>(1);
  request.topic_data[0].partition_data[0] = {.index = name.partition, .records = wire::Records::of(batch)};
  const std::uint64_t bytes = batch.size();
  if (load_.acks == 0) {
    MR_CO_TRY_VOID(co_await leader.connection->send(request, deadline));
    co_return bytes;
  }
  MR_CO_TRY(auto reply, co_await leader.connection->call(request, deadline));
  if (reply->responses.empty() || reply->responses[0].partition_responses.empty())
    co_return Error(Errc::malformed, fmt::format("{}: the broker's answer does not mention it", name.to_string()));
  const auto& answer = reply->responses[0].partition_responses[0];
  code = answer.error_code;
  if (code == wire::KafkaError::none) co_return bytes;
  producer.cluster.forget(load_.topic);
  co_return client::broker_error(code, name.to_string(), answer.error_message);
}

Result<std::vector<std::byte>> LoadSender::build(const DueRecords& due) {
  BatchBuilder builder({.codec = load_.codec});
  const WallMillis now = session_.env.clock.wall();
  for (std::uint32_t i = 0; i < due.count; ++i) {
    ByteView value = payload_.value();
    if (options_.run) {
      const Stamp stamp{*options_.run, due.due(i).time_since_epoch().count()};
      std::ranges::copy(value, value_.begin());
      std::memcpy(value_.data(), &stamp, sizeof(stamp));
      value = value_;
    }
    builder.add({.timestamp = now, .value = value});
  }
  return builder.build();
}

/// An answer says that all before it on that connection was read.
Task<void> LoadSender::flush(LoadSender& self, Producer& producer) {
  const TimePoint deadline = self.session_.deadline();
  std::set<std::shared_ptr<client::Connection>> connections;
  for (std::int32_t p = 0; p < self.partitions_; ++p) {
    auto leader = co_await producer.cluster.leader({self.load_.topic, PartitionIndex{p}}, deadline);
    if (leader.ok()) connections.insert(leader->connection);
  }
  for (const auto& connection : connections) {
    wire::metadata::Request request;
    request.topics.emplace();
    auto answer = co_await connection->call(request, deadline);
    if (!answer.ok() && answer.code() != Errc::cancelled) self.meter_.failures.add(answer.error());
  }
  self.sent();
}

std::uint64_t LoadSender::owed() const {
  std::uint64_t owed = 0;
  const TimePoint now = session_.env.now();
  for (const auto& producer : producers_) owed += producer->pacer.owed(now);
  return owed;
}

Task<void> LoadSender::close() {
  for (auto& cluster : clusters_) co_await cluster->close();
}

std::string LoadSender::line() const {
  const std::string pace = load_.rate > 0 ? fmt::format("{}/s are due", load_.rate) : std::string("full speed");
  const std::string codec = load_.codec == Codec::none ? "" : fmt::format(", {}", codec_name(load_.codec));
  return fmt::format("{} ({}), {} x {} in flight, {} bytes each, {} a batch at most, acks {}{}, {}", load_.topic,
                     plural(static_cast<std::uint64_t>(partitions_), "partition"),
                     plural(load_.connections, "connection"), load_.in_flight, load_.record_bytes,
                     plural(batch_records_, "record"), acks_name(load_.acks), codec, pace);
}

Value::Object LoadSender::shape() const {
  return {{"topic", load_.topic},
          {"partitions", partitions_},
          {"record_bytes", load_.record_bytes},
          {"batch_records", batch_records_},
          {"linger_ms", load_.linger_ms},
          {"connections", load_.connections},
          {"in_flight", load_.in_flight},
          {"acks", acks_name(load_.acks)},
          {"codec", codec_name(load_.codec)},
          {"rate", load_.rate},
          {"warm_up_seconds", load_.warm_up_seconds}};
}

}  // namespace mr::cli
