#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "broker/create_partitions.h"
#include "broker/create_topic.h"
#include "broker/log_directory.h"
#include "broker/scrub.h"
#include "broker/shard_state.h"
#include "broker/start_progress.h"
#include "broker/topic_table.h"
#include "config/alter_config.h"
#include "config/broker_settings.h"
#include "config/topic_config.h"
#include "metastore/cluster_state.h"
#include "runtime/shards.h"

namespace mr::broker {

/// Of each shard's commit journal in each log directory; tests take small ones.
struct JournalSizes {
  std::uint64_t half_bytes = 0;              ///< 0: by disk and memory (disk_space.h)
  std::uint64_t block_bytes_max = 4u << 20;  ///< at most a quarter of a half
  std::uint64_t grow_bytes = 1u << 20;
  std::uint64_t memory_bytes = 0;  ///< the machine's, which bounds halves of 0 too; 0: unknown
};

/// What the broker is made of; all of it outlives the broker. Several brokers may live in one process.
struct BrokerDeps {
  Shards& shards;
  metastore::Metastore& metadata;
  config::BrokerSettings settings;
  std::vector<std::unique_ptr<storage::DataDir>> directories;  ///< opened and locked, at least one
  std::vector<UnopenedDirectory> unopened = {};                ///< the rest of log.dirs
  /// Called once, on shard 0, when the last log directory has failed: nothing is served any more, the broker should be
  /// stopped.
  std::function<void(Error)> all_failed = {};
  /// Of reads that need no check of their checksums, one in so many is checked all the same.
  std::uint64_t read_sample_one_in = replication::ReadChecks::kSampleOneIn;
  JournalSizes journal = {};
  /// What looking into compressed batches may hold at a time, over all shards.
  std::uint64_t inflating_bytes_max = 512u << 20;
  /// Pool. How logs are opened; only mutation tests (tests/simulation) put something else here.
  std::function<Result<std::unique_ptr<storage::Log>>(FileSystem&, storage::Log::OpenOptions)> open_log =
      storage::Log::open;
};

/// What one broker can do, in no protocol's words. Requests run on the shard they came in on and cross to a partition's
/// home shard by one message; topic changes run one after the other on shard 0.
/// Life: start() once; stop() before destruction, after the doors have stopped.
class Broker {
 public:
  explicit Broker(BrokerDeps deps);
  Broker(const Broker&) = delete;
  ~Broker();

  /// Recovers every partition, raises the leader epochs, starts housekeeping. On shard 0. Partitions that cannot be
  /// opened, or whose log directory is not there, are offline; the rest is served.
  /// Errors: conflict, newer_format (a directory that is not ours), disk_failed (no directory is left), the
  /// metastore's.
  Task<Result<void>> start();
  /// How start() gets on. Shard 0.
  StartProgress progress() const;
  /// Ends a start() that recovers logs, or is to, with cancelled; the next start recovers again. Otherwise nothing.
  /// Shard 0.
  void interrupt_start();
  /// Clean stop: refuses work, syncs and closes all logs, writes checkpoints and the clean-stop marker. On shard 0.
  /// Every directory whose logs all closed is marked clean, whatever happened to the others. Errors: the first of this
  /// stop that kept one from it; what was offline before is none.
  Task<Result<void>> stop();

  Shards& shards() { return shards_; }
  ShardState& shard(ShardId id) { return *per_shard_[id.v]; }
  /// As the broker was started: for options that take a restart.
  const config::BrokerConfig& config() const { return settings_.config; }
  /// As `shard` sees them now, with what was set while brokers run. Keep the pointer for the length of one request.
  std::shared_ptr<const config::BrokerSettings> settings(ShardId shard) const { return per_shard_[shard.v]->settings; }
  BrokerId self() const { return self_; }
  /// Memory for looking into compressed batches. Any shard.
  MemoryAccount& inflating() { return inflating_; }
  const std::string& cluster_id() const { return cluster_id_; }
  metastore::ClusterState& cluster() { return cluster_; }
  /// Blocks of the last life's commit journals that had been on disk and could not be read. On shard 0.
  std::uint64_t damaged_journal_blocks() const;

