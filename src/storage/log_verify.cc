#include "storage/log_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "model/compression.h"
#include "model/record.h"
#include "storage/batch_scanner.h"
#include "storage/epoch_table.h"
#include "storage/index_file.h"
#include "storage/partition_metadata.h"
#include "storage/producer_table.h"
#include "storage/segment_names.h"
#include "storage/segment_verify.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

constexpr std::size_t kScanChunkBytes = 64u << 10;
constexpr std::uint64_t kInflatedBytesMax = 1u << 30;
constexpr std::uint64_t kProgressEveryBytes = 4u << 20;

/// The entries of one index file, walked beside the batches.
struct IndexCursor {
  std::string path = {};
  std::vector<std::byte> bytes = {};
  std::size_t entry_bytes;
  std::size_t at = 0;

  bool done() const { return (at + 1) * entry_bytes > bytes.size(); }
  const std::byte* entry() const { return bytes.data() + at * entry_bytes; }
};

class Verifier {
 public:
  Verifier(FileSystem& files, const std::string& directory, VerifyOptions options, const Progress& progress)
      : files_(files), directory_(directory), options_(options), progress_(progress), around_(options.around) {}

  Result<VerifyReport> run();

 private:
  Result<void> list();
  void note_name(const DirEntry& entry);
  void look_around();
  Result<void> load_evidence();
  void check_names();
  void pass_over_foreign_segments();
  bool unwritten(Offset base) const;
  void check_missing_seals();
  Result<void> check_segment(std::size_t index);
  void report_damage(const std::string& path, const SegmentVerdict& verdict, std::vector<VerifyProblem> found);
  void report_tail(const std::string& path, File& file, const SegmentVerdict& verdict);
  Result<IndexCursor> open_index(Offset base, std::string_view suffix, std::size_t entry_bytes);
  void check_order(const std::string& path, const BatchScanner::Item& item, std::vector<VerifyProblem>& found);
  void check_offset_index(const BatchScanner::Item& item, Offset base, std::vector<VerifyProblem>& found);
  void check_time_index(const BatchScanner::Item& item, Offset base, std::vector<VerifyProblem>& found);
  void check_unused_entries(IndexCursor& cursor, std::uint64_t log_bytes, std::vector<VerifyProblem>& found);
  Result<void> check_records(const std::string& path, File& file, const BatchScanner::Item& item);
  bool good_batch_follows(File& file, std::uint64_t position, std::uint64_t size);
  void check_epoch_checkpoint();
  void check_metadata();
  void check_snapshot();
  void check_ends();
  std::string name_of(Offset base, std::string_view suffix) const { return segment_path(directory_, base, suffix); }
  bool closed() const { return around_ != nullptr && around_->closed; }
  /// Nothing but a loss makes holes there.
  bool never_compacted() const { return closed() && around_->recovery_points && !compacted_; }
  bool tell_progress(std::uint64_t bytes);

  FileSystem& files_;
  const std::string& directory_;
  VerifyOptions options_;
  const Progress& progress_;
  const DataDirReport* around_;
  bool compacted_ = false;  ///< as the cleaner's checkpoint or a seal says
  std::vector<Offset> bases_;
  std::set<Offset> seals_, snapshots_;
  std::set<std::pair<Offset, std::string_view>> indexes_;
  Offset evidence_{0};  ///< everything below was synced
  std::map<Offset, Offset> sealed_until_;
  std::uint64_t total_bytes_ = 0, done_bytes_ = 0, told_bytes_ = 0;
  IndexCursor offsets_, times_;
  WallMillis largest_ = -1;
  Inflater inflater_;
  std::vector<std::byte> batch_;
  VerifyReport report_;
};

using Kind = VerifyProblem::Kind;

/// Why a name does not belong into a partition's directory; empty when it does.
std::string_view why_foreign(const DirEntry& entry, std::string_view directory, bool closed) {
  std::string_view name = entry.name;
  if (entry.is_directory) return "a directory";
  if (parse_segment_file_name(name) || name == kPartitionMetadataName || name == kEpochCheckpointName) return {};
  bool unfinished = name.ends_with(".tmp") ||
                    ((name.ends_with(kCleanedSuffix) || name.ends_with(kSwapSuffix)) && parse_base_offset(name));
  if (unfinished) return closed ? "left over, though the last stop was clean" : "";
  bool raft = directory.ends_with("__cluster_metadata-0") && (name == "quorum-state" || name.ends_with(".checkpoint"));
  return raft ? "" : "no file of a partition has such a name";
}

