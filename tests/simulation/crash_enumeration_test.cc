// Aim: whatever moment the power goes, a start finds every record whose append was answered, nothing that nobody sent,
// nothing twice or out of place, no hole; watermarks are not behind what anybody was told, producers are known as a
// replay of the log knows them, indexes are those that a rebuild makes. Method: one workload of 200 operations on the
// real broker (appends small and large, plain and idempotent, several under way; rolls, retention, records deleted on
// request, topics deleted and made again, checkpoints, clean restarts; most small batches carried by the commit
// journal). A log start that was answered never goes back, nothing below it is read. After every single change
// of the disk the disk is forked, and the fork loses its power: every subset of its last three unsynced writes
// survives, whole or torn at a sector; what is older survives as the seed likes. Each fork is opened as a start does
// it. By default one tear per write and change is looked at; --all: each, beside every subset of the others.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <tuple>

#include "base/log.h"
#include "broker/broker_fixture.h"
#include "storage/index_file.h"
#include "storage/log_verify.h"
#include "storage/producer_table.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"
#include "tests/simulation/records.h"

namespace mr::sim {
namespace {

using broker::Broker;
using broker::Running;
using storage::Log;

constexpr std::uint64_t kYoungest = 3;
constexpr std::size_t kFailuresMax = 3;

struct Arguments {
  bool all = false;
  std::uint64_t seed = 1;
  std::uint64_t only_change = 0;  ///< 0: every one
};
Arguments g_arguments;

/// What clients of one partition sent and were told.
struct Known {
  std::map<std::int64_t, std::string> placed;  ///< as append() said, answered or not
  std::set<std::string> sent;
  std::int64_t acked_end = 0;
  std::int64_t watermark = 0;
  std::int64_t start_asked = 0;     ///< records below it may be deleted on request
  std::int64_t start_answered = 0;  ///< and below this they are
  bool deleted = false;             ///< or on its way
  bool trimmed = false;             ///< retention works here
};
using Key = std::pair<TopicId, PartitionIndex>;
using Model = std::map<Key, Known>;

/// One crash: what becomes of the youngest unsynced writes.
std::vector<std::vector<Survival>> fates_of(const Disk& disk, std::uint64_t change) {
  std::vector<Disk::Unsynced> unsynced = disk.unsynced();
  const std::size_t count = std::min<std::size_t>(kYoungest, unsynced.size());
  std::vector<std::uint64_t> sectors;
  for (std::size_t i = unsynced.size() - count; i < unsynced.size(); ++i) sectors.push_back(unsynced[i].sectors);
  std::vector<std::vector<Survival>> all;
  auto subset = [&](std::uint64_t kept) {
    std::vector<Survival> fates;
    for (std::size_t i = 0; i < count; ++i) fates.push_back(kept >> i & 1 ? Survival::whole() : Survival::lost());
    return fates;
  };
  for (std::uint64_t kept = 0; kept < 1ull << count; ++kept) all.push_back(subset(kept));
  for (std::size_t i = 0; i < count; ++i) {
    if (sectors[i] < 2) continue;
    auto tear = [&](std::uint64_t at, bool head, std::uint64_t others) {
      all.push_back(subset(others));
      all.back()[i] = head ? Survival{0, at} : Survival{at, sectors[i]};
    };
    if (!g_arguments.all) {
      tear(1 + change % (sectors[i] - 1), change % 3 != 0, change % 2 == 0 ? ~0ull : 0);
      continue;
    }
    for (std::uint64_t others = 0; others < 1ull << count; ++others) {
      if (others >> i & 1) continue;
      for (std::uint64_t at = 1; at < sectors[i]; ++at) {
        tear(at, true, others);
        tear(at, false, others);
      }
    }
  }
  return all;
}

/// What a start finds on a disk that has lost its power, compared with the model.
class Look {
 public:
  Look(Disk& disk, const Model& model, WallMillis now) : disk_(disk), model_(model), now_(now) {}