  /// The topic table as `shard` sees it now; keep the pointer for the length of one request.
  std::shared_ptr<const TopicTable> topics(ShardId shard) const { return per_shard_[shard.v]->topics; }

  /// Makes a topic and returns once every shard knows it. `validate_only`: all checks, nothing stored.
  /// Errors: plan_topic's, invalid_config, disk_full, disk_failed, resource_exhausted.
  Task<Result<TopicRef>> create_topic(TopicSpec spec, bool validate_only);
  /// Gives a topic more partitions and returns once every shard knows them. A new one whose log cannot be opened is
  /// offline, as after a start. `validate_only`: all checks, nothing stored.
  /// Errors: unknown_topic, plan_partitions's, disk_full, disk_failed, the metastore's.
  Task<Result<TopicRef>> create_partitions(PartitionsSpec spec, bool validate_only);
  /// Makes the topic unknown on every shard, then removes its data in the background. Errors: unknown_topic,
  /// unknown_topic_id.
  Task<Result<void>> delete_topic(std::string name, TopicId id);

  /// Changes what a topic sets itself and returns once its partitions obey it, here and after any crash.
  /// `validate_only`: all checks, nothing changed. Errors: unknown_topic, alter_topic_config's, the metastore's.
  Task<Result<void>> alter_topic(std::string name, config::ConfigAlteration alteration, bool validate_only);
  /// The same for the broker's own dynamic settings, or those of all brokers. Errors: alter_broker_config's, ...
  Task<Result<void>> alter_settings(config::BrokerScope scope, config::ConfigAlteration alteration, bool validate_only);
  /// The same for what a consumer group sets; the group need not exist. Errors: invalid_group_id (no name, or a longer
  /// one than kConfiguredGroupNameMax), policy_violation (kConfiguredGroupsMax), alter_group_config's, the metastore's.
  Task<Result<void>> alter_group(std::string group, config::ConfigAlteration alteration, bool validate_only);
  /// As `shard` sees them now.
  std::shared_ptr<const config::GroupConfigs> group_configs(ShardId shard) const {
    return per_shard_[shard.v]->group_configs;
  }

  /// From now on `tell` is called, on shard 0, for every topic that is made or gets more partitions, once every shard
  /// knows it. As on_topic_deleted() otherwise.
  void on_topic_changed(std::function<void(TopicRef)> tell) { topic_changed_.push_back(std::move(tell)); }
  /// From now on `tell` is called, on shard 0, when groups' configs have changed, once every shard has them. As
  /// on_topic_deleted() otherwise.
  void on_group_configs_changed(std::function<void()> tell) { group_configs_changed_.push_back(std::move(tell)); }
  /// From now on `tell` is called, on shard 0, for every topic that is deleted, once no shard knows it any more. For
  /// owners of derived state; call before start(), and outlive stop().
  void on_topic_deleted(std::function<void(TopicRef)> tell) { topic_deleted_.push_back(std::move(tell)); }

  /// Never the same twice, over restarts too. Errors: those of the metastore.
  Task<Result<ProducerId>> next_producer_id();

  struct OffsetQuery {
    TopicId topic;
    PartitionIndex partition;
    ShardId home;
    LeaderEpoch current_epoch = kNoLeaderEpoch;
    WallMillis timestamp;  ///< or a special value below 0 (traps.md 71)
    bool read_committed = false;
  };
  struct OffsetAnswer {
    Offset offset{-1};
    WallMillis timestamp = -1;
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
  };
  /// traps.md 71-73. Errors: unsupported_version (special value we do not know), not_leader, fenced_leader_epoch, ...
  Task<Result<OffsetAnswer>> list_offset(OffsetQuery query);

  /// Where somebody who reads a partition stands: what is left of it for him, and since when that waits.
  struct ReaderStanding {
    // In.
    TopicId topic;
    PartitionIndex partition;
    ShardId home;
    Offset next{0};  ///< what he reads next
    // Out.
    Offset start{-1};  ///< of the log; -1: no such partition here, or its log failed
    Offset end{-1};    ///< the watermark
    /// When the first record at `next` or above was stamped, at most half a second off when it is not the first of its
    /// batch; empty when there is none below the watermark, or it does not read.
    std::optional<WallMillis> oldest;
  };
  /// One message per shard. `times`: also how old the oldest unread record is, for most by a look at a batch's header.
  Task<void> look_at(std::span<ReaderStanding> readers, bool times = true);