void Verifier::note_name(const DirEntry& entry) {
  if (std::string_view why = why_foreign(entry, directory_, closed()); !why.empty())
    report_.add({Kind::foreign, directory_ + "/" + entry.name, 0, std::nullopt, std::string(why)});
  auto name = parse_segment_file_name(entry.name);
  if (!name || name->deleted || entry.is_directory) return;
  if (name->suffix == kSealSuffix) seals_.insert(name->base);
  if (name->suffix == kSnapshotSuffix) snapshots_.insert(name->base);
  for (std::string_view suffix : {kOffsetIndexSuffix, kTimeIndexSuffix, kTransactionIndexSuffix})
    if (name->suffix == suffix) indexes_.emplace(name->base, suffix);
  if (name->suffix == kLogSuffix) bases_.push_back(name->base);
}

Result<void> Verifier::list() {
  MR_TRY(auto entries, files_.list(directory_));
  for (const DirEntry& entry : entries) note_name(entry);
  std::ranges::sort(bases_);
  for (Offset base : bases_) {
    MR_TRY(auto file, files_.open(name_of(base, kLogSuffix), OpenMode::read));
    MR_TRY(std::uint64_t size, file->size());
    total_bytes_ += size;
  }
  report_.segments = bases_.size();
  if (!bases_.empty()) report_.first = report_.next = bases_.front();
  look_around();
  return {};
}

/// What the data directory knows of this partition.
void Verifier::look_around() {
  std::string_view name = std::string_view(directory_).substr(directory_.rfind('/') + 1);
  auto partition = around_ == nullptr ? std::nullopt : parse_partition_directory(name);
  if (!partition) return;
  compacted_ = around_->cleaned && around_->cleaned->contains(*partition);
  if (closed() && around_->recovery_points) {
    auto point = around_->recovery_points->find(*partition);
    if (point != around_->recovery_points->end()) evidence_ = point->second;
  }
  auto id = read_partition_metadata(files_, directory_);
  auto synced = id.ok() ? around_->journal_ends.find({*id, partition->partition}) : around_->journal_ends.end();
  if (synced != around_->journal_ends.end()) evidence_ = std::max(evidence_, synced->second);
}

/// What seals and snapshots say; those that do not read are problems, but small ones: both are made again.
Result<void> Verifier::load_evidence() {
  for (Offset at : snapshots_) {
    std::string path = name_of(at, kSnapshotSuffix);
    MR_TRY(auto bytes, read_whole_file(files_, path));
    auto table = ProducerTable::decode_snapshot(bytes, 0);
    if (table.ok()) evidence_ = std::max(evidence_, at);
    if (!table.ok()) report_.add({Kind::side_file, path, 0, at, table.error().message()});
  }
  for (Offset base : seals_) {
    if (!bases_.empty() && base < bases_.front() && !closed()) continue;  // left over from retention
    auto seal = read_seal(files_, directory_, base);
    if (!seal.ok() && seal.code() == Errc::disk_failed) return std::move(seal).error();
    if (!seal.ok()) report_.add({Kind::side_file, name_of(base, kSealSuffix), 0, base, seal.error().message()});
    if (!seal.ok() || !*seal) continue;
    evidence_ = std::max(evidence_, (*seal)->end);
    compacted_ = compacted_ || (*seal)->compacted;
    sealed_until_[base] = (*seal)->end;
  }
  return {};
}

/// Files that should be there and are not, and the other way round.
void Verifier::check_names() {
  for (const auto& [base, end] : sealed_until_)
    if (!std::ranges::binary_search(bases_, base))
      report_.add({Kind::missing, name_of(base, kLogSuffix), 0, base,
                   fmt::format("missing; its seal says that it holds offsets {} to {}", base.v, end.v - 1), end});
  for (const auto& [base, suffix] : indexes_)
    if (!std::ranges::binary_search(bases_, base) && !sealed_until_.contains(base))
      report_.add({Kind::foreign, name_of(base, suffix), 0, base, "an index without its segment"});
  pass_over_foreign_segments();
  check_missing_seals();
}

