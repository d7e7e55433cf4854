#include "app/broker_metrics.h"

#include <map>
#include <optional>

#include "app/shard_metrics.h"
#include "app/topic_metrics.h"
#include "base/version.h"
#include "runtime/machine.h"
#include "wire/api_info.h"
#include "wire/kafka_error.h"

namespace mr::app {

struct BrokerMetrics::Process {
  struct Api {
    std::string_view name;
    Followed requests;
    std::optional<FollowedDurations<kLatencyBounds>> durations = {};
  };
  struct Held {
    std::uint64_t used = 0, limit = 0, refused = 0;
  };
  struct Account {
    Gauge used, limit;
    Followed refused;
  };
  explicit Process(MetricsRegistry& r, std::uint32_t shards)
      : registry(r),
        info(r.gauge("millrace_build_info", "Always 1; the version is the label.", {{"version", kVersion}})),
        uptime(r.gauge("millrace_uptime_seconds", "Seconds since the broker started.")),
        resident(r.gauge("process_resident_memory_bytes", "Resident memory.")),
        cpu_ms(r.counter("process_cpu_seconds_total", "CPU time used, user and system.", {}, 1000)),
        shard_count(r.gauge("millrace_shards", "Shards, one thread each.")),
        connections(r.gauge("millrace_kafka_connections", "Open Kafka connections.")),
        opened{r.counter("millrace_kafka_connections_opened_total", "Kafka connections accepted.")},
        refused{r.counter("millrace_kafka_connections_refused_total", "Kafka connections refused by max.connections.")},
        refused_by_address{r.counter("millrace_kafka_connections_refused_by_address_total",
                                     "Kafka connections refused by max.connections.per.ip.")},
        accept_failures{r.counter("millrace_kafka_accept_failures_total",
                                  "Times that a connection could not be accepted, for lack of descriptors mostly.")},
        bad_input{r.counter("millrace_kafka_connections_closed_total", "Connections that the broker closed, by reason.",
                            {{"reason", "bad_input"}})},
        idle{r.counter("millrace_kafka_connections_closed_total", "Connections that the broker closed, by reason.",
                       {{"reason", "idle"}})},
        unread{r.counter("millrace_kafka_connections_closed_total", "Connections that the broker closed, by reason.",
                         {{"reason", "unread"}})},
        no_memory{r.counter("millrace_kafka_connections_closed_total", "Connections that the broker closed, by reason.",
                            {{"reason", "memory"}})},
        bytes_in{r.counter("millrace_kafka_received_bytes_total", "Bytes received from Kafka clients.")},
        bytes_out{r.counter("millrace_kafka_sent_bytes_total", "Bytes sent to Kafka clients.")},
        sessions(r.gauge("millrace_fetch_sessions", "Fetch sessions of consumers.")),
        session_partitions(r.gauge("millrace_fetch_session_partitions", "Partitions that fetch sessions hold.")),
        sessions_evicted{
            r.counter("millrace_fetch_sessions_evicted_total", "Fetch sessions that made room for others.")},
        journal_damage{r.counter("millrace_commit_journal_damaged_blocks_total",
                                 "Blocks of the commit journal that had been on disk and were lost at the start.")} {
    info.set(1);
    shard_count.set(shards);
    for (std::uint32_t s = 0; s < shards; ++s) {
      std::string label = std::to_string(s);
      stalls.push_back({r.counter("millrace_shard_stalls_total", "Loop turns over 25 ms.", {{"shard", label}})});
      turns.push_back({r.counter("millrace_shard_turns_total", "Rounds of the event loop.", {{"shard", label}})});
      socket_calls.push_back(
          {r.counter("millrace_shard_socket_calls_total", "Socket system calls.", {{"shard", label}})});
    }
    for (const server::kafka::ApiEntry& entry : server::kafka::handler_table()) {
      const wire::ApiInfo& api = *entry.api;
      Api one{.name = api.name,
              .requests = {r.counter("millrace_kafka_requests_total", "Requests by API.", {{"api", api.name}})}};
      apis.emplace(static_cast<std::size_t>(api.key), std::move(one));
    }
  }
  /// A histogram has many lines: only for what somebody has asked.
  void follow(Api& api, const DurationCounts<kLatencyBounds>& now) {
    if (now.nanoseconds == 0) return;
    if (!api.durations)
      api.durations.emplace(registry.histogram("millrace_kafka_request_duration_seconds",
                                               "From the whole request to its answer going out; long polls wait.",
                                               kLatencyBounds.seconds(), {{"api", api.name}}));
    api.durations->follow(now);
  }
  void follow_error(std::size_t at, std::uint64_t now) {
    auto found = errors.find(at);
    if (found == errors.end()) {
      auto code = static_cast<wire::KafkaError>(static_cast<int>(at) - 1);
      found = errors
                  .emplace(at, Followed{registry.counter("millrace_kafka_errors_total", "Error codes in answers.",
                                                         {{"code", wire::to_string(code)}})})
                  .first;
    }
    found->second.follow(now);
  }
  void follow(const std::string& account, const Held& now) {
    auto at = accounts.find(account);
    if (at == accounts.end()) {
      MetricLabels labels = {{"account", account}};
      Account one{
          registry.gauge("millrace_memory_used_bytes", "Memory charged to an account.", labels),
          registry.gauge("millrace_memory_limit_bytes", "Most that may be charged to it.", labels),
          {registry.counter("millrace_memory_refused_total", "Times that somebody had to wait for it.", labels)}};
      at = accounts.emplace(account, std::move(one)).first;
    }
    at->second.used.set(static_cast<std::int64_t>(now.used));
    at->second.limit.set(static_cast<std::int64_t>(now.limit));
    at->second.refused.follow(now.refused);
  }

