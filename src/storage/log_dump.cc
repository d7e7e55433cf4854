#include <fmt/format.h>

#include "storage/batch_scanner.h"
#include "storage/epoch_table.h"
#include "storage/index_file.h"
#include "storage/log_verify.h"
#include "storage/partition_metadata.h"
#include "storage/producer_table.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"
#include "storage/text_checkpoint.h"

namespace mr::storage {
namespace {

constexpr std::size_t kScanChunkBytes = 256u << 10;
using Lines = std::vector<std::string>;

Lines dump_offset_index(ByteView bytes, Offset base) {
  Lines lines;
  for (; bytes.size() >= OffsetIndex::kEntryBytes; bytes = bytes.subspan(OffsetIndex::kEntryBytes))
    lines.push_back(fmt::format("offset {} position {}", base.v + load_be<std::int32_t>(bytes.data()),
                                load_be<std::int32_t>(bytes.data() + 4)));
  return lines;
}

Lines dump_time_index(ByteView bytes, Offset base) {
  Lines lines;
  for (; bytes.size() >= TimeIndex::kEntryBytes; bytes = bytes.subspan(TimeIndex::kEntryBytes))
    lines.push_back(fmt::format("timestamp {} offset {}", load_be<std::int64_t>(bytes.data()),
                                base.v + load_be<std::int32_t>(bytes.data() + 8)));
  return lines;
}

Result<Lines> dump_snapshot(ByteView bytes) {
  MR_TRY(ProducerTable table, ProducerTable::decode_snapshot(bytes, 0));
  Lines lines;
  for (const Log::ProducerInfo& producer : table.list()) {
    std::string line = fmt::format("producer {} epoch {}", producer.id.v, producer.epoch.v);
    if (!producer.batches.empty()) {
      const ProducerBatch& last = producer.batches.back();
      line += fmt::format(" last sequence {} last offset {} timestamp {}", last.last_sequence, last.last_offset.v,
                          last.timestamp);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

Result<Lines> dump_epochs(std::string_view text) {
  MR_TRY(EpochTable table, EpochTable::decode(text));
  Lines lines;
  for (const EpochTable::Line& line : table.lines())
    lines.push_back(fmt::format("epoch {} starts at offset {}", line.epoch.v, line.start.v));
  return lines;
}

Result<Lines> dump_offset_checkpoint(std::string_view text) {
  MR_TRY(OffsetCheckpoint offsets, decode_offset_checkpoint(text));
  Lines lines;
  for (const auto& [partition, offset] : offsets)
    lines.push_back(fmt::format("{} {}", partition.to_string(), offset.v));
  return lines;
}

Result<Lines> dump_bytes(std::string_view name, ByteView bytes) {
  if (auto segment = parse_segment_file_name(name)) {
    if (segment->suffix == kOffsetIndexSuffix) return dump_offset_index(bytes, segment->base);
    if (segment->suffix == kTimeIndexSuffix) return dump_time_index(bytes, segment->base);
    if (segment->suffix == kSnapshotSuffix) return dump_snapshot(bytes);
  }
  if (name == kEpochCheckpointName) return dump_epochs(as_text(bytes));
  if (name.ends_with("-offset-checkpoint")) return dump_offset_checkpoint(as_text(bytes));
  if (name == kPartitionMetadataName) {
    MR_TRY(TopicId id, decode_partition_metadata(as_text(bytes)));
    return Lines{"topic id " + id.v.to_string()};
  }
  return Error(Errc::invalid_argument, "not a file that can be shown as lines");
}

}  // namespace

Result<void> dump_segment(FileSystem& files, const std::string& path,
                          const std::function<bool(const DumpedBatch&)>& visit) {
  MR_TRY(auto file, files.open(path, OpenMode::read));
  MR_TRY(std::uint64_t size, file->size());
  BatchScanner scanner(*file, 0, size, BatchScanner::Depth::headers, kScanChunkBytes);
  std::vector<std::byte> batch;
  while (true) {
    auto item = scanner.next();
    if (!item.ok()) return in_file(path, std::move(item).error());
    if (!*item) return {};
    batch.resize((*item)->header.total_bytes());
    MR_TRY(std::size_t got, file->read_at(batch, (*item)->position));
    if (got != batch.size()) return Error(Errc::corrupt_batch, path + ": became shorter while it was read");
    if (!visit({(*item)->header, (*item)->position, batch_crc_matches(batch), batch})) return {};
  }
}

Result<std::vector<std::string>> dump_side_file(FileSystem& files, const std::string& path) {
  MR_TRY(auto bytes, read_whole_file(files, path));
  auto lines = dump_bytes(std::string_view(path).substr(path.rfind('/') + 1), bytes);
  if (!lines.ok()) return in_file(path, std::move(lines).error());
  return lines;
}

}  // namespace mr::storage