  /// How closely: `files` goes through all files of each partition, `rebuild` makes the indexes anew and compares, too.
  enum class Depth { records, files, rebuild };
  /// The first thing that is wrong; empty when nothing is.
  std::string wrong(Depth depth) {
    auto data = storage::DataDir::open(disk_, "/data");
    if (!data.ok()) return "the data directory does not open: " + data.error().message();
    auto directories = (*data)->partitions();
    if (!directories.ok()) return "partitions cannot be listed: " + directories.error().message();
    if ((*data)->journals().damaged_blocks() > 0) return "the commit journal says that it is damaged";
    std::set<Key> seen;
    for (const storage::PartitionDir& directory : *directories) {
      if (!directory.topic_id) continue;  // being made; who is missing is seen below
      Key key{*directory.topic_id, directory.name.partition};
      auto known = model_.find(key);
      if (known == model_.end()) continue;  // made, and nobody was told
      seen.insert(key);
      std::string problem = open_and_compare(**data, directory, known->second, depth);
      if (!problem.empty()) return directory.name.to_string() + ": " + problem;
    }
    for (const auto& [key, known] : model_) {
      if (!known.deleted && known.acked_end > 0 && !seen.contains(key)) return "a partition with acked records is gone";
    }
    return {};
  }

  std::uint64_t records() const { return records_; }

 private:
  Result<std::unique_ptr<Log>> open(storage::DataDir& data, const storage::PartitionDir& directory, bool trusted) {
    Log::OpenOptions options{.directory = directory.path,
                             .partition = directory.name,
                             .topic_id = *directory.topic_id,
                             .config = {.index_interval_bytes = 512},
                             .clean_stop = trusted && data.was_clean(),
                             .recovery_point = data.recovery_point(directory.name),
                             .log_start = data.log_start(directory.name),
                             .now = now_};
    MR_TRY(options.evidence, data.journals().evidence_of(options.topic_id, directory.name.partition));
    if (options.evidence.end() > options.recovery_point) options.clean_stop = false;  // as Broker::open_log has it
    return Log::open(data.files(), std::move(options));
  }

  std::string open_and_compare(storage::DataDir& data, const storage::PartitionDir& directory, const Known& known,
                               Depth depth) {
    auto log = open(data, directory, true);
    if (!log.ok()) return "does not open: " + log.error().message();
    if ((*log)->durable_end() != (*log)->log_end()) return "what was found is not durable";
    if ((*log)->log_end().v < std::max(known.acked_end, known.watermark) && !known.deleted) {
      return fmt::format("ends at {}, acked up to {}, watermark {}", (*log)->log_end().v, known.acked_end,
                         known.watermark);
    }
    std::string problem = compare_start(**log, known);
    if (problem.empty()) problem = compare_records(**log, known);
    if (problem.empty()) problem = compare_producers(**log);
    if (!problem.empty() || depth == Depth::records) return problem;
    if (auto closed = (*log)->close(); !closed.ok()) return "does not close: " + closed.error().message();
    log->reset();
    auto report = storage::verify_partition(disk_, directory.path, {.records = false});
    if (!report.ok()) return "cannot be verified: " + report.error().message();
    for (const storage::VerifyProblem& found : report->problems) {
      if (found.kind == storage::VerifyProblem::Kind::foreign) continue;
      return fmt::format("{}: {}: {}", to_string(found.kind), found.file, found.what);
    }
    return depth == Depth::rebuild ? compare_rebuilt(data, directory) : std::string();
  }

  std::string compare_start(Log& log, const Known& known) {
    const std::int64_t start = log.log_start().v;
    const std::int64_t most = known.trimmed ? known.watermark : known.start_asked;
    if (start > most || (start < known.start_answered && !known.deleted))
      return fmt::format("starts at {}, deleted up to {}, answered up to {}", start, known.start_asked,
                         known.start_answered);
    if (start > 0 && log.read(Offset{start - 1}, log.log_end(), 1000, true).code() != Errc::offset_out_of_range)
      return fmt::format("can be read below its start {}", start);
    return {};
  }

  std::string compare_records(Log& log, const Known& known) {
    replayed_ = {};
    std::set<std::string> seen;
    std::int64_t at = log.log_start().v, end = log.log_end().v;
    while (at < end) {
      auto read = log.read(Offset{at}, Offset{end}, 64 << 10, true);
      if (!read.ok()) return fmt::format("read at {}: {}", at, read.error().message());
      std::vector<std::byte> bytes;
      for (const storage::Fragment& fragment : read->fragments) {
        std::size_t from = bytes.size();
        bytes.resize(from + fragment.length);
        auto got = fragment.file->read_at(std::span(bytes).subspan(from), fragment.position);
        if (!got.ok() || *got != fragment.length) return fmt::format("read at {} is short", at);
      }
      auto batches = read_batches(bytes);
      if (!batches.ok()) return fmt::format("at {}: {}", at, batches.error().message());
      if (batches->empty()) return fmt::format("no whole batch at {}", at);
      std::size_t place = 0;
      for (const SeenBatch& batch : *batches) {
        replayed_.note(BatchHeader::parse(ByteView(bytes).subspan(place)).value(), now_);
        place += batch.bytes;
        for (const SeenRecord& record : batch.records) {
          if (record.offset < at) continue;  // the log may start inside of a batch
          if (record.offset != at) return fmt::format("a hole from {} to {}", at, record.offset);
          if (!known.sent.contains(record.value)) return fmt::format("at {}: nobody sent this", at);
          if (!seen.insert(record.value).second) return fmt::format("at {}: for the second time", at);
          auto placed = known.placed.find(at);
          if (placed != known.placed.end() && placed->second != record.value)
            return fmt::format("at {}: another record was told to be here", at);
          ++at;
          ++records_;
        }
      }
    }
    return {};
  }