  struct EpochQuery {
    TopicId topic;
    PartitionIndex partition;
    ShardId home;
    LeaderEpoch current_epoch = kNoLeaderEpoch;
    LeaderEpoch epoch;
  };
  struct EpochAnswer {
    LeaderEpoch epoch = kNoLeaderEpoch;
    Offset end{-1};
  };
  /// Where the largest epoch <= the asked one ends, and that epoch; {-1, -1} when nothing is known (traps.md 74). Never
  /// beyond the watermark. Errors: not_leader, fenced_leader_epoch, unknown_leader_epoch.
  Task<Result<EpochAnswer>> epoch_end(EpochQuery query);

  struct RecordsToDelete {
    // In.
    TopicId topic;
    PartitionIndex partition;
    ShardId home;
    Offset before{-1};  ///< exclusive; -1: the watermark
    // Out.
    Result<Offset> log_start = Errc::unknown_topic_id;
  };
  /// Moves the log start of each partition up to `before` and brings where it is then: what lies below is not read any
  /// more, also after any crash. A start that is there already stays. After an error that is not about the question the
  /// records may be gone until the next start; ask again to be sure. Each partition stands there once; `wanted` stays
  /// until the call has returned. One write per log directory, however many partitions.
  /// Errors: offset_out_of_range (beyond the watermark, below -1), policy_violation (compacted, never deletes),
  /// invalid_topic_name (internal), unknown_topic_id (deleted meanwhile), not_leader, disk_full, disk_failed,
  /// resource_exhausted.
  Task<void> delete_records(std::span<RecordsToDelete> wanted);

  struct LogDirView {
    struct Partition {
      TopicPartition name;
      std::uint64_t bytes = 0;  ///< of its segment files
    };
    std::string path;
    std::optional<Error> offline;       ///< then nothing else is known
    std::optional<SpaceInfo> space;     ///< of its volume, now
    std::vector<Partition> partitions;  ///< in order of names
  };
  /// The log directories, in the order of log.dirs, with the served ones of the `wanted` partitions; without that, all.
  Task<std::vector<LogDirView>> describe_log_dirs(std::optional<std::vector<PartitionKey>> wanted);

  /// The idempotent producers that a partition knows, by id. Errors: not_leader, disk_failed, request_timed_out.
  Task<Result<std::vector<storage::Log::ProducerInfo>>> producers(TopicId topic, PartitionIndex partition, ShardId home,
                                                                  TimePoint deadline);

  struct ReplicaMove {
    PartitionKey key;
    std::string log_dir;   ///< where it shall lie
    Result<void> outcome;  ///< out
  };
  /// Whether each partition lies where it is wanted. `wanted` stays until the call has returned.
  /// Errors: not_found (no such log directory), disk_failed (it is offline), unknown_partition, policy_violation (it
  /// lies in another one: moving is not supported).
  Task<void> check_moves(std::span<ReplicaMove> wanted);

  /// Shard 0; valid until the next wait.
  const std::vector<LogDirectory>& log_directories() const { return directories_; }
  /// An append met a full disk: look at the space soon. On `shard`'s shard.
  void disk_was_full(ShardState& shard);

  /// One pass of retention over this shard's partitions; also runs by itself every log.retention.check.interval.ms.
  Task<void> apply_retention(ShardId shard);
  /// Writes recovery points and log starts of all partitions; also runs by itself.
  Task<void> write_checkpoints();

  /// What the scrub has done since the start. Shard 0.
  const ScrubStats& scrubbed() const { return scrubbed_; }
  /// One pass of the scrub over a log directory; also runs by itself every log.scrub.interval.ms. Shard 0.
  Task<void> scrub(std::size_t directory);

  /// Settings of a topic: its own over the broker's, as `shard` sees them now, over the defaults. Errors:
  /// invalid_config.
  Result<config::TopicConfig> topic_config(ShardId shard, const std::map<std::string, std::string>& overrides) const;

