#include "storage/log_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "model/compression.h"
#include "model/record.h"
#include "storage/batch_scanner.h"
#include "storage/epoch_table.h"
#include "storage/index_file.h"
#include "storage/partition_metadata.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

constexpr std::size_t kScanChunkBytes = 1u << 20;
constexpr std::uint64_t kInflatedBytesMax = 1u << 30;
constexpr std::uint64_t kProgressEveryBytes = 4u << 20;

/// The entries of one index file, walked beside the batches.
struct IndexCursor {
  std::string path;
  std::vector<std::byte> bytes;
  std::size_t entry_bytes;
  std::size_t at = 0;

  bool done() const { return (at + 1) * entry_bytes > bytes.size(); }
  const std::byte* entry() const { return bytes.data() + at * entry_bytes; }
};

class Verifier {
 public:
  Verifier(FileSystem& files, const std::string& directory, VerifyOptions options, const Progress& progress)
      : files_(files), directory_(directory), options_(options), progress_(progress) {}

  Result<VerifyReport> run();

 private:
  Result<void> list();
  Result<void> verify_segment(std::size_t index);
  Result<IndexCursor> open_index(Offset base, std::string_view suffix, std::size_t entry_bytes);
  void check_order(const std::string& path, const BatchScanner::Item& item);
  void check_offset_index(const BatchScanner::Item& item, Offset base);
  void check_time_index(const BatchScanner::Item& item, Offset base);
  void check_unused_entries(IndexCursor& cursor, std::uint64_t log_bytes);
  Result<void> check_records(const std::string& path, File& file, const BatchScanner::Item& item);
  bool good_batch_follows(File& file, std::uint64_t position, std::uint64_t size);
  void check_epoch_checkpoint();
  bool tell_progress(std::uint64_t bytes);

  FileSystem& files_;
  const std::string& directory_;
  VerifyOptions options_;
  const Progress& progress_;
  std::vector<Offset> bases_;
  std::uint64_t total_bytes_ = 0, done_bytes_ = 0, told_bytes_ = 0;
  IndexCursor offsets_, times_;
  WallMillis largest_ = -1;
  Inflater inflater_;
  std::vector<std::byte> batch_;
  VerifyReport report_;
};

using Kind = VerifyProblem::Kind;