void Verifier::pass_over_foreign_segments() {
  Offset until{0};
  std::erase_if(bases_, [&](Offset base) {
    auto seal = sealed_until_.find(base);
    if (seal != sealed_until_.end()) until = std::max(until, seal->second);
    if (seal != sealed_until_.end() || base >= until) return false;
    report_.add({Kind::foreign, name_of(base, kLogSuffix), 0, base,
                 fmt::format("lies inside a segment that is sealed up to offset {}", until.v)});
    return true;
  });
}

/// A newest segment without a batch: its other files come with the first one.
bool Verifier::unwritten(Offset base) const {
  if (base != bases_.back()) return false;
  auto file = files_.open(segment_path(directory_, base, kLogSuffix), OpenMode::read);
  return file.ok() && (*file)->size().value_or(1) == 0;
}

/// Every segment behind one that has a seal gets its own at a roll, and the newest at a clean stop; that of a
/// compacted one may have been lost in a crash.
void Verifier::check_missing_seals() {
  if (!closed() || !around_->closed_here || !never_compacted()) return;
  for (Offset base : bases_) {
    bool older_sealed = !sealed_until_.empty() && sealed_until_.begin()->first < base;
    if ((base == bases_.back() || older_sealed) && !seals_.contains(base) && !unwritten(base))
      report_.add({Kind::side_file, name_of(base, kSealSuffix), 0, base, "missing"});
  }
}

bool Verifier::tell_progress(std::uint64_t bytes) {
  done_bytes_ += bytes;
  if (!progress_ || (done_bytes_ < told_bytes_ + kProgressEveryBytes && done_bytes_ != total_bytes_)) return true;
  told_bytes_ = done_bytes_;
  return progress_(done_bytes_, total_bytes_);
}

Result<IndexCursor> Verifier::open_index(Offset base, std::string_view suffix, std::size_t entry_bytes) {
  IndexCursor cursor{segment_path(directory_, base, suffix), {}, entry_bytes};
  if (!options_.indexes) return cursor;
  auto bytes = read_whole_file(files_, cursor.path);
  if (!bytes.ok()) {
    if (bytes.code() != Errc::not_found) return std::move(bytes).error();
    report_.add({Kind::index_wrong, cursor.path, 0, base, "missing"});
    return cursor;
  }
  cursor.bytes = std::move(*bytes);
  if (cursor.bytes.size() % entry_bytes != 0)
    report_.add({Kind::index_wrong, cursor.path, cursor.bytes.size(), base,
                 fmt::format("{} bytes are no multiple of {}", cursor.bytes.size(), entry_bytes)});
  // Kafka preallocates the indexes of an active segment: a tail of zeros after a crash is no entry.
  while (cursor.bytes.size() >= 2 * entry_bytes &&
         std::all_of(cursor.bytes.end() - static_cast<std::ptrdiff_t>(entry_bytes), cursor.bytes.end(),
                     [](std::byte b) { return b == std::byte{0}; }))
    cursor.bytes.resize(cursor.bytes.size() - entry_bytes);
  return cursor;
}

void Verifier::check_order(const std::string& path, const BatchScanner::Item& item, std::vector<VerifyProblem>& found) {
  const BatchHeader& header = item.header;
  Offset base{header.base_offset};
  if (base < report_.next)
    report_.add({Kind::corrupt, path, item.position, base,
                 fmt::format("offset {} comes after {}", base.v, report_.next.v - 1)});
  if (base > report_.next)
    found.push_back({never_compacted() ? Kind::corrupt : Kind::hole, path, item.position, report_.next,
                     fmt::format("offsets {} to {} are not there", report_.next.v, base.v - 1), base});
  LeaderEpoch epoch{header.leader_epoch};
  if (epoch < report_.latest_epoch)
    report_.add({Kind::corrupt, path, item.position, base,
                 fmt::format("leader epoch {} comes after {}", epoch.v, report_.latest_epoch.v)});
  report_.latest_epoch = std::max(report_.latest_epoch, epoch);
}

