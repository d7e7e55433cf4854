// Aim: whatever happens to the files of a partition while the broker is down, the log that opens never crashes, never
// gives out a record that was not written there, and never passes in silence over one that was acknowledged: its offset
// reads as it was written, or answers corrupt_batch or offset_out_of_range, and an event and a number say so; `log
// verify` finds it, and `log repair --dry-run` knows something to say.
// Method: directories of a dozen seeded logs, closed or killed, with and without the commit journal's evidence; each of
// 10,000 trials takes one, does one to three harms at random places (bits, zeroed sectors, cut, lengthened, swapped,
// missing and foreign files), looks with `log verify`, opens, reads every offset alone and then all as a consumer does,
// appends, closes, opens again and reads again. What nothing on the disk could tell is counted by class and bounded.
// Replay: MR_CORRUPTION_SEED=<seed of a trial> runs that one and prints every line.
#include <fmt/format.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "base/log.h"
#include "sim/disk.h"
#include "sim/random.h"
#include "storage/log.h"
#include "storage/log_repair.h"
#include "storage/log_verify.h"
#include "storage/segment_names.h"
#include "storage/segment_verify.h"
#include "storage/small_file.h"
#include "tests/simulation/records.h"

namespace mr::sim {
namespace {

using storage::Log;

constexpr WallMillis kNow = 1'760'000'000'000;
const std::string kDirectory = "/data/t-0";

enum class Kind { closed, killed_with_journal, killed };

using Files = std::map<std::string, std::vector<std::byte>>;

/// One partition's directory and the truth about it.
struct Image {
  Kind kind{};
  Files files;
  std::vector<std::vector<std::byte>> batches;  ///< as stored
  std::int64_t log_start = 0;
  std::int64_t acked_end = 0;
  std::int64_t end = 0;             ///< with what was never acknowledged
  std::int64_t recovery_point = 0;  ///< of the checkpoint
  std::int64_t newest_base = 0;
  storage::CommitEvidence evidence;
};

Log::OpenOptions options_for(const Image& image) {
  return {.directory = kDirectory,
          .partition = {"t", PartitionIndex{0}},
          .topic_id = TopicId{{.high = 7, .low = 9}},
          .config = {.segment_bytes = 3'500, .index_interval_bytes = 700},
          .clean_stop = image.kind == Kind::closed,
          .recovery_point = Offset{image.recovery_point},
          .log_start = Offset{image.log_start},
          .now = kNow};
}

std::vector<std::byte> random_batch(Random& rng, std::uint64_t& number, std::int32_t& sequence) {
  BatchSpec spec{.timestamp = kNow + static_cast<WallMillis>(number)};
  std::uint64_t count = rng.between(1, 3);
  for (std::uint64_t i = 0; i < count; ++i) spec.values.push_back(tagged_value("c", number++, rng.between(20, 500)));
  if (rng.one_in(2)) {
    spec.producer_id = 77;
    spec.producer_epoch = 0;
    spec.base_sequence = sequence;
    sequence += static_cast<std::int32_t>(count);
  }
  return make_batch(spec);
}

/// All syncs of a round; the run it makes durable.
void sync_round(Log& log, Image& image) {
  auto begun = log.begin_sync();
  if (!begun.ok() || !*begun) return;
  std::optional<storage::SyncTicket>& ticket = *begun;
  for (auto& file : ticket->files) ASSERT_TRUE(file->sync().ok());
  log.end_sync(*ticket, {});
  if (ticket->run && image.kind == Kind::killed_with_journal) image.evidence.durable.push_back(*ticket->run);
}

Image make_image(std::uint64_t seed, Kind kind) {
  Random rng(seed);
  Disk disk(seed);
  Image image{.kind = kind};
  EXPECT_TRUE(disk.make_directories(kDirectory).ok());
  auto opened = Log::open(disk, options_for(Image{.kind = Kind::killed}));
  EXPECT_TRUE(opened.ok());
  std::unique_ptr<Log> log = std::move(*opened);
  std::uint64_t number = seed * 1'000'000;
  std::int32_t sequence = 0, epoch = 0;
  std::uint64_t count = rng.between(8, 20);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (i == 0 || rng.one_in(12)) EXPECT_TRUE(log->start_epoch(LeaderEpoch{++epoch}).ok());
    std::vector<std::byte> batch = random_batch(rng, number, sequence);
    BatchHeader header = BatchHeader::parse(batch).value();
    auto done = log->append(batch, header, header.max_timestamp, LeaderEpoch{epoch}, kNow);
    EXPECT_TRUE(done.ok());
    image.batches.push_back(batch);
    if (rng.one_in(4)) sync_round(*log, image);
  }
  image.end = log->log_end().v;
  if (kind == Kind::closed) {
    EXPECT_TRUE(log->close().ok());
    image.recovery_point = image.end;
  }
  image.acked_end = log->durable_end().v;
  log.reset();
  for (const DirEntry& entry : *disk.list(kDirectory)) {
    image.files[entry.name] = *storage::read_whole_file(disk, kDirectory + "/" + entry.name);
    auto name = storage::parse_segment_file_name(entry.name);
    if (name && name->suffix == storage::kLogSuffix) image.newest_base = std::max(image.newest_base, name->base.v);
  }
  return image;
}

/// What a trial counts; classes that no reader of the disk could tell from an innocent state.
struct Tally {
  std::uint64_t trials = 0, untouched = 0, offsets = 0, corrupt = 0, out_of_range = 0;
  std::map<std::string, std::uint64_t> harms;
  std::uint64_t verified = 0, not_verified = 0;  ///< trials that changed something
  std::map<std::string, std::uint64_t> undetectable;
  std::uint64_t refused = 0;     ///< partition.metadata names another topic: whose it is cannot be told
  std::uint64_t scrub_only = 0;  ///< found by a full read and not at the start, which reads nothing that is sealed
};

/// What a product with a fault would do; the checks below must not let it pass.
enum class Fault { none, invents_records, says_nothing, counts_nothing, verify_is_blind };

class Trial {
 public:
  Trial(std::uint64_t seed, const std::vector<Image>& images, Tally& tally, Fault fault = Fault::none)
      : fault_(fault), rng_(seed), image_(images[rng_.below(images.size())]), tally_(tally), disk_(seed) {
    const Image& other = images[rng_.below(images.size())];
    files_ = image_.files;
    std::uint64_t count = rng_.one_in(4) ? rng_.between(2, 3) : 1;
    for (std::uint64_t i = 0; i < count && !files_.empty(); ++i) harm(other);
  }