  /// Every producer that the log has batches of is known by at least these. (Of the last 256 KiB, that is: recovery
  /// reads no more again, and no log grows longer here.)
  std::string compare_producers(const Log& log) {
    std::map<ProducerId, Log::ProducerInfo> found;
    for (Log::ProducerInfo& producer : log.producers()) found[producer.id] = std::move(producer);
    for (const Log::ProducerInfo& expected : replayed_.list()) {
      auto producer = found.find(expected.id);
      if (producer == found.end()) return fmt::format("producer {} is not known", expected.id.v);
      const auto& has = producer->second.batches;
      if (producer->second.epoch != expected.epoch || has.empty() || has.size() < expected.batches.size())
        return fmt::format("producer {}: {} batches known, {} in the log", expected.id.v, has.size(),
                           expected.batches.size());
      for (std::size_t i = 0; i < expected.batches.size(); ++i) {
        const auto& want = expected.batches[expected.batches.size() - 1 - i];
        const auto& is = has[has.size() - 1 - i];
        if (want.base_sequence != is.base_sequence || want.last_sequence != is.last_sequence ||
            want.last_offset != is.last_offset)
          return fmt::format("producer {}: sequences {} to {} at {}, the log says {} to {} at {}", expected.id.v,
                             is.base_sequence, is.last_sequence, is.last_offset.v, want.base_sequence,
                             want.last_sequence, want.last_offset.v);
      }
    }
    return {};
  }

  Result<std::map<std::string, std::vector<std::byte>>> indexes_of(const std::string& directory) {
    std::map<std::string, std::vector<std::byte>> contents;
    MR_TRY(auto entries, disk_.list(directory));
    for (const DirEntry& entry : entries) {
      if (!entry.name.ends_with(storage::kOffsetIndexSuffix) && !entry.name.ends_with(storage::kTimeIndexSuffix))
        continue;
      MR_TRY(contents[entry.name], storage::read_whole_file(disk_, directory + "/" + entry.name));
    }
    return contents;
  }

  /// Does a rebuild say the same? A clean stop in the middle of a segment leaves one more time than a rebuild finds;
  /// that each time there is true has been verified.
  static bool same_index(const std::string& name, ByteView is, ByteView rebuilt) {
    if (!name.ends_with(storage::kTimeIndexSuffix)) return std::ranges::equal(is, rebuilt);
    auto entries = [](ByteView bytes) {
      std::set<std::string> all;
      for (; !bytes.empty(); bytes = bytes.subspan(std::min(storage::TimeIndex::kEntryBytes, bytes.size())))
        all.emplace(as_text(bytes.first(std::min(storage::TimeIndex::kEntryBytes, bytes.size()))));
      return all;
    };
    return std::ranges::includes(entries(is), entries(rebuilt));
  }

  std::string compare_rebuilt(storage::DataDir& data, const storage::PartitionDir& directory) {
    auto before = indexes_of(directory.path);
    if (!before.ok()) return "indexes cannot be read: " + before.error().message();
    for (const auto& [name, bytes] : *before) {
      if (auto gone = disk_.remove(directory.path + "/" + name); !gone.ok()) return gone.error().message();
    }
    auto log = open(data, directory, false);
    if (!log.ok()) return "does not open without indexes: " + log.error().message();
    if (auto closed = (*log)->close(); !closed.ok()) return "does not close: " + closed.error().message();
    auto after = indexes_of(directory.path);
    if (!after.ok()) return "indexes cannot be read: " + after.error().message();
    for (const auto& [name, bytes] : *before) {
      auto log_there = disk_.exists(directory.path + "/" + name.substr(0, name.find('.')) + ".log");
      if (!log_there.ok() || !*log_there) continue;  // of a segment that retention has taken
      if (!same_index(name, bytes, (*after)[name]))
        return fmt::format("{} has {} bytes, a rebuild makes {} others", name, bytes.size(), (*after)[name].size());
    }
    return {};
  }