  MetricsRegistry& registry;
  Gauge info, uptime, resident;
  Followed cpu_ms;
  Gauge shard_count, connections;
  Followed opened, refused, refused_by_address, accept_failures, bad_input, idle, unread, no_memory, bytes_in,
      bytes_out;
  Gauge sessions, session_partitions;
  Followed sessions_evicted;
  Followed journal_damage;
  std::vector<Followed> stalls, turns, socket_calls;
  std::map<std::size_t, Api> apis;         ///< by key
  std::map<std::size_t, Followed> errors;  ///< by place in ErrorCodeCounts, once there was one
  std::map<std::string, Account> accounts;
};

struct BrokerMetrics::Logs {
  explicit Logs(MetricsRegistry& r)
      : registry(r),
        named(r),
        count(r.gauge("millrace_partitions", "Partitions on this broker.")),
        topics(r.gauge("millrace_topics", "Topics.")),
        bytes(r.gauge("millrace_log_bytes", "Bytes of all segment files.")),
        syncs{r.histogram("millrace_fsync_duration_seconds", "System calls that sync a file or a directory.",
                          kLatencyBounds.seconds())},
        sync_failures{r.counter("millrace_fsync_failures_total", "Such calls that failed.")},
        scrub_bytes{r.counter("millrace_scrub_bytes_total", "Bytes that the scrub has read.")},
        scrub_segments{r.counter("millrace_scrub_segments_total", "Segments that it has read to their end.")},
        scrub_ranges{r.counter("millrace_corrupt_ranges_total",
                               "Damaged places found in logs; consumers get CORRUPT_MESSAGE for them.",
                               {{"shard", "0"}, {"found_by", "scrub"}})},
        scrub_unreadable{
            r.counter("millrace_scrub_unreadable_total", "Segments that the device did not read to their end.")},
        scrub_finished(r.gauge("millrace_scrub_finished_seconds",
                               "When the scrub last got round a log directory, in seconds since 1970; 0: not yet.")) {}