 private:
  struct OpenJob;
  struct Found;
  struct Place;
  Task<Result<TopicRef>> create_on_control(TopicSpec spec, bool validate_only);
  Task<Result<TopicRef>> add_on_control(PartitionsSpec spec, bool validate_only);
  Task<void> lead_opened(std::vector<OpenJob>& jobs);
  Result<metastore::PartitionRecord> place_new_partition(TopicInfo& topic, OpenJob& job, bool validate_only);
  Task<Result<void>> delete_on_control(std::string name, TopicId id);
  Task<Result<void>> alter_on_control(std::string name, config::ConfigAlteration alteration, bool validate_only);
  Task<Result<void>> alter_settings_on_control(config::BrokerScope scope, config::ConfigAlteration alteration,
                                               bool validate_only);
  Task<Result<void>> alter_group_on_control(std::string group, config::ConfigAlteration alteration, bool validate_only);
  Task<Result<void>> load_group_configs();
  Task<void> publish_group_configs(config::GroupConfigs configs);
  Task<Result<void>> load_dynamic_settings();
  Task<void> publish_settings(config::BrokerSettings settings);
  /// On `shard`: what is open of a topic there obeys the settings that hold now.
  void obey_settings(ShardId shard, const TopicInfo& topic);
  Task<void> obey_settings_everywhere(TopicRef topic);
  Task<Result<void>> claim_directories();
  Task<Result<void>> open_partitions(const std::vector<metastore::TopicRecord>& topics);
  /// What lies where. Directories that cannot be listed are offline from then on.
  Task<Result<Found>> find_partitions();
  /// Says what no job took from `found`.
  void warn_of_strays(const Found& found) const;
  /// Where a partition of the metastore lies, or why nobody can tell.
  Place place(const metastore::TopicRecord& topic, const metastore::PartitionRecord& partition, Found& found) const;
  Task<Result<void>> open_log(OpenJob& job);
  Task<Result<void>> measure_log(OpenJob& job);
  /// Measures and opens all logs; cancelled when interrupted.
  Task<Result<void>> recover(std::vector<OpenJob>& jobs);
  Task<void> report_progress();
  /// Waits until `directory` may be read from again, by recovery.io.max.bytes.per.second. False when interrupted.
  Task<bool> may_recover_more(const LogDirectory& directory);
  Task<Result<void>> lead(OpenJob& job);
  /// Runs one step of every job; each job's outcome tells how it went.
  Task<void> for_all(std::vector<OpenJob>& jobs, Task<Result<void>> (Broker::*step)(OpenJob&));
  /// Jobs that failed leave the list; their partitions are offline from then on.
  Task<void> take_offline(std::vector<OpenJob>& jobs);
  struct WaitingForSpace {
    PartitionKey key;
    std::size_t directory = 0;
    Offset recovery_point{0};
    Offset log_start{0};
    Offset cleaned_end{0};
  };
  void open_later(const OpenJob& job);
  Task<Result<void>> retire_journals(const std::vector<OpenJob>& opened);
  Task<void> forget_evidence(const WaitingForSpace& waiting);
  Task<void> reopen_loop();
  Task<bool> reopen(WaitingForSpace waiting, TopicRef topic);
  Task<Result<void>> raise_epochs(std::vector<OpenJob>& jobs);
  /// A group commit per shard and log directory; no file is made before the first block.
  Task<void> make_group_commits();
  Task<void> publish(std::shared_ptr<const TopicTable> table);
  Task<void> remove_data(TopicRef topic);
  Task<void> finish_old_deletions();
  std::string cluster_id_to_begin_with();
  Task<Result<void>> adopt_topics();
  void keep_clear_of_producers(const storage::Log& log);
  Task<std::vector<LogDirView>> view_directories();
  Result<void> check_move(const ReplicaMove& move) const;
  Task<void> move_log_starts(ShardId home, std::vector<RecordsToDelete*> wanted);
  Task<void> save_log_starts(std::span<RecordsToDelete> wanted);
  /// For loops that go by a timer: what `work` throws becomes a log line, and the loop goes on.
  static Task<void> outlive(std::string_view name, Task<void> work);
  Task<void> retention_loop(ShardId shard);
  Task<void> page_cache_loop(ShardId shard);
  Task<void> cleaner_loop(ShardId shard);
  struct CleanerRound;
  Task<bool> compact_dirtiest(ShardId shard, CleanerRound& round);
  void delete_given_up(ShardId shard, const PartitionKey& key, std::size_t directory, std::vector<std::string> files);
  Task<void> checkpoint_loop();
  Task<void> scrub_loop(std::size_t directory);
  Task<Result<std::optional<ScrubTarget>>> find_to_scrub(PartitionKey key, Offset from, bool closed);
  Task<Result<void>> scrub_partition(PartitionKey key, std::size_t directory, bool closed);
  Task<Result<storage::SegmentVerdict>> scrub_segment(const ScrubTarget& target, std::size_t directory);
  Task<void> delete_files_later(ShardId shard, std::size_t directory, std::vector<std::string> paths, Duration delay);
  /// Where a new partition's directory goes: the healthy data directory that is not full with the fewest. Errors:
  /// disk_failed, disk_full.
  Result<std::size_t> pick_data_directory() const;
  bool all_directories_online() const;
  void forget_place(const PartitionKey& key);
  /// Partitions that could not be closed, and why.
  struct Unclosed {
    PartitionKey key;
    Error why;
  };
  Task<std::vector<Unclosed>> close_shard(ShardId shard);
  Task<Result<void>> mark_clean(const std::vector<std::optional<Error>>& unclean);
  /// Takes a directory that failed offline, on all shards, as soon as that is known.
  Task<void> watch_directories();
  Task<void> take_directory_offline(std::size_t directory, Error why);
  Task<void> watch_space();
  Task<Duration> look_at_space();
  Task<void> set_low(std::size_t directory, bool low);
  void directory_failed(std::size_t directory, Error why);