  Disk& disk_;
  const Model& model_;
  WallMillis now_;
  storage::ProducerTable replayed_;
  std::uint64_t records_ = 0;
};

/// The workload, and a look at every crash that it could have met.
class Enumeration {
 public:
  explicit Enumeration(std::uint64_t seed)
      : world_({.seed = seed}), rng_(seed * 31 + 7), host_(world_.add_host("b")), seed_(seed) {}

  void run(int operations, bool lies = false) {
    start();
    make("plain", 1, {{"index.interval.bytes", "512"}});
    make("many", 2, {{"index.interval.bytes", "512"}, {"segment.ms", "400"}});
    make("short", 1, {{"index.interval.bytes", "512"}, {"segment.ms", "150"}, {"retention.bytes", "6000"}});
    make("gone", 1, {{"index.interval.bytes", "512"}});
    if (lies) host_.disk().add_fault({.kind = Fault::Kind::lie, .op = DiskOp::sync, .times = Fault::kAlways});
    host_.disk().on_operation([this](const Disk::Operation& operation) {
      if (is_change(operation.op)) changed();
    });
    for (int i = 0; i < operations && failures.size() < kFailuresMax; ++i) operate();
    settle();
    host_.disk().on_operation([](const Disk::Operation&) {});
    stop();
  }

  std::vector<std::string> failures;
  std::uint64_t changes = 0, cases = 0, torn = 0, records = 0, carried = 0, deletions = 0;

 private:
  struct Sent {
    Key key;
    ShardId home;
    std::vector<std::string> values;
    std::vector<std::byte> batch;
    bool placed = false;
    bool done = false;
  };
  struct Topic {
    TopicId id;
    std::int32_t partitions;
    std::map<std::string, std::string> configs;
  };

  void start() {
    process_ = &host_.start(2);
    running_ = std::make_unique<Running>(
        world_, *process_, journal_, std::vector<std::string>{"/data"},
        std::vector<config::SettingInput>{
            {.origin = config::Origin::set, .where = "test", .name = "log.segment.delete.delay.ms", .value = "100"}},
        Running::Start::now,
        broker::JournalSizes{.half_bytes = 32u << 10, .block_bytes_max = 8u << 10, .grow_bytes = 8u << 10});
    if (!running_->started.ok()) failures.push_back("no start: " + running_->started.error().message());
  }
  void stop() {
    for (std::uint32_t s = 0; s < 2; ++s)
      for (const auto& commit : running_->broker->shard(ShardId{s}).commits)
        if (commit) carried += commit->stats().carried_batches;
    Result<void> stopped = running_->stop();
    if (!stopped.ok()) failures.push_back("no clean stop: " + stopped.error().message());
    running_.reset();
  }

  void make(const std::string& name, std::int32_t partitions, std::map<std::string, std::string> configs) {
    auto made = running_->run(
        running_->broker->create_topic({.name = name, .partitions = partitions, .configs = configs}, false));
    if (!made.ok()) {
      failures.push_back("create: " + made.error().message());
      return;
    }
    topics_[name] = {(*made)->id, partitions, std::move(configs)};
    for (std::int32_t p = 0; p < partitions; ++p) model_[{(*made)->id, PartitionIndex{p}}].trimmed = name == "short";
  }

  void operate() {
    std::uint64_t draw = rng_.below(100);
    if (draw < 72) {
      append(rng_.between(1, 3), rng_.between(10, 600));
    } else if (draw < 78) {
      append(1, rng_.between(17'000, 20'000));  // too large to be carried
    } else if (draw < 85) {
      world_.run_for(Millis(rng_.between(1, 150)));
    } else if (draw < 89) {
      delete_records();
    } else if (draw < 92) {
      for (std::uint32_t s = 0; s < 2; ++s)
        world_.run(*process_, ShardId{s}, running_->broker->apply_retention(ShardId{s}));
    } else if (draw < 95) {
      running_->run(running_->broker->write_checkpoints());
    } else if (draw < 98) {
      make_again();
    } else {
      settle();
      stop();
      start();
    }
  }