  void take(const std::vector<broker::LogDirectory>& all) {
    for (const broker::LogDirectory& directory : all) {
      auto at = directories.find(directory.path);
      if (at == directories.end()) {
        MetricLabels labels = {{"dir", directory.path}};
        Directory one{registry.gauge("millrace_log_dir_online",
                                     "1 while the log directory serves, 0 once it has failed.", labels),
                      registry.gauge("millrace_log_dir_free_bytes", "Free on the log directory's disk.", labels),
                      registry.gauge("millrace_log_dir_reserve_bytes", "Below this much free appends stop.", labels),
                      registry.gauge("millrace_log_dir_full", "1 while appends are refused for lack of room.", labels)};
        at = directories.emplace(directory.path, std::move(one)).first;
      }
      at->second.online.set(directory.online() ? 1 : 0);
      at->second.free.set(static_cast<std::int64_t>(directory.space.free_bytes));
      at->second.reserve.set(static_cast<std::int64_t>(directory.reserve));
      at->second.full.set(directory.low ? 1 : 0);
    }
  }
  void take(const broker::ScrubStats& scrubbed) {
    scrub_bytes.follow(scrubbed.bytes);
    scrub_segments.follow(scrubbed.segments);
    scrub_ranges.follow(scrubbed.damaged_ranges);
    scrub_unreadable.follow(scrubbed.unreadable);
    scrub_finished.set(scrubbed.last_finished / 1000);
  }

