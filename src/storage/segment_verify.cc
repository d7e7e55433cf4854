#include "storage/segment_verify.h"

#include "storage/index_file.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

constexpr std::size_t kScanChunkBytes = 256u << 10;

}  // namespace

Result<std::vector<std::uint64_t>> indexed_positions(FileSystem& files, const std::string& directory, Offset base) {
  std::vector<std::uint64_t> positions;
  auto bytes = read_whole_file(files, segment_path(directory, base, kOffsetIndexSuffix));
  if (!bytes.ok() && bytes.code() == Errc::disk_failed) return std::move(bytes).error();
  if (!bytes.ok()) return positions;
  for (std::size_t at = 0; at + OffsetIndex::kEntryBytes <= bytes->size(); at += OffsetIndex::kEntryBytes)
    positions.push_back(load_be<std::uint32_t>(bytes->data() + at + 4));
  return positions;
}

Result<SegmentVerdict> verify_segment(FileSystem& files, const std::string& directory, const SegmentToVerify& segment,
                                      const BatchVisit& visit) {
  std::string path = segment_path(directory, segment.base, kLogSuffix);
  MR_TRY(auto file, files.open(path, OpenMode::read));
  SegmentVerdict verdict;
  MR_TRY(verdict.bytes, file->size());
  WalkInput input{.base = segment.base, .evidence = segment.end, .holes_allowed = segment.holes_allowed};
  if (!segment.newest) input.next_base = segment.end;
  auto seal = read_seal(files, directory, segment.base);
  if (seal.ok() && *seal) {
    verdict.sealed = true;
    input.facts = (*seal)->facts();
    input.evidence = std::max(input.evidence, (*seal)->end);
  } else if (!seal.ok() && seal.code() == Errc::disk_failed) {
    return std::move(seal).error();
  } else if (!seal.ok()) {
    verdict.bad_seal = seal.error();
  }
  MR_TRY(input.anchors, indexed_positions(files, directory, segment.base));
  file->drop_cache();
  SegmentWalk walk(*file, verdict.bytes, std::move(input), kScanChunkBytes);
  while (true) {
    auto item = walk.next();
    if (!item.ok()) return in_file(path, std::move(item).error());
    if (!*item) break;
    ++verdict.batches;
    if (visit && !visit(*file, **item)) return Errc::cancelled;
  }
  verdict.next = walk.next_offset();
  verdict.damage = walk.damage();
  verdict.torn = walk.torn();
  verdict.torn_at = walk.position();
  return verdict;
}

}  // namespace mr::storage