  /// A partition, and its home.
  std::pair<Key, ShardId> pick() {
    static constexpr const char* kNames[] = {"plain", "many", "many", "many", "short", "gone"};
    std::string name = kNames[rng_.below(std::size(kNames))];
    const Topic& topic = topics_[name];
    PartitionIndex partition{static_cast<std::int32_t>(rng_.below(static_cast<std::uint64_t>(topic.partitions)))};
    return {{topic.id, partition}, running_->topic(name)->partition(partition)->home};
  }

  /// Up to what was acked, or to the watermark, while appends are under way.
  void delete_records() {
    auto [key, home] = pick();
    Known& known = model_[key];
    std::int64_t before = -1;
    if (!rng_.one_in(3))
      before = static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(known.acked_end) + 1));
    // The watermark is not known before the answer, only that it is no farther than what was placed.
    std::int64_t placed_end = known.placed.empty() ? 0 : known.placed.rbegin()->first + 1;
    known.start_asked = std::max(known.start_asked, before < 0 ? placed_end : before);
    const std::int64_t least = before < 0 ? known.acked_end : before;
    broker::Broker::RecordsToDelete wanted{
        .topic = key.first, .partition = key.second, .home = home, .before = Offset{before}};
    running_->run(running_->broker->delete_records(std::span(&wanted, 1)));
    const Result<Offset>& answer = wanted.log_start;
    if (!answer.ok()) {
      failures.push_back("delete records: " + answer.error().message());
      return;
    }
    ++deletions;
    known.start_answered = std::max(known.start_answered, answer->v);
    if (answer->v < least)
      failures.push_back(fmt::format("delete records up to {}: the log starts at {}", before, answer->v));
  }

  void append(std::uint64_t count, std::size_t bytes) {
    auto sent = std::make_shared<Sent>();
    std::tie(sent->key, sent->home) = pick();
    BatchSpec spec{.timestamp = process_->env(ShardId{0}).clock.wall()};
    for (std::uint64_t i = 0; i < count; ++i) spec.values.push_back(tagged_value("r", number_++, bytes));
    if (rng_.one_in(2)) {
      spec.producer_id = 70 + static_cast<std::int64_t>(rng_.below(2));
      spec.producer_epoch = 0;
      std::int32_t& next = sequences_[{sent->key, spec.producer_id}];
      spec.base_sequence = next;
      next += static_cast<std::int32_t>(spec.values.size());
    }
    sent->values = spec.values;
    sent->batch = make_batch(spec);
    for (const std::string& value : spec.values) model_[sent->key].sent.insert(value);
    under_way_.push_back(sent);
    process_->spawn(ShardId{0}, "produce", produce(sent));
    wait([&] { return sent->placed || sent->done; });
    if (!readers_.one_in(3)) read_last(*sent);
    // Several wait for their answers at a time.
    wait([&] {
      std::erase_if(under_way_, [](const auto& one) { return one->done; });
      return under_way_.size() < 5;
    });
  }

  /// Makes what waits in memory go to its file, as a consumer at the end of a partition does.
  void read_last(const Sent& sent) {
    auto partition = running_->broker->shard(sent.home).find(sent.key.first, sent.key.second);
    if (!sent.placed || partition == nullptr) return;
    const Offset end = partition->log().log_end();
    auto read = partition->read(Offset{end.v - 1}, end, 1, true);
    if (!read.ok()) failures.push_back("read: " + read.error().message());
  }

  Task<void> produce(std::shared_ptr<Sent> sent) {
    std::array<broker::ProduceItem, 1> items;
    items[0].topic = sent->key.first;
    items[0].partition = sent->key.second;
    items[0].home = sent->home;
    items[0].batch = sent->batch;
    broker::Produce produce(*running_->broker, replication::Acks::all, true, kForever);
    co_await produce.append(items);
    Known& known = model_[sent->key];
    if (items[0].outcome) {
      std::int64_t at = items[0].outcome->base_offset.v;
      for (const std::string& value : sent->values) known.placed[at++] = value;
      sent->placed = true;
    }
    co_await produce.committed();
    if (items[0].outcome) {
      known.acked_end = std::max(known.acked_end, items[0].outcome->end.v);
    } else {
      failures.push_back("append: " + items[0].outcome.error().error.message());
    }
    sent->done = true;
  }

  void make_again() {
    settle();
    Topic old = topics_["gone"];
    model_[{old.id, PartitionIndex{0}}].deleted = true;
    Result<void> deleted = running_->run(running_->broker->delete_topic("gone", old.id));
    if (!deleted.ok()) failures.push_back("delete: " + deleted.error().message());
    make("gone", 1, old.configs);
  }

