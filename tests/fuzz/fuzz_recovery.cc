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

using namespace mr;           // NOLINT: a program, not a header
using namespace mr::storage;  // NOLINT

namespace {

/// Cuts pieces off the input, with lengths from the input.
struct Pieces {
  ByteView left;
  std::uint8_t byte() {
    if (left.empty()) return 0;
    auto value = std::to_integer<std::uint8_t>(left[0]);
    left = left.subspan(1);
    return value;
  }
  ByteView piece(std::size_t bytes) {
    ByteView taken = left.subspan(0, std::min(bytes, left.size()));
    left = left.subspan(taken.size());
    return taken;
  }
};

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  set_log_level(LogLevel::off);
  Pieces in{{reinterpret_cast<const std::byte*>(data), size}};
  std::uint8_t flags = in.byte();
  sim::Disk disk(1);
  const std::string directory = "/data/t-0";
  MR_CHECK(disk.make_directories(directory).ok());
  std::size_t index_bytes = in.byte(), time_bytes = in.byte(), snapshot_bytes = in.byte(), second_bytes = in.byte();
  std::int64_t second_base = in.byte();
  if (flags & 4) put(disk, directory + "/00000000000000000000.index", in.piece(index_bytes));
  if (flags & 8) put(disk, directory + "/00000000000000000000.timeindex", in.piece(time_bytes));
  if (flags & 16) {
    ByteView piece = in.piece(snapshot_bytes);
    std::vector<std::byte> snapshot(piece.begin(), piece.end());
    if (snapshot.size() >= 10) {
      store_be<std::int16_t>(snapshot.data(), 1);
      store_be(snapshot.data() + 2, crc32c(ByteView(snapshot).subspan(6)));
    }
    put(disk, directory + "/00000000000000000003.snapshot", snapshot);
  }
  if (flags & 32) {
    ByteView piece = in.piece(second_bytes * 4);
    std::vector<std::byte> second(piece.begin(), piece.end());
    if (flags & 2) repair_checksums(second);
    put(disk, segment_path(directory, Offset{second_base}, ".log"), second);
  }
  std::vector<std::byte> log_bytes(in.left.begin(), in.left.end());
  if (flags & 2) repair_checksums(log_bytes);
  put(disk, directory + "/00000000000000000000.log", log_bytes);

  (void)verify_partition(disk, directory);
  Log::OpenOptions options;
  options.directory = directory;
  options.partition = {"t", PartitionIndex{0}};
  options.clean_stop = (flags & 1) != 0;
  options.config.delete_old = (flags & 64) == 0;
  auto log = PartitionLog::open(disk, options);
  if (!log.ok()) return 0;
  PartitionLog& opened = **log;
  MR_CHECK(opened.log_start() <= opened.log_end() && opened.durable_end() == opened.log_end());
  read_to_the_end(opened, options.clean_stop);
  (void)opened.find_timestamp(1000, opened.log_end());
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
