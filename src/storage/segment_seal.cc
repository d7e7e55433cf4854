#include "storage/segment_seal.h"

#include <fmt/format.h>

#include "base/crc32c.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

constexpr std::uint32_t kMagic = 0x4d52534c;  // "MRSL"
constexpr std::uint16_t kVersion = 1;
constexpr std::uint16_t kDamagedFlag = 1;
constexpr std::uint16_t kCompactedFlag = 2;
constexpr std::size_t kFixedBytes = 52;
constexpr std::size_t kMarkEntryBytes = 8;
constexpr std::size_t kCrcBytes = 4;
constexpr std::uint64_t kBytesMax = kFixedBytes + HeaderChain::kMarks * kMarkEntryBytes + kCrcBytes;

}  // namespace

std::vector<HeaderFact> SegmentSeal::facts() const {
  std::vector<HeaderFact> facts;
  Mark from;
  auto add = [&](std::uint64_t end, std::uint32_t chain) {
    if (end > from.end) facts.push_back({from.end, end, from.crc, chain, {}, true});
    from = {static_cast<std::uint32_t>(end), chain};
  };
  if (batches == 0) return facts;
  for (const Mark& mark : marks) add(mark.end, mark.crc);
  add(bytes, crc);
  if (!compacted) facts.front().base = base;
  return facts;
}

std::vector<std::byte> SegmentSeal::encode() const {
  std::vector<std::byte> out(kFixedBytes + marks.size() * kMarkEntryBytes + kCrcBytes);
  std::byte* p = out.data();
  store_be(p, kMagic);
  store_be(p + 4, kVersion);
  store_be(p + 6, static_cast<std::uint16_t>((damaged ? kDamagedFlag : 0) | (compacted ? kCompactedFlag : 0)));
  store_be(p + 8, base.v);
  store_be(p + 16, end.v);
  store_be(p + 24, bytes);
  store_be(p + 32, batches);
  store_be(p + 36, epoch.v);
  store_be(p + 40, crc);
  store_be(p + 44, static_cast<std::uint32_t>(marks.size()));
  store_be(p + 48, std::uint32_t{0});
  for (std::size_t i = 0; i < marks.size(); ++i) {
    store_be(p + kFixedBytes + i * kMarkEntryBytes, marks[i].end);
    store_be(p + kFixedBytes + i * kMarkEntryBytes + 4, marks[i].crc);
  }
  std::size_t covered = out.size() - kCrcBytes;
  store_be(p + covered, crc32c(ByteView(out).first(covered)));
  return out;
}

Result<SegmentSeal> SegmentSeal::decode(ByteView bytes) {
  if (bytes.size() < kFixedBytes + kCrcBytes) return Error(Errc::corrupt_data, "too short for a seal");
  const std::byte* p = bytes.data();
  std::size_t covered = bytes.size() - kCrcBytes;
  if (load_be<std::uint32_t>(p) != kMagic || load_be<std::uint32_t>(p + covered) != crc32c(bytes.first(covered)))
    return Error(Errc::corrupt_data, "checksum of the seal does not match");
  auto version = load_be<std::uint16_t>(p + 4);
  if (version > kVersion) return Error(Errc::newer_format, fmt::format("seal version {}", version));
  SegmentSeal seal{.base = Offset{load_be<std::int64_t>(p + 8)},
                   .end = Offset{load_be<std::int64_t>(p + 16)},
                   .bytes = load_be<std::uint64_t>(p + 24),
                   .batches = load_be<std::uint32_t>(p + 32),
                   .epoch = LeaderEpoch{load_be<std::int32_t>(p + 36)},
                   .crc = load_be<std::uint32_t>(p + 40),
                   .damaged = (load_be<std::uint16_t>(p + 6) & kDamagedFlag) != 0,
                   .compacted = (load_be<std::uint16_t>(p + 6) & kCompactedFlag) != 0};
  auto count = load_be<std::uint32_t>(p + 44);
  if (count > HeaderChain::kMarks || covered != kFixedBytes + count * kMarkEntryBytes || seal.end < seal.base ||
      seal.bytes > INT32_MAX || (seal.batches > 0 && seal.bytes == 0))
    return Error(Errc::corrupt_data, "impossible numbers in a seal");
  std::uint32_t last = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* at = p + kFixedBytes + i * kMarkEntryBytes;
    Mark mark{load_be<std::uint32_t>(at), load_be<std::uint32_t>(at + 4)};
    if (mark.end <= last || mark.end > seal.bytes) return Error(Errc::corrupt_data, "marks of a seal are not in order");
    last = mark.end;
    seal.marks.push_back(mark);
  }
  return seal;
}

void HeaderChain::add(ByteView header, std::uint64_t end) {
  crc_ = crc32c(header, crc_);
  epoch_ = LeaderEpoch{load_be<std::int32_t>(header.data() + BatchHeader::kLeaderEpochAt)};
  bytes_ = end;
  ++batches_;
  if (end < (marks_.empty() ? 0 : marks_.back().end) + std::uint64_t{mark_bytes_}) return;
  if (marks_.size() == kMarks) {
    for (std::size_t i = 0; i < kMarks / 2; ++i) marks_[i] = marks_[2 * i + 1];
    marks_.resize(kMarks / 2);
    mark_bytes_ *= 2;
    if (end < marks_.back().end + std::uint64_t{mark_bytes_}) return;
  }
  marks_.push_back({static_cast<std::uint32_t>(end), crc_});
}

HeaderChain HeaderChain::resume(const SegmentSeal& seal) {
  HeaderChain chain;
  chain.bytes_ = seal.bytes;
  chain.batches_ = seal.batches;
  chain.crc_ = seal.crc;
  chain.epoch_ = seal.epoch;
  chain.marks_ = seal.marks;
  while (std::uint64_t{chain.mark_bytes_} * kMarks < chain.bytes_) chain.mark_bytes_ *= 2;
  return chain;
}

SegmentSeal HeaderChain::seal(Offset base, Offset end) const {
  return {
      .base = base, .end = end, .bytes = bytes_, .batches = batches_, .epoch = epoch_, .crc = crc_, .marks = marks_};
}

Result<void> write_seal(FileSystem& files, const std::string& directory, const SegmentSeal& seal) {
  return replace_file(files, segment_path(directory, seal.base, kSealSuffix), seal.encode(), false);
}

Result<std::optional<SegmentSeal>> read_seal(FileSystem& files, const std::string& directory, Offset base) {
  std::string path = segment_path(directory, base, kSealSuffix);
  auto bytes = read_whole_file(files, path, kBytesMax);
  if (!bytes.ok()) {
    if (bytes.code() == Errc::not_found) return std::optional<SegmentSeal>();
    return bytes.code() == Errc::too_large ? Error(Errc::corrupt_data, path + ": too long for a seal") : bytes.error();
  }
  auto seal = SegmentSeal::decode(*bytes);
  if (!seal.ok()) return in_file(path, std::move(seal).error());
  if (seal->base != base) return Error(Errc::corrupt_data, path + ": the seal of another segment");
  return std::optional<SegmentSeal>(std::move(*seal));
}

}  // namespace mr::storage
