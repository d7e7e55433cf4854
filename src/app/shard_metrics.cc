#include "app/shard_metrics.h"

namespace mr::app {

namespace {

struct ShardCounter {
  std::string_view name;
  std::string_view help;
  std::uint64_t (*of)(const ShardNumbers&);
  MetricLabel label = {};  ///< beside `shard`; no name: none
  double per_unit = 1;     ///< how many of what it counts make one on the page
};

using Commit = replication::CommitStats;
using N = const ShardNumbers&;
constexpr std::string_view kCorruptHelp = "Damaged places found in logs; consumers get CORRUPT_MESSAGE for them.";
constexpr std::string_view kChecksHelp = "Reads whose checksums were compared, and why.";
constexpr std::string_view kRefusedHelp = "Batches not taken for the disk's sake.";
constexpr std::string_view kNotCarriedHelp = "Batches synced in their own file instead, by reason.";

constexpr ShardCounter kCounters[] = {
    {"millrace_log_syncs_total", "Syncs of partition logs, each of one partition's own files.",
     [](N n) { return n.stats.syncs; }},
    {"millrace_log_sync_failures_total", "Syncs that failed; each takes a log offline.",
     [](N n) { return n.stats.sync_failures; }},
    {"millrace_log_appended_batches_total", "Record batches appended.", [](N n) { return n.stats.appended_batches; }},
    {"millrace_log_appended_bytes_total", "Bytes appended.", [](N n) { return n.stats.appended_bytes; }},

    {"millrace_commit_blocks_total", "Blocks written to the commit journal.", [](N n) { return n.commit.blocks; }},
    {"millrace_commit_syncs_total", "Syncs of the commit journal.", [](N n) { return n.commit.syncs; }},
    {"millrace_commit_sync_seconds_total",
     "Time that synced blocks took, queue of the pool included.",
     [](N n) { return n.commit.sync_nanoseconds; },
     {},
     1e9},
    {"millrace_commit_carried_batches_total", "Batches made durable by the commit journal.",
     [](N n) { return n.commit.carried_batches; }},
    {"millrace_commit_carried_bytes_total", "Their bytes.", [](N n) { return n.commit.carried_bytes; }},
    {"millrace_commit_statements_total", "Syncs of partition files noted in the commit journal.",
     [](N n) { return n.commit.statements; }},
    {"millrace_commit_destages_total", "Halves of the journal whose bytes reached their own files.",
     [](N n) { return n.commit.destages; }},
    {"millrace_commit_refused_total",
     kNotCarriedHelp,
     [](N n) { return n.commit.refused[Commit::too_large]; },
     {"reason", "too_large"}},
    {"millrace_commit_refused_total",
     kNotCarriedHelp,
     [](N n) { return n.commit.refused[Commit::own_file_pending]; },
     {"reason", "own_file_pending"}},
    {"millrace_commit_refused_total",
     kNotCarriedHelp,
     [](N n) { return n.commit.refused[Commit::no_room]; },
     {"reason", "no_room"}},

    {"millrace_read_checked_bytes_total", "Bytes whose checksums reads compared.",
     [](N n) { return n.checks.checked_bytes; }},
    {"millrace_read_checks_total", kChecksHelp, [](N n) { return n.checks.cold; }, {"why", "cold"}},
    {"millrace_read_checks_total", kChecksHelp, [](N n) { return n.checks.sampled; }, {"why", "sample"}},
    {"millrace_read_checks_skipped_total", "Reads sent unchecked for want of memory.",
     [](N n) { return n.checks.without_memory; }},
    {"millrace_read_healed_total", "Bad batches that were good when read again.",
     [](N n) { return n.checks.healed + n.compaction.healed; }},
    {"millrace_corrupt_answers_total", "Reads that met damage: CORRUPT_MESSAGE.",
     [](N n) { return n.corrupt_answers; }},
    {"millrace_corrupt_ranges_total", kCorruptHelp, [](N n) { return n.checks.corrupt_ranges; }, {"found_by", "read"}},
    {"millrace_corrupt_ranges_total",
     kCorruptHelp,
     [](N n) { return n.recovered.damaged_ranges; },
     {"found_by", "start"}},

    {"millrace_damaged_files_total",
     "Files of logs that a start found missing, foreign, or small ones that did not read.",
     [](N n) { return n.recovered.damaged_files; }},
    {"millrace_log_starts_moved_total",
     "Logs that a start found beginning above their noted start: retention, or a file is missing.",
     [](N n) { return n.recovered.starts_moved; }},
    {"millrace_torn_tails_cut_total", "Ends of logs that a start cut after a crash.",
     [](N n) { return n.recovered.tails_cut; }},
    {"millrace_torn_tail_bytes_cut_total", "Bytes of them.", [](N n) { return n.recovered.bytes_cut; }},

    {"millrace_appends_refused_total",
     kRefusedHelp,
     [](N n) { return n.refused.disk_reserve; },
     {"reason", "disk_reserve"}},
    {"millrace_appends_refused_total", kRefusedHelp, [](N n) { return n.refused.disk_full; }, {"reason", "disk_full"}},
    {"millrace_appends_refused_total",
     kRefusedHelp,
     [](N n) { return n.refused.log_dir_offline; },
     {"reason", "log_dir_offline"}},

    {"millrace_recompressed_batches_total", "Batches stored with the codec of their topic, not of their producer.",
     [](N n) { return n.recompressed; }},

    {"millrace_cleaner_passes_total", "Passes of compaction over a partition.",
     [](N n) { return n.compaction.passes; }},
    {"millrace_cleaner_failures_total", "Passes of compaction that failed.", [](N n) { return n.compaction.failures; }},
    {"millrace_cleaner_read_bytes_total", "Bytes that compaction read.", [](N n) { return n.compaction.bytes_read; }},
    {"millrace_cleaner_written_bytes_total", "Bytes that compaction wrote.",
     [](N n) { return n.compaction.bytes_written; }},
    {"millrace_cleaner_removed_records_total", "Records that compaction left out.",
     [](N n) { return n.compaction.records_removed; }},
    {"millrace_cleaner_damaged_segments_total", "Segments that compaction found damaged and leaves alone.",
     [](N n) { return n.compaction.segments_left_alone; }},
    {"millrace_cleaner_busy_seconds_total",
     "Time spent in compaction's I/O.",
     [](N n) { return n.compaction.busy_ms; },
     {},
     1e3},
};

}  // namespace

ShardNumbers numbers_of(const broker::ShardState& shard, const std::vector<broker::PartitionKey>& wanted) {
  ShardNumbers found;
  found.count = shard.partitions.size();
  found.checks = shard.read_checks.stats();
  found.recovered = shard.recovered;
  found.corrupt_answers = shard.corrupt_answers;
  for (const auto& commit : shard.commits)
    if (commit) found.commit += commit->stats();
  found.refused = shard.refused;
  found.recompressed = shard.recompressed;
  found.compaction = shard.compaction;
  for (const auto& [key, partition] : shard.partitions) {
    found.bytes += partition->log().bytes();
    found.segments += partition->log().segments();
    const replication::PartitionStats& stats = partition->stats();
    found.stats.syncs += stats.syncs;
    found.stats.sync_failures += stats.sync_failures;
    found.stats.appended_batches += stats.appended_batches;
    found.stats.appended_bytes += stats.appended_bytes;
    found.stats.unsynced_bytes += stats.unsynced_bytes;
    TopicNumbers& topic = found.topics[key.topic];
    topic.appended_records += stats.appended_records;
    topic.produce_durations += stats.produce_durations;
  }
  for (const broker::PartitionKey& key : wanted) {
    auto partition = shard.find(key.topic, key.partition);
    if (partition == nullptr) continue;
    found.partitions.push_back(
        {key, partition->log_start(), partition->log_end(), partition->high_watermark(), partition->log().bytes()});
  }
  return found;
}

ShardMetrics::ShardMetrics(MetricsRegistry& registry, const std::string& shard)
    : cleaner_dirty_(registry.gauge("millrace_cleaner_dirty_ratio_max",
                                    "Largest share of uncompacted bytes of a partition, last look.", {{"shard", shard}},
                                    100)),
      segments_(registry.gauge("millrace_log_segments", "Segments of all logs.", {{"shard", shard}})),
      unsynced_(
          registry.gauge("millrace_log_unsynced_bytes", "Bytes appended and not yet on disk.", {{"shard", shard}})) {
  for (const ShardCounter& c : kCounters)
    counters_.push_back({c.label.name.empty()
                             ? registry.counter(c.name, c.help, {{"shard", shard}}, c.per_unit)
                             : registry.counter(c.name, c.help, {{"shard", shard}, c.label}, c.per_unit)});
}

void ShardMetrics::follow(const ShardNumbers& now) {
  for (std::size_t i = 0; i < counters_.size(); ++i) counters_[i].follow(kCounters[i].of(now));
  cleaner_dirty_.set(now.compaction.dirty_percent_max);
  segments_.set(static_cast<std::int64_t>(now.segments));
  unsynced_.set(static_cast<std::int64_t>(now.stats.unsynced_bytes + now.commit.waiting_bytes));
}

}  // namespace mr::app
