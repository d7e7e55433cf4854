// The small files of a data directory out of arbitrary bytes; the first byte says which. Each either decodes, and then
// encodes to something that decodes to the same, or is refused with a reason. Index files of any content never lead a
// look-up astray.
#include <cstdlib>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "sim/disk.h"
#include "storage/data_dir.h"
#include "storage/epoch_table.h"
#include "storage/index_file.h"
#include "storage/log_verify.h"
#include "storage/partition_metadata.h"
#include "storage/producer_table.h"
#include "storage/segment_names.h"
#include "storage/segment_seal.h"
#include "storage/text_checkpoint.h"

using namespace mr;           // NOLINT: a program, not a header
using namespace mr::storage;  // NOLINT

namespace {

void put(FileSystem& disk, const std::string& path, ByteView bytes) {
  auto file = disk.open(path, OpenMode::create);
  MR_CHECK(file.ok() && (*file)->write_at(bytes, 0).ok());
}

/// Takes the byte that chooses among `count` off the front.
std::size_t choose(ByteView& bytes, std::size_t count) {
  if (bytes.empty()) return 0;
  auto chosen = std::to_integer<std::size_t>(bytes[0]) % count;
  bytes = bytes.subspan(1);
  return chosen;
}

void texts(std::string_view text) {
  if (auto table = EpochTable::decode(text); table.ok()) {
    auto again = EpochTable::decode(table->encode());
    MR_CHECK(again.ok() && again->lines() == table->lines());
    (void)table->end_of(LeaderEpoch{3}, Offset{INT64_MAX});
    (void)table->truncate_from_start(Offset{7});
    (void)table->truncate_from_end(Offset{5});
  }
  if (auto offsets = decode_offset_checkpoint(text); offsets.ok()) {
    auto again = decode_offset_checkpoint(encode_offset_checkpoint(*offsets));
    MR_CHECK(again.ok() && *again == *offsets);
  }
  if (auto id = decode_partition_metadata(text); id.ok())
    MR_CHECK(*decode_partition_metadata(encode_partition_metadata(*id)) == *id);
  if (auto name = parse_segment_file_name(text); name && !name->deleted)
    MR_CHECK(segment_path("d", name->base, name->suffix) == "d/" + std::string(text));
  if (auto partition = parse_partition_directory(text)) MR_CHECK(partition->to_string() == text);
}

/// One file of a data directory. The marker of a clean stop counts once; checkpoints that read are taken as they are.
void data_directory(ByteView bytes) {
  constexpr std::string_view kNames[] = {"meta.properties", ".kafka_cleanshutdown", "recovery-point-offset-checkpoint",
                                         "log-start-offset-checkpoint", "replication-offset-checkpoint"};
  std::string_view name = kNames[choose(bytes, std::size(kNames))];
  sim::Disk disk(1);
  MR_CHECK(disk.make_directories("/data").ok());
  put(disk, "/data/" + std::string(name), bytes);
  {
    auto dir = DataDir::open(disk, "/data");
    if (!dir.ok()) return;
    auto offsets = decode_offset_checkpoint(as_text(bytes));
    for (const auto& [partition, offset] : offsets.ok() ? *offsets : OffsetCheckpoint{}) {
      if (name == kNames[2]) MR_CHECK((*dir)->recovery_point(partition) == offset);
      if (name == kNames[3]) MR_CHECK((*dir)->log_start(partition) == offset);
      if (name == kNames[4]) MR_CHECK((*dir)->high_watermark(partition) == offset);
    }
    MR_CHECK(!(*dir)->was_clean() || name == kNames[1]);
    if (!(*dir)->claim("c", BrokerId{1}, Uuid{1, 2}).ok()) return;
  }
  auto again = DataDir::open(disk, "/data");
  MR_CHECK(again.ok() && !(*again)->was_clean() && (*again)->cluster_id() == "c");
}

void snapshot(ByteView bytes) {
  std::vector<std::byte> fixed(bytes.begin(), bytes.end());
  if (fixed.size() >= 10) {
    store_be<std::int16_t>(fixed.data(), 1);
    store_be(fixed.data() + 2, crc32c(ByteView(fixed).subspan(6)));
  }
  auto table = ProducerTable::decode_snapshot(fixed, 5);
  if (!table.ok()) return;
  auto again = ProducerTable::decode_snapshot(table->encode_snapshot(), 5);
  MR_CHECK(again.ok() && again->size() == table->size());
}

void indexes(ByteView bytes) {
  sim::Disk disk(1);
  MR_CHECK(disk.make_directories("/d").ok());
  LogPlace place{disk, "/d"};
  put(disk, segment_path("/d", Offset{100}, kOffsetIndexSuffix), bytes);
  put(disk, segment_path("/d", Offset{100}, kTimeIndexSuffix), bytes);
  OffsetIndex offsets(place, Offset{100}, kOffsetIndexSuffix);
  TimeIndex times(place, Offset{100}, kTimeIndexSuffix);
  MR_CHECK(offsets.file().load().ok() && times.file().load().ok());
  MR_CHECK(offsets.position_for(Offset{150}).ok() && offsets.position_before(4096).ok());
  MR_CHECK(times.last().ok() && times.last_before(1000).ok() && times.last_below(Offset{120}).ok());
}

void seal(ByteView bytes) {
  std::vector<std::byte> fixed(bytes.begin(), bytes.end());
  if (fixed.size() >= 56) {
    store_be<std::uint32_t>(fixed.data(), 0x4d52534c);
    store_be<std::uint16_t>(fixed.data() + 4, 1);
    store_be(fixed.data() + fixed.size() - 4, crc32c(ByteView(fixed).first(fixed.size() - 4)));
  }
  auto read = SegmentSeal::decode(fixed);
  if (!read.ok()) return;
  auto again = SegmentSeal::decode(read->encode());
  MR_CHECK(again.ok() && *again == *read);
  std::uint64_t covered = 0;
  for (const HeaderFact& fact : read->facts()) {
    MR_CHECK(fact.position == covered && fact.end > covered);
    covered = fact.end;
  }
  MR_CHECK(covered == (read->batches == 0 ? 0 : read->bytes));
  HeaderChain chain = HeaderChain::resume(*read);
  std::vector<std::byte> header(BatchHeader::kBytes);
  for (std::uint64_t n = 1; n <= 3; ++n) chain.add(header, read->bytes + 100'000 * n);
  MR_CHECK(chain.seal(read->base, read->end).marks.size() <= HeaderChain::kMarks);
}

/// As `log dump` shows them.
void side_file(ByteView bytes) {
  constexpr std::string_view kNames[] = {"00000000000000000100.index",
                                         "00000000000000000100.timeindex",
                                         "00000000000000000100.snapshot",
                                         "leader-epoch-checkpoint",
                                         "partition.metadata",
                                         "recovery-point-offset-checkpoint"};
  std::string path = "/d/" + std::string(kNames[choose(bytes, std::size(kNames))]);
  sim::Disk disk(1);
  MR_CHECK(disk.make_directories("/d").ok());
  put(disk, path, bytes);
  (void)dump_side_file(disk, path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  set_log_level(LogLevel::off);
  if (size == 0) return 0;
  ByteView bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      texts(as_text(bytes));
      break;
    case 1:
      data_directory(bytes);
      break;
    case 2:
      snapshot(bytes);
      break;
    case 3:
      indexes(bytes);
      break;
    case 4:
      seal(bytes);
      break;
    case 5:
      side_file(bytes);
      break;
  }
  return 0;
}