void Verifier::check_offset_index(const BatchScanner::Item& item, Offset base, std::vector<VerifyProblem>& found) {
  while (!offsets_.done()) {
    Offset offset{base.v + load_be<std::int32_t>(offsets_.entry())};
    auto position = load_be<std::int32_t>(offsets_.entry() + 4);
    if (position > static_cast<std::int64_t>(item.position)) return;
    if (position < static_cast<std::int64_t>(item.position) || offset != item.header.last_offset())
      found.push_back({Kind::index_wrong, offsets_.path, offsets_.at * offsets_.entry_bytes, offset,
                       fmt::format("entry (offset {}, position {}) meets the batch of offset {} at {}", offset.v,
                                   position, item.header.last_offset().v, item.position)});
    ++offsets_.at;
  }
}

void Verifier::check_time_index(const BatchScanner::Item& item, Offset base, std::vector<VerifyProblem>& found) {
  largest_ = std::max(largest_, item.header.max_timestamp);
  while (!times_.done()) {
    auto timestamp = load_be<std::int64_t>(times_.entry());
    Offset offset{base.v + load_be<std::int32_t>(times_.entry() + 8)};
    if (offset > item.header.last_offset()) return;
    if (offset != item.header.last_offset() || timestamp != largest_)
      found.push_back({Kind::index_wrong, times_.path, times_.at * times_.entry_bytes, offset,
                       fmt::format("entry (timestamp {}, offset {}) meets the batch of offset {}; largest so far is {}",
                                   timestamp, offset.v, item.header.last_offset().v, largest_)});
    ++times_.at;
  }
}

void Verifier::check_unused_entries(IndexCursor& cursor, std::uint64_t log_bytes, std::vector<VerifyProblem>& found) {
  if (!cursor.done())
    found.push_back({Kind::index_wrong, cursor.path, cursor.at * cursor.entry_bytes, std::nullopt,
                     fmt::format("{} entries point behind the log's {} bytes",
                                 cursor.bytes.size() / cursor.entry_bytes - cursor.at, log_bytes)});
}

Result<void> Verifier::check_records(const std::string& path, File& file, const BatchScanner::Item& item) {
  batch_.resize(item.header.total_bytes());
  MR_TRY(std::size_t got, file.read_at(batch_, item.position));
  if (got != batch_.size()) return {};
  auto wrong = [&](std::string what) {
    report_.add({Kind::records_wrong, path, item.position, Offset{item.header.base_offset}, std::move(what)});
  };
  auto records =
      inflater_.inflate(item.header.codec(), ByteView(batch_).subspan(BatchHeader::kBytes), kInflatedBytesMax);
  if (!records.ok()) {
    wrong(records.error().message());
    return {};
  }
  RecordReader reader(*records, item.header.records_count);
  Record record;
  std::int32_t last_delta = -1;
  while (reader.next(record)) {
    if (record.offset_delta <= last_delta || record.offset_delta > item.header.last_offset_delta) {
      wrong(fmt::format("record {} has offset delta {} after {}", reader.index() - 1, record.offset_delta, last_delta));
      return {};
    }
    last_delta = record.offset_delta;
  }
  if (!reader.ok()) wrong(fmt::format("record {}: {}", reader.index(), reader.problem()));
  return {};
}

/// True when the frame at `position` is followed by a batch whose checksum fits: damage in the midst of what was
/// written. (A power cut may leave this too, when the disk wrote a later batch and not an earlier one. From outside the
/// two look alike, and this tool rather says too much.)
bool Verifier::good_batch_follows(File& file, std::uint64_t position, std::uint64_t size) {
  std::array<std::byte, BatchHeader::kLengthPrefix> prefix;
  auto got = file.read_at(prefix, position);
  if (!got.ok() || *got != prefix.size()) return false;
  auto length = load_be<std::int32_t>(prefix.data() + BatchHeader::kLengthAt);
  if (length <= 0 || static_cast<std::uint64_t>(length) + prefix.size() >= size - position) return false;
  std::uint64_t next = position + prefix.size() + static_cast<std::uint64_t>(length);
  auto item = BatchScanner(file, next, size, BatchScanner::Depth::checksums, kScanChunkBytes).next();
  return item.ok() && item->has_value();
}

