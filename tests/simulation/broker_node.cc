#include "tests/simulation/broker_node.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "config/broker_settings.h"
#include "coordinator/group_coordinator.h"
#include "storage/data_dir.h"

namespace mr::sim {

namespace {

/// What topics are set to and how many partitions they have is again as in `before`.
void forget_changes_of_topics(metastore::MemoryJournal& journal, metastore::MemoryJournal& before) {
  const metastore::Snapshot old = *before.load();
  const metastore::Snapshot now = *journal.load();
  metastore::Change change{.revision = metastore::Revision{now.revision.v + 1}};
  for (metastore::KeyValue item : now.items) {
    if (!item.key.starts_with("/millrace/v1/topics/")) continue;
    const auto was = std::ranges::find(old.items, item.key, &metastore::KeyValue::key);
    if (was == old.items.end() || was->value == item.value || was->create_revision != item.create_revision) continue;
    item.value = was->value;
    item.mod_revision = change.revision;
    ++item.version;
    change.events.push_back({.kv = std::move(item), .previous = {}});
  }
  if (!change.events.empty()) MR_CHECK(journal.commit(change).ok());
}

}  // namespace

/// One run of the program.
struct BrokerNode::Life {
  Life(Process& p, BrokerNodeOptions o, std::shared_ptr<metastore::MemoryJournal> j)
      : process(p), options(o), journal(std::move(j)), questions(p.env(ShardId{0}).executor) {}

  Task<void> run() {
    Result<void> booted = co_await boot();
    if (booted.ok()) {
      running = true;
      while (!stop_wanted) (void)co_await stop_changed.wait();
      running = false;
    } else {
      failure = booted.error().message();
    }
    co_await shut();
    ended = true;
  }

  Result<config::BrokerSettings> settings() const {
    auto set = [](std::string name, std::string value) {
      return config::SettingInput{
          .origin = config::Origin::set, .where = "sim", .name = std::move(name), .value = std::move(value)};
    };
    return config::load_broker_settings({
        set("listeners", fmt::format("PLAINTEXT://0.0.0.0:{}", options.port)),
        set("log.dirs", fmt::format("{}", fmt::join(options.log_dirs, ","))),
        set("node.id", std::to_string(options.node_id)),
        set("log.retention.check.interval.ms", "150"),
        set("log.segment.delete.delay.ms", "200"),
    });
  }

  Task<Result<void>> boot() {
    Env& env = process.env(ShardId{0});
    MR_CO_TRY(store, co_await metastore::LocalMetastore::open(process, ShardId{0}, env.pool, journal));
    unruly = std::make_unique<UnrulyMetastore>(process.host().world(), *store, options.metastore);
    std::vector<std::unique_ptr<storage::DataDir>> directories;
    std::vector<broker::UnopenedDirectory> unopened;
    for (const std::string& path : options.log_dirs) {
      auto opened = co_await offload(env, [&] { return storage::DataDir::open(env.files, path); });
      if (opened.ok()) {
        directories.push_back(std::move(*opened));
      } else if (path == options.log_dirs.front() || opened.code() == Errc::disk_full) {
        co_return std::move(opened).error();  // as the program does it
      } else {
        unopened.push_back({path, opened.error()});
      }
    }
    MR_CO_TRY(config::BrokerSettings loaded, settings());
    broker::BrokerDeps deps{.shards = process,
                            .metadata = *unruly,
                            .settings = std::move(loaded),
                            .directories = std::move(directories),
                            .unopened = std::move(unopened),
                            .all_failed = [this](Error) { want_stop(); }};
    // Small, so that halves fill up and are used again while clients write.
    deps.journal = {.half_bytes = 128u << 10, .block_bytes_max = 16u << 10, .grow_bytes = 16u << 10};
    if (OpenLog open = mutate_logs(options.mutation)) deps.open_log = std::move(open);
    broker = std::make_unique<broker::Broker>(std::move(deps));
    MR_CO_TRY_VOID(co_await broker->start());
    groups = std::make_unique<coordinator::GroupCoordinator>(
        *broker, *coordinator::choose_assignors(broker->config().group_consumer_assignors, {}));
    co_await groups->start();
    server = std::make_unique<server::kafka::KafkaServer>(
        process, *broker, *groups,
        server::kafka::KafkaServerOptions{.listen = {.host = "0.0.0.0", .port = options.port},
                                          .receive_bytes_max = options.receive_bytes_max});
    MR_CO_TRY_VOID(co_await server->start());
    co_return Result<void>{};
  }

  void want_stop() {
    stop_wanted = true;
    stop_changed.notify_all();
  }