  void run() {
    ++tally_.trials;
    if (files_ == image_.files) ++tally_.untouched;
    EXPECT_TRUE(disk_.make_directories(kDirectory).ok());
    for (const auto& [name, bytes] : files_) {
      auto file = disk_.open(kDirectory + "/" + name, OpenMode::create);
      ASSERT_TRUE(file.ok() && (*file)->write_at(bytes, 0).ok());
    }
    verify();
    if (testing::Test::HasFailure() || !open(options_for(image_), true)) return;
    read_everything();
    if (testing::Test::HasFailure() || rng_.one_in(2)) return;
    append_and_come_back();
  }

  std::string story() const {
    std::string text = fmt::format("{} log, acked end {}, end {}, newest segment {}:",
                                   image_.kind == Kind::closed                ? "closed"
                                   : image_.kind == Kind::killed_with_journal ? "killed (with journal)"
                                                                              : "killed",
                                   image_.acked_end, image_.end, image_.newest_base);
    for (const std::string& line : harms_) text += "\n  " + line;
    return text;
  }

 private:
  /// What the data directory around the partition knows.
  storage::DataDirReport around() const {
    storage::DataDirReport report;
    report.closed = report.closed_here = image_.kind == Kind::closed;
    if (report.closed)
      report.recovery_points = storage::OffsetCheckpoint{{{"t", PartitionIndex{0}}, Offset{image_.recovery_point}}};
    if (image_.kind == Kind::killed_with_journal)
      report.journal_ends[{options_for(image_).topic_id, PartitionIndex{0}}] = image_.evidence.end();
    return report;
  }

  void verify() {
    storage::DataDirReport known = around();
    auto verified = storage::verify_partition(disk_, kDirectory, {.around = &known});
    ASSERT_TRUE(verified.ok()) << verified.error().message() << "\n" << story();
    verify_found_ = verified->problem_count > 0 && fault_ != Fault::verify_is_blind;
    if (files_ != image_.files) ++(verify_found_ ? tally_.verified : tally_.not_verified);
    if (image_.kind == Kind::closed && files_ == image_.files)
      ASSERT_EQ(verified->problem_count, 0u) << verified->problems[0].what << "\n" << story();
    for (const storage::VerifyProblem& problem : verified->problems) {
      storage::Remedy remedy = storage::remedy_for(problem);
      ASSERT_FALSE(remedy.action.empty()) << problem.what << "\n" << story();
      repair_tells_loss_ = repair_tells_loss_ || !remedy.lost.empty();
    }
  }