Result<void> Verifier::check_segment(std::size_t index) {
  Offset base = bases_[index];
  bool newest = index + 1 == bases_.size();
  std::string path = segment_path(directory_, base, kLogSuffix);
  offsets_ = {.entry_bytes = OffsetIndex::kEntryBytes};
  times_ = {.entry_bytes = TimeIndex::kEntryBytes};
  if (!unwritten(base)) {
    MR_TRY(offsets_, open_index(base, kOffsetIndexSuffix, OffsetIndex::kEntryBytes));
    MR_TRY(times_, open_index(base, kTimeIndexSuffix, TimeIndex::kEntryBytes));
  }
  largest_ = -1;
  std::vector<VerifyProblem> found;
  std::uint64_t seen = 0;
  // From outside nobody knows whether the topic is compacted: holes are reported, and damage is what has bytes.
  SegmentToVerify segment{base, newest ? std::max(evidence_, base) : bases_[index + 1], newest, true};
  Result<void> failed;
  auto visit = [&](File& file, const BatchScanner::Item& item) {
    check_order(path, item, found);
    check_offset_index(item, base, found);
    check_time_index(item, base, found);
    if (options_.records) failed = check_records(path, file, item);
    ++report_.batches;
    report_.records += static_cast<std::uint64_t>(item.header.records_count);
    report_.next = std::max(report_.next, item.header.next_offset());
    seen += item.header.total_bytes();
    return failed.ok() && tell_progress(item.header.total_bytes());
  };
  auto verdict = storage::verify_segment(files_, directory_, segment, visit);
  if (!failed.ok()) return failed;
  if (!verdict.ok()) return std::move(verdict).error();
  report_.bytes += verdict->bytes;
  check_unused_entries(offsets_, verdict->bytes, found);
  check_unused_entries(times_, verdict->bytes, found);
  report_damage(path, *verdict, std::move(found));
  if (verdict->torn) {
    MR_TRY(auto file, files_.open(path, OpenMode::read));
    report_tail(path, *file, *verdict);
  }
  report_.next = std::max(report_.next, verdict->next);
  return tell_progress(verdict->bytes - std::min(seen, verdict->bytes)) ? Result<void>{} : Errc::cancelled;
}

void Verifier::report_damage(const std::string& path, const SegmentVerdict& verdict, std::vector<VerifyProblem> found) {
  for (const DamagedRange& range : verdict.damage)
    report_.add({Kind::corrupt, path, range.position, range.first,
                 fmt::format("{}; {} bytes and offsets {} to {} do not read", range.why, range.bytes(), range.first.v,
                             range.next.v - 1),
                 range.next});
  // Damage explains why offsets are not there and entries of indexes do not fit.
  bool unread = !verdict.damage.empty() || verdict.torn;
  for (VerifyProblem& problem : found) {
    bool explained = unread && (problem.file == times_.path || !problem.offset ||
                                find_damage(verdict.damage, *problem.offset) != nullptr);
    if (!explained) report_.add(std::move(problem));
  }
}

void Verifier::report_tail(const std::string& path, File& file, const SegmentVerdict& verdict) {
  bool follows = good_batch_follows(file, verdict.torn_at, verdict.bytes);
  report_.add({follows ? Kind::corrupt : Kind::torn_tail, path, verdict.torn_at, verdict.next,
               fmt::format("{}; {} bytes left unread{}", *verdict.torn, verdict.bytes - verdict.torn_at,
                           follows ? ", and they go on with a whole batch" : "")});
}

void Verifier::check_epoch_checkpoint() {
  std::string path = epoch_checkpoint_path(directory_);
  auto text = read_whole_file(files_, path);
  if (!text.ok()) {
    // Its first line goes to disk with the first batch.
    if (report_.batches > 0 && (closed() || evidence_ > report_.first))
      report_.add({Kind::side_file, path, 0, std::nullopt, "missing"});
    return;
  }
  auto table = EpochTable::decode(as_text(*text));
  if (!table.ok()) {
    report_.add({Kind::side_file, path, 0, std::nullopt, table.error().message()});
    return;
  }
  if (table->latest() < report_.latest_epoch)
    report_.add({Kind::side_file, path, 0, std::nullopt,
                 fmt::format("ends with epoch {}, the log with {}", table->latest().v, report_.latest_epoch.v)});
  if (table->lines().empty()) return;
  Offset first = table->lines().front().start, last = table->lines().back().start;
  if (first < report_.first)
    report_.add({never_compacted() ? Kind::missing : Kind::hole, path, 0, first,
                 fmt::format("the first segment begins at offset {}, the epochs at {}", report_.first.v, first.v),
                 report_.first});
  if (last > std::max(report_.next, evidence_))
    report_.add({Kind::side_file, path, 0, last,
                 fmt::format("names offset {}, but the log ends at {}", last.v, report_.next.v)});
}