  Task<void> delete_records(TopicPartition partition, Offset before, std::shared_ptr<Deletion> asked) {
    Result<Offset> answer = Errc::unknown_topic;
    broker::TopicRef topic = broker->topics(ShardId{0})->find(partition.topic);
    if (topic != nullptr) {
      broker::Broker::RecordsToDelete wanted{.topic = topic->id,
                                             .partition = partition.partition,
                                             .home = topic->partition(partition.partition)->home,
                                             .before = before};
      co_await broker->delete_records(std::span(&wanted, 1));
      answer = std::move(wanted.log_start);
    }
    if (process.alive()) asked->answer = std::move(answer);
  }

  Task<void> shut() {
    co_await questions.stop();
    if (server) co_await server->stop();
    if (groups) co_await groups->stop();
    if (broker) (void)co_await broker->stop();
    if (store) co_await store->stop();
    server.reset();
    groups.reset();
    broker.reset();
    unruly.reset();
    store.reset();
  }

  Process& process;
  BrokerNodeOptions options;
  std::shared_ptr<metastore::MemoryJournal> journal;
  std::unique_ptr<metastore::LocalMetastore> store;
  std::unique_ptr<UnrulyMetastore> unruly;
  std::unique_ptr<broker::Broker> broker;
  std::unique_ptr<coordinator::GroupCoordinator> groups;
  std::unique_ptr<server::kafka::KafkaServer> server;
  Scope questions;  ///< that come by no door
  Event stop_changed;
  bool stop_wanted = false;
  bool running = false;
  bool ended = false;
  std::string failure;
};

BrokerNode::BrokerNode(Host& host, BrokerNodeOptions options) : host_(host), options_(std::move(options)) {
  host_.wrap_files([this](std::unique_ptr<FileSystem> files) {
    // Of the life that is about to begin: it serves once its start is through.
    std::size_t life = lives_.size();
    return mutate_files(options_.mutation, std::move(files),
                        [this, life] { return life < lives_.size() && lives_[life]->running; });
  });
}
BrokerNode::~BrokerNode() = default;

void BrokerNode::start() {
  MR_CHECK(stopped());
  Process& process = host_.start(options_.shards);
  lives_.push_back(std::make_unique<Life>(process, options_, journal_));
  process.spawn(ShardId{0}, "broker", lives_.back()->run());
}

void BrokerNode::stop() { lives_.back()->want_stop(); }

void BrokerNode::crash(CrashMode mode, bool disk_is_cut) {
  if (disk_is_cut) {
    host_.finish_crash();
  } else {
    host_.crash(mode);
  }
  // Every commit that was answered is in the journal; the ghost goes on with its own copy.
  auto kept = std::make_shared<metastore::MemoryJournal>(*journal_);
  if (lose_metadata_) kept = std::make_shared<metastore::MemoryJournal>(*old_journal_);
  if (options_.mutation == Mutation::lost_settings) forget_changes_of_topics(*kept, *old_journal_);
  old_journal_ = std::make_shared<metastore::MemoryJournal>(*journal_);
  journal_ = std::move(kept);
  if (!lives_.empty()) stop();
}

bool BrokerNode::running() const { return !lives_.empty() && lives_.back()->running && lives_.back()->process.alive(); }

bool BrokerNode::stopped() const { return lives_.empty() || lives_.back()->ended || !lives_.back()->process.alive(); }

const std::string& BrokerNode::failure() const {
  static const std::string kNone;
  if (lives_.empty() || !lives_.back()->process.alive()) return kNone;
  return lives_.back()->failure;
}

std::size_t BrokerNode::ghosts() const {
  std::size_t count = 0;
  for (const auto& life : lives_) {
    if (!life->ended && !life->process.alive()) ++count;
  }
  return count;
}

std::shared_ptr<const BrokerNode::Deletion> BrokerNode::delete_records(const TopicPartition& partition, Offset before) {
  if (!running()) return nullptr;
  Life& life = *lives_.back();
  std::shared_ptr<Deletion> asked(new Deletion(life.process));
  life.process.env(ShardId{0}).executor.post([&life, partition, before, asked] {
    if (life.running) {
      life.questions.spawn("delete records", life.delete_records(partition, before, asked));
    } else if (life.process.alive()) {
      asked->answer = Error(Errc::shutting_down);
    }
  });
  return asked;
}

void BrokerNode::inspect(const std::function<void(const Inside&)>& look) const {
  if (!running()) return;
  const Life& life = *lives_.back();
  for (std::uint32_t s = 0; s < options_.shards; ++s) {
    for (const auto& [key, partition] : life.broker->shard(ShardId{s}).partitions) {
      look({.name = partition->name(),
            .log_start = partition->log_start(),
            .high_watermark = partition->high_watermark(),
            .durable_end = partition->log().durable_end(),
            .log_end = partition->log_end(),
            .watermark_is_durable = partition->config().watermark_is_durable()});
    }
  }
}

}  // namespace mr::sim