  std::string pick() {
    auto at = files_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(rng_.below(files_.size())));
    // Segments hold nearly everything; side files get their turn too.
    for (int tries = 0; tries < 3 && !at->first.ends_with(".log") && rng_.one_in(2); ++tries) {
      at = files_.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(rng_.below(files_.size())));
    }
    return at->first;
  }
  void note(const std::string& what, const std::string& detail) {
    ++tally_.harms[what];
    harms_.push_back(what + " " + detail);
  }

  void harm(const Image& other) {
    std::string name = pick();
    std::vector<std::byte>& bytes = files_[name];
    switch (rng_.below(11)) {
      case 0:
      case 1:
      case 2:
        if (bytes.empty()) return;
        for (std::uint64_t i = rng_.between(1, 3); i > 0; --i) {
          std::uint64_t bit = rng_.below(bytes.size() * 8);
          bytes[bit / 8] ^= std::byte{1} << (bit % 8);
          note("bit flipped", fmt::format("{} byte {} bit {}", name, bit / 8, bit % 8));
        }
        return;
      case 3:
        bytes.resize(rng_.one_in(4) ? 0 : rng_.below(bytes.size() + 1));
        return note("cut", fmt::format("{} to {}", name, bytes.size()));
      case 4: {
        std::uint64_t sector = rng_.below(bytes.size() / 512 + 1) * 512;
        for (std::uint64_t i = sector; i < std::min<std::uint64_t>(sector + 512, bytes.size()); ++i) bytes[i] = {};
        return note("sector zeroed", fmt::format("{} at {}", name, sector));
      }
      case 5:
        for (std::uint64_t i = rng_.between(1, 200); i > 0; --i) bytes.push_back(static_cast<std::byte>(rng_.next()));
        return note("lengthened", name);
      case 6:
        files_.erase(name);
        return note("removed", name);
      case 7: {
        auto parsed = storage::parse_segment_file_name(name);
        if (!parsed) return;
        std::string base = name.substr(0, 20);
        std::erase_if(files_, [&](const auto& file) { return file.first.starts_with(base); });
        return note("segment removed", base);
      }
      case 8: {
        std::string second = pick();
        if (second == name) return;
        std::swap(files_[name], files_[second]);
        return note("swapped", name + " and " + second);
      }
      case 9: {
        auto same = other.files.find(name);
        if (&other == &image_ || same == other.files.end()) return;
        // Two logs of one topic name the same topic.
        files_[name] = same->second;
        return note("of another log", name);
      }
      default:
        return add_foreign(other);
    }
  }

