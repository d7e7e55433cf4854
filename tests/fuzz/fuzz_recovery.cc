// A partition's directory made of arbitrary bytes is opened: as after a crash or, with wrong trust, as after a clean
// stop. Opening may refuse; what it accepts must read to the end or say corrupt_batch, take appends and open again.
#include <algorithm>
#include <cstdlib>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "sim/disk.h"
#include "storage/log_verify.h"
#include "storage/partition_log.h"
#include "storage/segment_names.h"
#include "storage/test_batches.h"
#include "tests/fuzz/input.h"

using namespace mr;           // NOLINT: a program, not a header
using namespace mr::storage;  // NOLINT

namespace {

/// Most inputs fail at the first checksum: makes those right that could be, so that what lies behind is reached too.
void repair_checksums(std::vector<std::byte>& log) {
  std::size_t at = 0;
  while (at + BatchHeader::kBytes <= log.size()) {
    std::byte* p = log.data() + at;
    auto length = static_cast<std::size_t>(load_be<std::uint32_t>(p + BatchHeader::kLengthAt) & 0x3ff) + 49;
    if (at + BatchHeader::kLengthPrefix + length > log.size()) return;
    store_be(p + BatchHeader::kLengthAt, static_cast<std::int32_t>(length));
    store_be<std::int8_t>(p + BatchHeader::kMagicAt, 2);
    std::size_t total = BatchHeader::kLengthPrefix + length;
    store_be(p + BatchHeader::kCrcAt, crc32c(ByteView(p, total).subspan(BatchHeader::kAttributesAt)));
    at += total;
  }
}

void put(FileSystem& disk, const std::string& path, ByteView bytes) {
  auto file = disk.open(path, OpenMode::create);
  MR_CHECK(file.ok() && (*file)->write_at(bytes, 0).ok() && (*file)->sync().ok());
}

void read_to_the_end(PartitionLog& log, bool trusted) {
  Offset next = log.log_start();
  while (next < log.log_end()) {
    auto read = log.read(next, log.log_end(), 10'000, true);
    if (!read.ok()) {
      MR_CHECK(read.code() == Errc::corrupt_batch);
      return;
    }
    if (read->bytes == 0) return;  // a hole up to the end
    std::vector<std::byte> first(read->fragments[0].length);
    MR_CHECK(read->fragments[0].file->read_at(first, read->fragments[0].position).ok());
    auto header = BatchHeader::parse(first);
    // Nobody has looked at what was trusted: it may be garbage, but must not be worse.
    if (trusted && (!header.ok() || header->total_bytes() > first.size() || header->next_offset() <= next)) return;
    MR_CHECK(header.ok() && header->total_bytes() <= first.size());
    MR_CHECK(trusted || batch_crc_matches(ByteView(first).subspan(0, header->total_bytes())));
    MR_CHECK(header->next_offset() > next);
    next = header->next_offset();
  }
}

/// Which files there are besides the first segment, and how true they are.
struct Flags {
  static constexpr std::uint16_t kCleanStop = 1;
  static constexpr std::uint16_t kRepair = 2;  ///< checksums of batches are made right
  static constexpr std::uint16_t kIndex = 4;
  static constexpr std::uint16_t kTimeIndex = 8;
  static constexpr std::uint16_t kSnapshot = 16;
  static constexpr std::uint16_t kSecond = 32;  ///< another segment
  static constexpr std::uint16_t kKeepOld = 64;
  static constexpr std::uint16_t kSeal = 128;
  static constexpr std::uint16_t kEpochs = 256;
  static constexpr std::uint16_t kCompacted = 512;
  static constexpr std::uint16_t kSuffixAt = 10;  ///< two bits: under which name the other segment lies
};

void fix_snapshot(std::vector<std::byte>& snapshot) {
  if (snapshot.size() < 10) return;
  store_be<std::int16_t>(snapshot.data(), 1);
  store_be(snapshot.data() + 2, crc32c(ByteView(snapshot).subspan(6)));
}

void fix_seal(std::vector<std::byte>& seal) {
  if (seal.size() < 56) return;
  store_be<std::uint32_t>(seal.data(), 0x4d52534c);
  store_be<std::uint16_t>(seal.data() + 4, 1);
  store_be(seal.data() + seal.size() - 4, crc32c(ByteView(seal).first(seal.size() - 4)));
}

/// Lays the input out as a partition's directory. Two bytes of flags, five of lengths and the second segment's base,
/// then the pieces, then the first segment.
std::uint16_t make_directory(FileSystem& disk, const std::string& directory, FuzzInput in) {
  auto flags = static_cast<std::uint16_t>(in.byte());
  flags = static_cast<std::uint16_t>(flags | in.byte() << 8);
  std::size_t index_bytes = in.byte(), time_bytes = in.byte(), side_bytes = in.byte(), second_bytes = in.byte();
  std::int64_t second_base = in.byte();
  auto piece = [&](std::size_t bytes) {
    ByteView taken = in.piece(bytes);
    return std::vector<std::byte>(taken.begin(), taken.end());
  };
  if (flags & Flags::kIndex) put(disk, directory + "/00000000000000000000.index", piece(index_bytes));
  if (flags & Flags::kTimeIndex) put(disk, directory + "/00000000000000000000.timeindex", piece(time_bytes));
  if (flags & Flags::kSnapshot) {
    std::vector<std::byte> snapshot = piece(side_bytes);
    fix_snapshot(snapshot);
    put(disk, directory + "/00000000000000000003.snapshot", snapshot);
  }
  if (flags & Flags::kSeal) {
    std::vector<std::byte> seal = piece(side_bytes);
    fix_seal(seal);
    put(disk, directory + "/00000000000000000000.seal", seal);
  }
  if (flags & Flags::kEpochs) put(disk, directory + "/leader-epoch-checkpoint", piece(side_bytes));
  if (flags & Flags::kSecond) {
    std::vector<std::byte> second = piece(second_bytes * 4);
    if (flags & Flags::kRepair) repair_checksums(second);
    constexpr std::string_view kSuffixes[] = {".log", ".log.swap", ".log.cleaned", ".log.deleted"};
    put(disk, segment_path(directory, Offset{second_base}, kSuffixes[flags >> Flags::kSuffixAt & 3]), second);
  }
  std::vector<std::byte> log_bytes = piece(in.left.size());
  if (flags & Flags::kRepair) repair_checksums(log_bytes);
  put(disk, directory + "/00000000000000000000.log", log_bytes);
  return flags;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  set_log_level(LogLevel::off);
  sim::Disk disk(1);
  const std::string directory = "/data/t-0";
  MR_CHECK(disk.make_directories(directory).ok());
  std::uint16_t flags = make_directory(disk, directory, {{reinterpret_cast<const std::byte*>(data), size}});

  (void)verify_partition(disk, directory);
  Log::OpenOptions options;
  options.directory = directory;
  options.partition = {"t", PartitionIndex{0}};
  options.clean_stop = (flags & Flags::kCleanStop) != 0;
  options.config.delete_old = (flags & Flags::kKeepOld) == 0;
  options.config.compacted = (flags & Flags::kCompacted) != 0;
  auto log = PartitionLog::open(disk, options);
  if (!log.ok()) return 0;
  PartitionLog& opened = **log;
  MR_CHECK(opened.log_start() <= opened.log_end() && opened.durable_end() == opened.log_end());
  read_to_the_end(opened, options.clean_stop);
  (void)opened.find_timestamp(1000, opened.log_end(), opened.log_start());
  (void)opened.find_max_timestamp(opened.log_end());
  if (options.clean_stop || opened.log_end().v > INT64_MAX - 10 || opened.latest_epoch().v == INT32_MAX) return 0;

  std::vector<std::byte> batch = test::make_batch({.records = 2});
  LeaderEpoch epoch{opened.latest_epoch().v + 1};
  Offset before = opened.log_end();
  auto appended = opened.append(batch, test::header_of(batch), 1000, epoch, 1000);
  MR_CHECK(appended.ok() && appended->base_offset == before);
  auto read = opened.read(before, opened.log_end(), 10'000, true);
  MR_CHECK(read.ok() && read->bytes == batch.size() && read->first_batch_base == before);
  Offset end = opened.log_end();
  MR_CHECK(opened.close().ok());
  log->reset();
  options.clean_stop = true;
  auto again = PartitionLog::open(disk, options);
  MR_CHECK(again.ok() && (*again)->log_end() == end);
  return 0;
}