  Shards& shards_;
  config::BrokerSettings settings_;
  BrokerId self_;
  metastore::Metastore& metadata_;
  decltype(BrokerDeps::open_log) open_log_;
  metastore::ClusterState cluster_;
  JournalSizes journal_;
  MemoryAccount inflating_;
  std::string cluster_id_;
  std::vector<std::unique_ptr<ShardState>> per_shard_;

  // Shard 0 only.
  std::vector<LogDirectory> directories_;
  std::shared_ptr<Event> directory_alarm_ = std::make_shared<Event>();  ///< some directory has failed
  std::function<void(Error)> all_failed_;
  std::vector<std::function<void(TopicRef)>> topic_changed_;
  std::vector<std::function<void()>> group_configs_changed_;
  std::vector<std::function<void(TopicRef)>> topic_deleted_;
  /// Shared, because those who ring may come late.
  struct SpaceBell {
    Event rung;
    bool wanted = false;
  };
  std::shared_ptr<SpaceBell> space_bell_ = std::make_shared<SpaceBell>();
  std::unordered_map<PartitionKey, std::size_t> directory_of_;
  ScrubStats scrubbed_;
  std::vector<WaitingForSpace> waiting_for_space_;  ///< offline only because the disk was full
  Semaphore topic_changes_{1};
  Semaphore directory_calls_{1};         ///< a DataDir takes one call at a time; DeleteRecords waits for it, so no
                                         ///< holder is in the pool's Urgency::later
  std::unordered_set<TopicId> adopted_;  ///< at this start: their logs are looked through, whoever says they are clean
  std::int64_t next_producer_id_ = 0;
  std::int64_t producer_id_floor_ = 0;  ///< above every producer that the logs know of, whoever gave it its id
  std::int64_t producer_ids_end_ = 0;
  Semaphore producer_ids_{1};
  bool started_ = false;
  bool deletions_left_ = false;  ///< of a deleted topic some data is still under its name
  /// Of start(): how far it is with the logs.
  struct Recovery {
    void begin(std::uint64_t bytes) { bytes_begun += measured ? bytes : 0; }
    void end(std::uint64_t bytes) {
      if (!running || !measured) return;
      bytes_ended += bytes;
      ++progress.partitions_done;
    }
    StartProgress progress;
    TimePoint began{};
    bool running = false;
    bool measured = false;  ///< how much there is to do
    bool interrupted = false;
    std::uint64_t bytes_begun = 0;
    std::uint64_t bytes_ended = 0;
    Event interruption;
  };
  Recovery recovery_;
};

}  // namespace mr::broker