  void add_foreign(const Image& other) {
    static constexpr const char* kSuffixes[] = {".log",      ".index",       ".timeindex",   ".seal",    ".txnindex",
                                                ".snapshot", ".log.deleted", ".log.cleaned", ".log.tmp", ".old"};
    auto offset = static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(image_.end) + 50));
    std::string name = rng_.one_in(8) ? std::string(rng_.one_in(2) ? "lost+found" : "..log")
                                      : fmt::format("{:020}{}", offset, kSuffixes[rng_.below(std::size(kSuffixes))]);
    if (files_.contains(name)) return;
    auto from = other.files.begin();
    std::advance(from, static_cast<std::ptrdiff_t>(rng_.below(other.files.size())));
    files_[name] = from->second;
    note("foreign file", fmt::format("{} with the content of {}", name, from->first));
  }

  bool open(Log::OpenOptions options, bool first) {
    log_.reset();
    if (first) options.counts = &counts_;
    if (first && image_.kind == Kind::killed_with_journal) options.evidence = image_.evidence;
    if (first && image_.kind == Kind::closed && rng_.one_in(5)) {
      options.recovery_point = Offset{0};  // the data directory's checkpoint did not read
      harms_.push_back("recovery point unknown");
      checkpoint_known_ = false;
    }
    auto opened = Log::open(disk_, std::move(options));
    if (opened.ok()) {
      log_ = std::move(*opened);
      return true;
    }
    bool refused = opened.code() == Errc::inconsistent_topic_id || opened.code() == Errc::newer_format;
    refused = refused && files_["partition.metadata"] != image_.files.at("partition.metadata");
    if (refused) ++tally_.refused;
    EXPECT_TRUE(refused) << opened.error().message();
    return false;
  }

  /// The bytes of a read, as the broker hands them on: what fails its checksum or its place is not.
  std::vector<std::byte> bytes_of(const storage::ReadResult& read) {
    std::vector<std::byte> bytes;
    for (const storage::Fragment& fragment : read.fragments) {
      std::size_t from = bytes.size();
      bytes.resize(from + fragment.length);
      auto got = fragment.file->read_at(std::span(bytes).subspan(from), fragment.position);
      EXPECT_TRUE(got.ok() && *got == fragment.length);
    }
    return bytes;
  }

  /// What a client gets from `from` on: the offset behind the last batch, or why nothing.
  Result<std::int64_t> fetch(std::int64_t from, std::uint64_t bytes_max) {
    MR_TRY(auto read, log_->read(Offset{from}, log_->log_end(), bytes_max, true));
    std::vector<std::byte> bytes = bytes_of(read);
    ByteView rest = bytes;
    std::int64_t next = from;
    while (rest.size() >= BatchHeader::kBytes) {
      auto header = BatchHeader::parse(rest);
      bool whole = header.ok() && header->total_bytes() <= rest.size();
      if (header.ok() && !whole) break;
      if (!whole || !batch_crc_matches(rest.first(header->total_bytes())) || header->base_offset > next ||
          header->last_offset().v < next) {
        found_by_check_ = true;
        if (next == from) return Error(Errc::corrupt_batch, "found by the check of what was read");
        break;
      }
      check_batch(rest.first(header->total_bytes()), *header);
      next = header->next_offset().v;
      rest = rest.subspan(header->total_bytes());
    }
    return next;
  }

  void check_batch(ByteView batch, const BatchHeader& header) {
    if (header.base_offset >= image_.end + appended_) return;  // bounded by the caller
    for (const auto& written : image_.batches) {
      if (load_be<std::int64_t>(written.data()) != header.base_offset) continue;
      bool as_written = std::ranges::equal(batch, written) && fault_ != Fault::invents_records;
      if (!as_written) wrong_.insert(header.base_offset);
      return;
    }
    if (header.base_offset < image_.end) wrong_.insert(header.base_offset);
  }

  void read_everything() {
    wrong_.clear();
    std::uint64_t unreadable = 0;
    std::int64_t log_end = log_->log_end().v;
    ASSERT_LE(log_end, image_.end + 200) << "offsets nobody gave out\n" << story();
    for (std::int64_t at = 0; at < image_.acked_end; ++at) {
      ++tally_.offsets;
      auto next = fetch(at, 1);
      if (next.ok()) {
        if (at < log_end) ASSERT_GT(*next, at) << "offset " << at << " reads as nothing\n" << story();
        if (at < log_end) continue;
      } else {
        ASSERT_TRUE(next.code() == Errc::corrupt_batch || next.code() == Errc::offset_out_of_range)
            << "offset " << at << ": " << next.error().message() << "\n"
            << story();
        (next.code() == Errc::corrupt_batch ? tally_.corrupt : tally_.out_of_range)++;
        if (next.code() == Errc::corrupt_batch && fault_ != Fault::counts_nothing) ++corrupt_answers_;
      }
      ++unreadable;
    }
    // As a consumer that seeks past what does not read.
    std::int64_t at = log_->log_start().v;
    while (at < log_end) {
      auto next = fetch(at, rng_.between(1, 4'000));
      at = next.ok() ? *next : at + 1;
    }
    if (!wrong_.empty()) wrong_record();
    if (testing::Test::HasFailure()) return;
    if (log_end < image_.acked_end) lost_end(log_end);
    if (unreadable > 0 && log_end >= image_.acked_end) {
      std::uint64_t said = fault_ == Fault::says_nothing ? 0 : events;
      EXPECT_TRUE(said > 0 || found_by_check_) << "nothing was said of " << unreadable << " offsets\n" << story();
      std::uint64_t counted = counts_.damaged_ranges + counts_.damaged_files + counts_.starts_moved + counts_.tails_cut;
      if (fault_ == Fault::counts_nothing) counted = 0;
      EXPECT_TRUE(counted > 0 || corrupt_answers_ > 0) << "no metric tells of it\n" << story();
      EXPECT_TRUE(verify_found_) << "verify found nothing\n" << story();
      EXPECT_TRUE(repair_tells_loss_) << "repair says that nothing is lost\n" << story();
    }
  }

  /// Something else than was written came out. After a clean stop nothing is read at the start: then the scrub must
  /// find it, and no start after that gives it out.
  void wrong_record() {
    if (image_.kind != Kind::closed && *wrong_.begin() >= image_.acked_end) {
      ++tally_.undetectable["records that were never acknowledged replaced by others"];
      return;
    }
    if (image_.kind == Kind::killed && !was_sealed(*wrong_.begin())) {
      ++tally_.undetectable["segment without a seal replaced, killed log, no journal"];
      return;
    }
    ++tally_.scrub_only;
    std::int64_t end = image_.end;
    std::vector<std::int64_t> bases;
    for (const DirEntry& entry : *disk_.list(kDirectory))
      if (auto name = storage::parse_segment_file_name(entry.name); name && name->suffix == storage::kLogSuffix)
        bases.push_back(name->base.v);
    std::ranges::sort(bases);
    bool found = false;
    for (std::size_t i = 0; i < bases.size(); ++i) {
      std::int64_t next = i + 1 < bases.size() ? bases[i + 1] : end;
      auto verdict =
          storage::verify_segment(disk_, kDirectory, {Offset{bases[i]}, Offset{next}, i + 1 == bases.size()});
      ASSERT_TRUE(verdict.ok());
      found = found || !verdict->damage.empty() || verdict->bad_seal;
    }
    EXPECT_TRUE(found) << "a wrong record at " << *wrong_.begin() << " that no scrub finds\n" << story();
  }

  /// The segment that holds `offset` had a seal.
  bool was_sealed(std::int64_t offset) const {
    std::string name;
    for (const auto& [file, bytes] : image_.files)
      if (file.ends_with(".log") && std::strtoll(file.c_str(), nullptr, 10) <= offset) name = file.substr(0, 20);
    return image_.files.contains(name + ".seal");
  }

  void lost_end(std::int64_t log_end) {
    if (image_.kind == Kind::killed) {
      // Nothing says that the tail was ever synced: it looks torn.
      ++tally_.undetectable["tail of a killed log, no journal"];
      return;
    }
    ASSERT_FALSE(image_.kind == Kind::killed_with_journal) << "log end " << log_end << "\n" << story();
    ASSERT_FALSE(checkpoint_known_) << "log end " << log_end << "\n" << story();
    ++tally_.undetectable["newest segment of a closed log gone with seal, snapshot and checkpoint"];
  }

  void append_and_come_back() {
    std::int64_t end = log_->log_end().v;
    std::uint64_t number = 0;
    std::int32_t sequence = 0;
    std::vector<std::byte> batch = random_batch(rng_, number, sequence);
    BatchHeader header = BatchHeader::parse(batch).value();
    LeaderEpoch epoch{std::max(log_->latest_epoch().v, 0) + 1};
    ASSERT_TRUE(log_->start_epoch(epoch).ok()) << story();
    auto done = log_->append(batch, header, header.max_timestamp, epoch, kNow);
    ASSERT_TRUE(done.ok()) << done.error().message() << "\n" << story();
    ASSERT_EQ(done->base_offset.v, end);
    appended_ = done->next_offset.v - image_.end;
    ASSERT_TRUE(log_->close().ok()) << story();
    std::map<std::int64_t, bool> before;
    Log::OpenOptions options = options_for(image_);
    options.clean_stop = rng_.one_in(2);
    options.recovery_point = done->next_offset;
    if (!open(std::move(options), false)) return;
    EXPECT_EQ(log_->log_end(), done->next_offset) << story();
    auto read = log_->read(Offset{end}, log_->log_end(), 10'000, true);
    ASSERT_TRUE(read.ok()) << read.error().message() << "\n" << story();
    EXPECT_EQ(bytes_of(*read), batch) << story();
    wrong_.clear();
    for (std::int64_t at = 0; at < std::min(image_.acked_end, end); ++at) {
      auto next = fetch(at, 1);
      if (next.ok()) ASSERT_GT(*next, at) << story();
    }
  }

 public:
  static inline std::uint64_t events = 0;

 private:
  Fault fault_;
  Random rng_;
  const Image& image_;
  Tally& tally_;
  Disk disk_;
  Files files_;
  std::vector<std::string> harms_;
  std::unique_ptr<Log> log_;
  std::set<std::int64_t> wrong_;
  std::int64_t appended_ = 0;
  bool found_by_check_ = false;
  bool verify_found_ = false;
  bool repair_tells_loss_ = false;
  storage::RecoveryCounts counts_;
  std::uint64_t corrupt_answers_ = 0;
  bool checkpoint_known_ = true;
};

std::vector<Image> make_images() {
  std::vector<Image> images;
  for (std::uint64_t i = 0; i < 18; ++i) images.push_back(make_image(1 + i, static_cast<Kind>(i % 3)));
  return images;
}

/// While it lives, warnings and errors are counted and not printed.
struct CountedEvents {
  CountedEvents() {
    set_log_sink([](LogLevel level, std::string_view, std::string_view, LogFields) {
      if (level >= LogLevel::warn) ++Trial::events;
    });
  }
  ~CountedEvents() { set_log_sink({}); }
};

void print_tally(const Tally& tally) {
  fmt::print(
      "{} trials ({} changed nothing); {} offsets read, {} corrupt, {} out of range; {} refused as another topic's;"
      " {} left to the scrub\n",
      tally.trials, tally.untouched, tally.offsets, tally.corrupt, tally.out_of_range, tally.refused, tally.scrub_only);
  for (const auto& [what, count] : tally.harms) fmt::print("  {:>6} {}\n", count, what);
  for (const auto& [what, count] : tally.undetectable) fmt::print("  {:>6} undetectable: {}\n", count, what);
  fmt::print("  {:>6} noticed by log verify, {} not: without consequence, or among the undetectable\n", tally.verified,
             tally.not_verified);
}

TEST(Corruption, TenThousandHarms) {
  std::vector<Image> images = make_images();
  Tally tally;
  if (const char* one = std::getenv("MR_CORRUPTION_SEED")) {
    Trial trial(std::strtoull(one, nullptr, 10), images, tally);
    fmt::print("{}\n", trial.story());
    Trial::events = 1;  // they go to the terminal
    trial.run();
    return;
  }
  CountedEvents counted;
  for (std::uint64_t seed = 1; seed <= 10'000 && !HasFailure(); ++seed) {
    Trial::events = 0;
    Trial trial(seed, images, tally);
    trial.run();
    if (HasFailure())
      fmt::print("replay: MR_CORRUPTION_SEED={} build/dev/tests/simulation/corruption_test\n{}\n", seed, trial.story());
  }
  print_tally(tally);
  EXPECT_EQ(tally.trials, 10'000u);
  EXPECT_GT(tally.corrupt, 10'000u);
  EXPECT_GT(tally.out_of_range, 1'000u);
  EXPECT_LT(tally.not_verified, 400u);
  // What cannot be told (docs/damage.md) stays as rare as it is said to be.
  const std::map<std::string, std::size_t> rare = {
      {"tail of a killed log, no journal", 600},
      {"records that were never acknowledged replaced by others", 80},
      {"segment without a seal replaced, killed log, no journal", 15},
      {"newest segment of a closed log gone with seal, snapshot and checkpoint", 5}};
  for (const auto& [what, count] : tally.undetectable)
    EXPECT_LE(count, rare.contains(what) ? rare.at(what) : 0u) << what;
  EXPECT_LT(tally.scrub_only, 30u);
}

// The checks above can fail: a product with each of these faults is caught within a few trials.
TEST(Corruption, FaultyProductsAreCaught) {
  std::vector<Image> images = make_images();
  CountedEvents counted;
  for (Fault fault : {Fault::invents_records, Fault::says_nothing, Fault::counts_nothing, Fault::verify_is_blind}) {
    Tally tally;
    testing::TestPartResultArray failures;
    std::uint64_t seed = 0;
    while (failures.size() == 0 && ++seed <= 200) {
      testing::ScopedFakeTestPartResultReporter intercept(
          testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
      Trial::events = 0;
      Trial(seed, images, tally, fault).run();
    }
    EXPECT_LE(seed, 200u) << "fault " << static_cast<int>(fault);
  }
}

}  // namespace
}  // namespace mr::sim