void Verifier::check_metadata() {
  auto id = read_partition_metadata(files_, directory_);
  if (id.ok()) return;
  std::string what = id.code() == Errc::not_found ? "missing" : id.error().message();
  report_.add(
      {Kind::side_file, directory_ + "/" + std::string(kPartitionMetadataName), 0, std::nullopt, std::move(what)});
}

/// A clean stop writes one where the log ends.
void Verifier::check_snapshot() {
  if (closed() && report_.next > report_.first && !snapshots_.contains(report_.next))
    report_.add({Kind::side_file, name_of(report_.next, kSnapshotSuffix), 0, report_.next, "missing"});
}

/// Nothing that was synced may be missing behind the last segment.
void Verifier::check_ends() {
  if (report_.next >= evidence_) return;
  report_.add({Kind::missing, directory_, 0, report_.next,
               fmt::format("offsets {} to {} had been synced and are not there", report_.next.v, evidence_.v - 1),
               evidence_});
  report_.next = evidence_;
}

Result<VerifyReport> Verifier::run() {
  MR_TRY_VOID(list());
  MR_TRY_VOID(load_evidence());
  check_names();
  for (std::size_t i = 0; i < bases_.size(); ++i) {
    std::string path = name_of(bases_[i], kLogSuffix);
    if (i > 0 && bases_[i] < report_.next)
      report_.add({Kind::corrupt, path, 0, bases_[i],
                   fmt::format("starts below offset {}, where the segment before ends", report_.next.v)});
    if (i > 0 && bases_[i] > report_.next) {
      report_.add({never_compacted() ? Kind::missing : Kind::hole, path, 0, report_.next,
                   fmt::format("offsets {} to {} are not there", report_.next.v, bases_[i].v - 1), bases_[i]});
      report_.next = bases_[i];
    }
    MR_TRY_VOID(check_segment(i));
  }
  check_ends();
  check_epoch_checkpoint();
  check_metadata();
  check_snapshot();
  return std::move(report_);
}

}  // namespace

std::string_view to_string(VerifyProblem::Kind kind) {
  switch (kind) {
    case Kind::torn_tail:
      return "torn tail";
    case Kind::corrupt:
      return "corrupt";
    case Kind::missing:
      return "missing";
    case Kind::hole:
      return "hole";
    case Kind::index_wrong:
      return "index wrong";
    case Kind::side_file:
      return "side file";
    case Kind::foreign:
      return "foreign";
    case Kind::records_wrong:
      return "records wrong";
  }
  return "?";
}

void VerifyReport::add(VerifyProblem problem) {
  ++problem_count;
  if (problems.size() < kProblemsMax) problems.push_back(std::move(problem));
}

bool VerifyReport::healthy() const {
  return std::ranges::all_of(problems,
                             [](const VerifyProblem& p) { return p.kind == Kind::torn_tail || p.kind == Kind::hole; });
}

Result<VerifyReport> verify_partition(FileSystem& files, const std::string& directory, VerifyOptions options,
                                      const Progress& progress) {
  return Verifier(files, directory, options, progress).run();
}

Result<std::vector<std::string>> partition_directories(FileSystem& files, const std::string& path) {
  MR_TRY(auto entries, files.list(path));
  std::vector<std::string> found;
  for (const DirEntry& entry : entries) {
    if (!entry.is_directory && parse_segment_file_name(entry.name)) return std::vector<std::string>{path};
    if (entry.is_directory && parse_partition_directory(entry.name)) found.push_back(path + "/" + entry.name);
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace mr::storage