  struct Directory {
    Gauge online, free, reserve, full;
  };
  MetricsRegistry& registry;
  TopicMetrics named;
  std::map<std::string, Directory> directories;
  std::vector<ShardMetrics> shards;
  Gauge count, topics, bytes;
  FollowedDurations<kLatencyBounds> syncs;
  Followed sync_failures;
  Followed scrub_bytes, scrub_segments, scrub_ranges, scrub_unreadable;
  Gauge scrub_finished;
};

BrokerMetrics::BrokerMetrics(MetricsRegistry& registry, RealHost& host, broker::Broker& broker, const Doors& doors)
    : host_(host),
      broker_(broker),
      doors_(doors),
      started_(host.env(ShardId{0}).now()),
      process_(std::make_unique<Process>(registry, host.shards().count())),
      logs_(std::make_unique<Logs>(registry)) {
  for (std::uint32_t s = 0; s < host.shards().count(); ++s) logs_->shards.emplace_back(registry, std::to_string(s));
}

BrokerMetrics::~BrokerMetrics() = default;

void BrokerMetrics::read_doors() {
  Process& p = *process_;
  auto up = host_.env(ShardId{0}).now() - started_;
  p.uptime.set(std::chrono::duration_cast<std::chrono::seconds>(up).count());
  p.resident.set(static_cast<std::int64_t>(resident_memory_bytes()));
  p.cpu_ms.follow(static_cast<std::uint64_t>(used_cpu_seconds() * 1000));

  const std::uint32_t shards = host_.shards().count();
  std::uint64_t refused_by_address = 0, accept_failures = 0, unread = 0;
  std::uint64_t open = 0, opened = 0, refused = 0, bad = 0, idle = 0, no_memory = 0, in = 0, out = 0;
  std::uint64_t sessions = 0, session_partitions = 0, evicted = 0;
  std::map<std::size_t, std::uint64_t> requests, errors;
  std::map<std::size_t, DurationCounts<kLatencyBounds>> durations;
  std::map<std::string, Process::Held> accounts;
  for (const auto& door : doors_) {
    for (std::uint32_t s = 0; s < shards; ++s) {
      const server::kafka::ServerCounters& c = door->counters(ShardId{s});
      open += c.connections_open.load(std::memory_order_relaxed);
      opened += c.connections_opened.load(std::memory_order_relaxed);
      refused += c.connections_refused.load(std::memory_order_relaxed);
      refused_by_address += c.connections_refused_by_host.load(std::memory_order_relaxed);
      accept_failures += c.accept_failures.load(std::memory_order_relaxed);
      bad += c.closed_bad_input.load(std::memory_order_relaxed);
      idle += c.closed_idle.load(std::memory_order_relaxed);
      unread += c.closed_unread.load(std::memory_order_relaxed);
      no_memory += c.closed_memory.load(std::memory_order_relaxed);
      in += c.bytes_received.load(std::memory_order_relaxed);
      out += c.bytes_sent.load(std::memory_order_relaxed);
      const server::kafka::FetchSessionCounters& fetching = door->fetch_sessions(ShardId{s}).counters();
      sessions += fetching.sessions.load(std::memory_order_relaxed);
      session_partitions += fetching.partitions.load(std::memory_order_relaxed);
      evicted += fetching.evicted.load(std::memory_order_relaxed);
      for (auto& [key, api] : p.apis) {
        requests[key] += c.requests_by_api[key].load(std::memory_order_relaxed);
        durations[key] += c.durations_by_api[key].read();
      }
      for (std::size_t i = 0; i < c.errors.size(); ++i)
        if (std::uint64_t count = c.errors[i].load(std::memory_order_relaxed)) errors[i] += count;
    }
    Process::Held& held = accounts[door->memory().name()];
    held.used += door->memory().used();
    held.limit += door->memory().limit();
    held.refused += door->memory().refused();
  }
  accounts[broker_.inflating().name()] = {.used = broker_.inflating().used(),
                                          .limit = broker_.inflating().limit(),
                                          .refused = broker_.inflating().refused()};
  p.connections.set(static_cast<std::int64_t>(open));
  p.opened.follow(opened);
  p.refused.follow(refused);
  p.refused_by_address.follow(refused_by_address);
  p.accept_failures.follow(accept_failures);
  p.bad_input.follow(bad);
  p.idle.follow(idle);
  p.unread.follow(unread);
  p.no_memory.follow(no_memory);
  p.bytes_in.follow(in);
  p.bytes_out.follow(out);
  p.sessions.set(static_cast<std::int64_t>(sessions));
  p.session_partitions.set(static_cast<std::int64_t>(session_partitions));
  p.sessions_evicted.follow(evicted);
  for (auto& [key, api] : p.apis) {
    api.requests.follow(requests[key]);
    p.follow(api, durations[key]);
  }
  for (auto& [at, count] : errors) p.follow_error(at, count);
  for (auto& [account, held] : accounts) p.follow(account, held);
}

void BrokerMetrics::read_shards() {
  Process& p = *process_;
  for (std::uint32_t s = 0; s < host_.shards().count(); ++s) {
    ShardCounters c = host_.counters(ShardId{s});
    p.stalls[s].follow(c.stalls);
    p.turns[s].follow(c.turns);
    p.socket_calls[s].follow(c.socket_calls);
  }
}

Task<void> BrokerMetrics::refresh() {
  read_doors();
  read_shards();
  process_->journal_damage.follow(broker_.damaged_journal_blocks());
  Logs& logs = *logs_;
  const FileSyncs syncs = file_syncs();
  logs.syncs.follow(syncs.durations);
  logs.sync_failures.follow(syncs.failures);
  auto table = broker_.topics(ShardId{0});
  logs.named.begin(*table);
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  for (std::uint32_t s = 0; s < host_.shards().count(); ++s) {
    auto ask = [this, s, wanted = logs.named.wanted(ShardId{s})] {
      return numbers_of(broker_.shard(ShardId{s}), wanted);
    };
    ShardNumbers numbers = co_await host_.shards().call(ShardId{s}, std::move(ask));
    logs.named.take(numbers);
    logs.shards[s].follow(numbers);
    count += numbers.count;
    bytes += numbers.bytes;
  }
  logs.named.end();
  logs.take(broker_.log_directories());
  logs.take(broker_.scrubbed());
  logs.count.set(static_cast<std::int64_t>(count));
  logs.bytes.set(static_cast<std::int64_t>(bytes));
  logs.topics.set(static_cast<std::int64_t>(table->topics().size()));
}

}  // namespace mr::app