  void wait(const std::function<bool()>& what) {
    if (world_.run_until(what, std::chrono::seconds(60)) != RunEnd::done)
      failures.push_back("stuck: " + world_.describe());
  }
  void settle() {
    wait([&] {
      std::erase_if(under_way_, [](const auto& one) { return one->done; });
      return under_way_.empty();
    });
  }

  /// All files of one case of each change, of all with --all.
  Look::Depth depth_of(std::size_t i, std::size_t count) const {
    bool turn = i == changes % count;
    if (turn && changes % 16 == 0) return Look::Depth::rebuild;
    return turn || g_arguments.all ? Look::Depth::files : Look::Depth::records;
  }

  /// A change has just reached the page cache (or the medium).
  void changed() {
    ++changes;
    if (g_arguments.only_change != 0 && changes != g_arguments.only_change) return;
    if (failures.size() >= kFailuresMax) return;
    if (running_ && running_->broker) {
      for (std::uint32_t s = 0; s < 2; ++s) {
        for (const auto& [key, partition] : running_->broker->shard(ShardId{s}).partitions) {
          std::int64_t& watermark = model_[{key.topic, key.partition}].watermark;
          watermark = std::max(watermark, partition->high_watermark().v);
        }
      }
    }
    std::vector<std::vector<Survival>> all = fates_of(host_.disk(), changes);
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto disk = host_.disk().fork(seed_ * 1'000'003 + changes * 211 + i);
      disk->crash(all[i]);
      Look look(*disk, model_, host_.wall());
      std::string problem = look.wrong(depth_of(i, all.size()));
      records += look.records();
      ++cases;
      torn += i >= 1ull << std::min<std::size_t>(kYoungest, all[i].size());
      if (problem.empty()) continue;
      failures.push_back(fmt::format("change {} case {}: {}\nreplay: crash_enumeration_test --seed {} --change {}{}",
                                     changes, i, problem, seed_, changes, g_arguments.all ? " --all" : ""));
      return;
    }
  }

  World world_;
  Random rng_;
  Random readers_{7};  ///< their own: what is done otherwise goes by the seed alone
  Host& host_;
  std::uint64_t seed_;
  std::shared_ptr<metastore::MemoryJournal> journal_ = std::make_shared<metastore::MemoryJournal>();
  Process* process_ = nullptr;
  std::unique_ptr<Running> running_;
  std::map<std::string, Topic> topics_;
  Model model_;
  std::map<std::pair<Key, std::int64_t>, std::int32_t> sequences_;
  std::vector<std::shared_ptr<Sent>> under_way_;
  std::uint64_t number_ = 0;
};

TEST(CrashEnumeration, EveryCrashKeepsEveryPromise) {
  Enumeration all(g_arguments.seed);
  all.run(200);
  for (const std::string& failure : all.failures) ADD_FAILURE() << failure;
  fmt::print("{} changes, {} crashes, {} of them torn, {} records read, {} batches carried, {} starts moved\n",
             all.changes, all.cases, all.torn, all.records, all.carried, all.deletions);
  if (g_arguments.only_change != 0) return;
  EXPECT_GT(all.changes, 400u);
  EXPECT_GT(all.cases, 4 * all.changes);
  EXPECT_GT(all.torn, 100u);
  EXPECT_GT(all.carried, 50u);
  EXPECT_GT(all.deletions, 4u);
}

TEST(CrashEnumeration, NoticesASyncThatLies) {
  if (g_arguments.only_change != 0) GTEST_SKIP();
  Enumeration lies(g_arguments.seed);
  lies.run(200, true);
  EXPECT_EQ(lies.failures.size(), kFailuresMax);
}

bool take_number(std::string_view text, std::uint64_t& into) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_arguments(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (argument == "--all") {
      g_arguments.all = true;
      continue;
    }
    std::uint64_t* into = argument == "--seed" ? &g_arguments.seed : nullptr;
    if (argument == "--change") into = &g_arguments.only_change;
    if (into == nullptr || ++i == argc || !take_number(argv[i], *into)) return false;
  }
  return true;
}

}  // namespace
}  // namespace mr::sim

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!mr::sim::parse_arguments(argc, argv)) {
    fmt::print(stderr, "usage: crash_enumeration_test [--all] [--seed N] [--change K] [--gtest_...]\n");
    return 2;
  }
  // Thousands of recoveries from torn tails; their log lines would drown the report.
  mr::set_log_level(mr::LogLevel::off);
  return RUN_ALL_TESTS();
}
