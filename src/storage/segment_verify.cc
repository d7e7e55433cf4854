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

Result<std::unique_ptr<SegmentVerifier>> SegmentVerifier::open(FileSystem& files, const std::string& directory,
                                                               const SegmentToVerify& segment) {
  std::unique_ptr<SegmentVerifier> made(new SegmentVerifier);
  made->path_ = segment_path(directory, segment.base, kLogSuffix);
  MR_TRY(made->file_, files.open(made->path_, OpenMode::read));
  made->newest_ = segment.newest;
  SegmentVerdict& verdict = made->verdict_;
  MR_TRY(verdict.bytes, made->file_->size());
  WalkInput input{.base = segment.base, .evidence = segment.end, .holes_allowed = segment.holes_allowed};
  if (!segment.newest) input.next_base = segment.end;
  auto seal = read_seal(files, directory, segment.base);
  if (seal.ok() && *seal) {
    verdict.sealed = true;
    input.facts = (*seal)->facts();
    input.evidence = std::max(input.evidence, (*seal)->end);
    input.holes_allowed = input.holes_allowed || (*seal)->compacted;
  } else if (!seal.ok() && seal.code() == Errc::disk_failed) {
    return std::move(seal).error();
  } else if (!seal.ok()) {
    verdict.bad_seal = seal.error();
  }
  MR_TRY(input.anchors, indexed_positions(files, directory, segment.base));
  made->file_->drop_cache();
  made->walk_ = std::make_unique<SegmentWalk>(*made->file_, verdict.bytes, std::move(input), kScanChunkBytes);
  return made;
}

Result<bool> SegmentVerifier::step(std::uint64_t bytes, const BatchVisit& visit) {
  auto more = read_on(bytes, visit);
  // What is read once must not drive out what is read often; but once in a segment, others may read it, too.
  if (!newest_ && (!more.ok() || *more)) file_->drop_cache();
  return more;
}

Result<bool> SegmentVerifier::read_on(std::uint64_t bytes, const BatchVisit& visit) {
  const std::uint64_t until = walk_->position() + bytes;
  while (walk_->position() < until) {
    auto item = walk_->next();
    if (!item.ok()) return in_file(path_, std::move(item).error());
    if (!*item) return true;
    ++verdict_.batches;
    if (visit && !visit(*file_, **item)) return Errc::cancelled;
  }
  return false;
}

SegmentVerdict SegmentVerifier::verdict() const {
  SegmentVerdict verdict = verdict_;
  verdict.next = walk_->next_offset();
  verdict.damage = walk_->damage();
  verdict.torn = walk_->torn();
  verdict.torn_at = walk_->position();
  return verdict;
}

Result<SegmentVerdict> verify_segment(FileSystem& files, const std::string& directory, const SegmentToVerify& segment,
                                      const BatchVisit& visit) {
  MR_TRY(auto verifier, SegmentVerifier::open(files, directory, segment));
  for (bool done = false; !done;) {
    MR_TRY(done, verifier->step(INT64_MAX, visit));
  }
  return verifier->verdict();
}

}  // namespace mr::storage
