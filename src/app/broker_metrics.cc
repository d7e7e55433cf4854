#include "app/broker_metrics.h"

#include <map>

#include "app/shard_metrics.h"
#include "base/version.h"
#include "runtime/machine.h"
#include "wire/api_info.h"

namespace mr::app {

struct BrokerMetrics::Process {
  explicit Process(MetricsRegistry& r, std::uint32_t shards)
      : info(r.gauge("millrace_build_info", "Always 1; the version is the label.", {{"version", kVersion}})),
        uptime(r.gauge("millrace_uptime_seconds", "Seconds since the broker started.")),
        resident(r.gauge("process_resident_memory_bytes", "Resident memory.")),
        cpu_ms(r.counter("millrace_cpu_milliseconds_total", "CPU time used, user and system.")),
        shard_count(r.gauge("millrace_shards", "Shards, one thread each.")),
        connections(r.gauge("millrace_kafka_connections", "Open Kafka connections.")),
        opened{r.counter("millrace_kafka_connections_opened_total", "Kafka connections accepted.")},
        refused{r.counter("millrace_kafka_connections_refused_total", "Kafka connections refused by max.connections.")},
        bad_input{r.counter("millrace_kafka_connections_closed_total", "Connections that the broker closed, by reason.",
                            {{"reason", "bad_input"}})},
        idle{r.counter("millrace_kafka_connections_closed_total", "Connections that the broker closed, by reason.",
                       {{"reason", "idle"}})},
        bytes_in{r.counter("millrace_kafka_received_bytes_total", "Bytes received from Kafka clients.")},
        bytes_out{r.counter("millrace_kafka_sent_bytes_total", "Bytes sent to Kafka clients.")},
        memory_used(r.gauge("millrace_request_memory_bytes", "Memory held by requests in flight.")),
        memory_limit(r.gauge("millrace_request_memory_limit_bytes", "Most memory that requests may hold.")),
        memory_refused{r.counter("millrace_request_memory_refused_total", "Times that reading waited for memory.")},
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
    for (const wire::ApiInfo& api : wire::apis())
      requests.emplace(static_cast<std::size_t>(api.key),
                       Followed{r.counter("millrace_kafka_requests_total", "Requests by API.", {{"api", api.name}})});
  }

  Gauge info, uptime, resident;
  Followed cpu_ms;
  Gauge shard_count, connections;
  Followed opened, refused, bad_input, idle, bytes_in, bytes_out;
  Gauge memory_used, memory_limit;
  Followed memory_refused;
  Followed journal_damage;
  std::vector<Followed> stalls, turns, socket_calls;
  std::map<std::size_t, Followed> requests;
};

struct BrokerMetrics::Partitions {
  struct One {
    Gauge log_start, log_end, high_watermark, bytes;
    std::uint64_t round = 0;
  };
  explicit Partitions(MetricsRegistry& r)
      : registry(r),
        count(r.gauge("millrace_partitions", "Partitions on this broker.")),
        topics(r.gauge("millrace_topics", "Topics.")),
        bytes(r.gauge("millrace_log_bytes", "Bytes of all segment files.")),
        scrub_bytes{r.counter("millrace_scrub_bytes_total", "Bytes that the scrub has read.")},
        scrub_segments{r.counter("millrace_scrub_segments_total", "Segments that it has read to their end.")},
        scrub_ranges{r.counter("millrace_corrupt_ranges_total",
                               "Damaged places found in logs; consumers get CORRUPT_MESSAGE for them.",
                               {{"shard", "0"}, {"found_by", "scrub"}})},
        scrub_unreadable{
            r.counter("millrace_scrub_unreadable_total", "Segments that the device did not read to their end.")},
        scrub_finished(r.gauge("millrace_scrub_finished_seconds",
                               "When the scrub last got round a log directory, in seconds since 1970; 0: not yet.")) {}

  void take(const ShardNumbers& shard, std::uint64_t round) {
    for (const PartitionNumbers& p : shard.partitions) {
      std::string index = std::to_string(p.partition);
      auto at = series.find({p.topic, p.partition});
      if (at == series.end()) {
        if (series.size() >= kPartitionSeriesMax) continue;
        auto gauge = [&](std::string_view name, std::string_view help) {
          return registry.gauge(name, help, {{"topic", p.topic}, {"partition", index}});
        };
        One one{gauge("millrace_partition_log_start_offset", "First readable offset."),
                gauge("millrace_partition_log_end_offset", "Next offset."),
                gauge("millrace_partition_high_watermark", "Consumers read below this."),
                gauge("millrace_partition_bytes", "Bytes of the partition's segment files.")};
        at = series.emplace(std::pair(p.topic, p.partition), std::move(one)).first;
      }
      One& one = at->second;
      one.log_start.set(p.log_start.v);
      one.log_end.set(p.log_end.v);
      one.high_watermark.set(p.high_watermark.v);
      one.bytes.set(static_cast<std::int64_t>(p.bytes));
      one.round = round;
    }
  }

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