Result<void> Verifier::list() {
  MR_TRY(auto entries, files_.list(directory_));
  for (const DirEntry& entry : entries) {
    auto name = parse_segment_file_name(entry.name);
    if (!name || name->deleted || name->suffix != kLogSuffix) continue;
    bases_.push_back(name->base);
    MR_TRY(auto file, files_.open(directory_ + "/" + entry.name, OpenMode::read));
    MR_TRY(std::uint64_t size, file->size());
    total_bytes_ += size;
  }
  std::ranges::sort(bases_);
  if (bases_.empty()) return Error(Errc::not_found, directory_ + ": no segment in it");
  report_.first = report_.next = bases_.front();
  report_.segments = bases_.size();
  return {};
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
    if (base != bases_.back()) report_.add({Kind::index_wrong, cursor.path, 0, base, "missing"});
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

void Verifier::check_order(const std::string& path, const BatchScanner::Item& item) {
  const BatchHeader& header = item.header;
  Offset base{header.base_offset};
  if (base < report_.next)
    report_.add({Kind::corrupt, path, item.position, base,
                 fmt::format("offset {} comes after {}", base.v, report_.next.v - 1)});
  if (base > report_.next)
    report_.add({Kind::hole, path, item.position, base,
                 fmt::format("offsets {} to {} are not there", report_.next.v, base.v - 1)});
  LeaderEpoch epoch{header.leader_epoch};
  if (epoch < report_.latest_epoch)
    report_.add({Kind::corrupt, path, item.position, base,
                 fmt::format("leader epoch {} comes after {}", epoch.v, report_.latest_epoch.v)});
  report_.latest_epoch = std::max(report_.latest_epoch, epoch);
}

void Verifier::check_offset_index(const BatchScanner::Item& item, Offset base) {
  while (!offsets_.done()) {
    Offset offset{base.v + load_be<std::int32_t>(offsets_.entry())};
    auto position = load_be<std::int32_t>(offsets_.entry() + 4);
    if (position > static_cast<std::int64_t>(item.position)) return;
    if (position < static_cast<std::int64_t>(item.position) || offset != item.header.last_offset())
      report_.add({Kind::index_wrong, offsets_.path, offsets_.at * offsets_.entry_bytes, offset,
                   fmt::format("entry (offset {}, position {}) meets the batch of offset {} at {}", offset.v, position,
                               item.header.last_offset().v, item.position)});
    ++offsets_.at;
  }
}

void Verifier::check_time_index(const BatchScanner::Item& item, Offset base) {
  largest_ = std::max(largest_, item.header.max_timestamp);
  while (!times_.done()) {
    auto timestamp = load_be<std::int64_t>(times_.entry());
    Offset offset{base.v + load_be<std::int32_t>(times_.entry() + 8)};
    if (offset > item.header.last_offset()) return;
    if (offset != item.header.last_offset() || timestamp != largest_)
      report_.add({Kind::index_wrong, times_.path, times_.at * times_.entry_bytes, offset,
                   fmt::format("entry (timestamp {}, offset {}) meets the batch of offset {}; largest so far is {}",
                               timestamp, offset.v, item.header.last_offset().v, largest_)});
    ++times_.at;
  }
}

void Verifier::check_unused_entries(IndexCursor& cursor, std::uint64_t log_bytes) {
  if (!cursor.done())
    report_.add({Kind::index_wrong, cursor.path, cursor.at * cursor.entry_bytes, std::nullopt,
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

Result<void> Verifier::verify_segment(std::size_t index) {
  Offset base = bases_[index];
  std::string path = segment_path(directory_, base, kLogSuffix);
  MR_TRY(auto file, files_.open(path, OpenMode::read));
  MR_TRY(std::uint64_t size, file->size());
  MR_TRY(offsets_, open_index(base, kOffsetIndexSuffix, OffsetIndex::kEntryBytes));
  MR_TRY(times_, open_index(base, kTimeIndexSuffix, TimeIndex::kEntryBytes));
  largest_ = -1;
  report_.bytes += size;
  BatchScanner scanner(*file, 0, size, BatchScanner::Depth::checksums, kScanChunkBytes);
  while (true) {
    auto item = scanner.next();
    if (!item.ok()) {
      if (item.code() != Errc::corrupt_batch) return in_file(path, std::move(item).error());
      bool follows = good_batch_follows(*file, scanner.position(), size);
      bool torn = index + 1 == bases_.size() && !follows;
      report_.add({torn ? Kind::torn_tail : Kind::corrupt, path, scanner.position(), report_.next,
                   fmt::format("{}; {} bytes left unread{}", item.error().detail(), size - scanner.position(),
                               follows ? ", and they go on with a whole batch" : "")});
      if (!tell_progress(size - scanner.position())) return Errc::cancelled;
      return {};
    }
    if (!*item) break;
    check_order(path, **item);
    check_offset_index(**item, base);
    check_time_index(**item, base);
    if (options_.records) MR_TRY_VOID(check_records(path, *file, **item));
    ++report_.batches;
    report_.records += static_cast<std::uint64_t>((*item)->header.records_count);
    report_.next = std::max(report_.next, (*item)->header.next_offset());
    if (!tell_progress((*item)->header.total_bytes())) return Errc::cancelled;
  }
  check_unused_entries(offsets_, size);
  check_unused_entries(times_, size);
  return {};
}

void Verifier::check_epoch_checkpoint() {
  std::string path = epoch_checkpoint_path(directory_);
  auto text = read_whole_file(files_, path);
  if (!text.ok()) return;  // made again from the batches
  auto table = EpochTable::decode(as_text(*text));
  if (!table.ok()) {
    report_.add({Kind::corrupt, path, 0, std::nullopt, table.error().message()});
  } else if (table->latest() < report_.latest_epoch) {
    report_.add({Kind::corrupt, path, 0, std::nullopt,
                 fmt::format("ends with epoch {}, the log with {}", table->latest().v, report_.latest_epoch.v)});
  }
}

Result<VerifyReport> Verifier::run() {
  MR_TRY_VOID(list());
  for (std::size_t i = 0; i < bases_.size(); ++i) {
    if (i > 0 && bases_[i] < report_.next)
      report_.add({Kind::corrupt, segment_path(directory_, bases_[i], kLogSuffix), 0, bases_[i],
                   fmt::format("starts below offset {}, where the segment before ends", report_.next.v)});
    MR_TRY_VOID(verify_segment(i));
  }
  check_epoch_checkpoint();
  return std::move(report_);
}

}  // namespace

std::string_view to_string(VerifyProblem::Kind kind) {
  switch (kind) {
    case Kind::torn_tail:
      return "torn tail";
    case Kind::corrupt:
      return "corrupt";
    case Kind::hole:
      return "hole";
    case Kind::index_wrong:
      return "index wrong";
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