  struct Directory {
    Gauge online, free, reserve, full;
  };
  MetricsRegistry& registry;
  std::map<std::string, Directory> directories;
  std::vector<ShardMetrics> shards;
  Gauge count, topics, bytes;
  Followed scrub_bytes, scrub_segments, scrub_ranges, scrub_unreadable;
  Gauge scrub_finished;
  std::map<std::pair<std::string, std::int32_t>, One> series;
  std::uint64_t round = 0;
};

BrokerMetrics::BrokerMetrics(MetricsRegistry& registry, RealHost& host, broker::Broker& broker, const Doors& doors)
    : host_(host),
      broker_(broker),
      doors_(doors),
      started_(host.env(ShardId{0}).now()),
      process_(std::make_unique<Process>(registry, host.shards().count())),
      partitions_(std::make_unique<Partitions>(registry)) {
  for (std::uint32_t s = 0; s < host.shards().count(); ++s)
    partitions_->shards.emplace_back(registry, std::to_string(s));
}

BrokerMetrics::~BrokerMetrics() = default;

void BrokerMetrics::read_doors_and_shards() {
  Process& p = *process_;
  auto up = host_.env(ShardId{0}).now() - started_;
  p.uptime.set(std::chrono::duration_cast<std::chrono::seconds>(up).count());
  p.resident.set(static_cast<std::int64_t>(resident_memory_bytes()));
  p.cpu_ms.follow(static_cast<std::uint64_t>(used_cpu_seconds() * 1000));

  const std::uint32_t shards = host_.shards().count();
  std::uint64_t open = 0, opened = 0, refused = 0, bad = 0, idle = 0, in = 0, out = 0;
  std::uint64_t memory = 0, memory_limit = 0, memory_refused = 0;
  std::map<std::size_t, std::uint64_t> requests;
  for (const auto& door : doors_) {
    for (std::uint32_t s = 0; s < shards; ++s) {
      const server::kafka::ServerCounters& c = door->counters(ShardId{s});
      open += c.connections_open.load(std::memory_order_relaxed);
      opened += c.connections_opened.load(std::memory_order_relaxed);
      refused += c.connections_refused.load(std::memory_order_relaxed);
      bad += c.closed_bad_input.load(std::memory_order_relaxed);
      idle += c.closed_idle.load(std::memory_order_relaxed);
      in += c.bytes_received.load(std::memory_order_relaxed);
      out += c.bytes_sent.load(std::memory_order_relaxed);
      for (auto& [key, followed] : p.requests) requests[key] += c.requests_by_api[key].load(std::memory_order_relaxed);
    }
    memory += door->memory().used();
    memory_limit += door->memory().limit();
    memory_refused += door->memory().refused();
  }
  p.connections.set(static_cast<std::int64_t>(open));
  p.opened.follow(opened);
  p.refused.follow(refused);
  p.bad_input.follow(bad);
  p.idle.follow(idle);
  p.bytes_in.follow(in);
  p.bytes_out.follow(out);
  p.memory_used.set(static_cast<std::int64_t>(memory));
  p.memory_limit.set(static_cast<std::int64_t>(memory_limit));
  p.memory_refused.follow(memory_refused);
  for (auto& [key, followed] : p.requests) followed.follow(requests[key]);
  for (std::uint32_t s = 0; s < shards; ++s) {
    ShardCounters c = host_.counters(ShardId{s});
    p.stalls[s].follow(c.stalls);
    p.turns[s].follow(c.turns);
    p.socket_calls[s].follow(c.socket_calls);
  }
}

Task<void> BrokerMetrics::refresh() {
  read_doors_and_shards();
  process_->journal_damage.follow(broker_.damaged_journal_blocks());
  Partitions& p = *partitions_;
  const std::uint64_t round = ++p.round;
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  for (std::uint32_t s = 0; s < host_.shards().count(); ++s) {
    ShardNumbers numbers =
        co_await host_.shards().call(ShardId{s}, [this, s] { return numbers_of(broker_.shard(ShardId{s})); });
    p.take(numbers, round);
    p.shards[s].follow(numbers);
    count += numbers.count;
    bytes += numbers.bytes;
  }
  std::erase_if(p.series, [&](const auto& entry) { return entry.second.round < round; });
  p.take(broker_.log_directories());
  const broker::ScrubStats& scrubbed = broker_.scrubbed();
  p.scrub_bytes.follow(scrubbed.bytes);
  p.scrub_segments.follow(scrubbed.segments);
  p.scrub_ranges.follow(scrubbed.damaged_ranges);
  p.scrub_unreadable.follow(scrubbed.unreadable);
  p.scrub_finished.set(scrubbed.last_finished / 1000);
  p.count.set(static_cast<std::int64_t>(count));
  p.bytes.set(static_cast<std::int64_t>(bytes));
  p.topics.set(static_cast<std::int64_t>(broker_.topics(ShardId{0})->topics().size()));
}

}  // namespace mr::app
