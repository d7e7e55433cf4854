#include "storage/journal_format.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "model/batch_header.h"

namespace mr::storage {
namespace {

constexpr std::uint32_t kMagic = 0x4d524a42;  // "MRJB"
constexpr std::uint16_t kVersion = 1;
// Magic, checksum, length and version stay where they are in every version.
constexpr std::size_t kCrcAt = 4;
constexpr std::size_t kLengthAt = 8;
constexpr std::size_t kVersionAt = 12;
constexpr std::size_t kReservedAt = 14;
constexpr std::size_t kSessionAt = 16;
constexpr std::size_t kSequenceAt = 32;
constexpr std::size_t kAssertedAt = 40;
constexpr std::size_t kFloorAt = 48;
constexpr std::size_t kEntriesAt = 56;
constexpr std::size_t kShardAt = 60;

Error bad(std::string why) { return {Errc::corrupt_data, std::move(why)}; }

JournalRun decode_run(const std::byte* p) {
  return {.topic = TopicId{Uuid{load_be<std::uint64_t>(p + 8), load_be<std::uint64_t>(p + 16)}},
          .partition = PartitionIndex{load_be<std::int32_t>(p + 24)},
          .segment = Offset{load_be<std::int64_t>(p + 32)},
          .position = load_be<std::uint64_t>(p + 40),
          .bytes = load_be<std::uint32_t>(p + 4),
          .base = Offset{load_be<std::int64_t>(p + 48)},
          .next = Offset{load_be<std::int64_t>(p + 56)},
          .epoch = LeaderEpoch{load_be<std::int32_t>(p + 28)},
          .headers_crc = load_be<std::uint32_t>(p + 64)};
}

/// What every run is: else nobody wrote it, whatever its checksum says.
bool possible(const JournalRun& run) {
  return run.partition.v >= 0 && run.segment.v >= 0 && run.base >= run.segment && run.next > run.base &&
         run.bytes >= BatchHeader::kBytes && run.position <= INT32_MAX && run.end() <= INT32_MAX;
}

}  // namespace

void JournalBlockBuilder::clear() {
  bytes_.resize(kJournalHeaderBytes);
  entries_ = 0;
}

void JournalBlockBuilder::add(JournalEntry::Kind kind, const JournalRun& run, ByteView carried) {
  MR_CHECK(possible(run));
  MR_CHECK(carried.size() == (kind == JournalEntry::Kind::carried ? run.bytes : 0));
  std::size_t at = bytes_.size();
  bytes_.resize(at + kJournalEntryBytes);
  std::byte* p = bytes_.data() + at;
  store_be(p, static_cast<std::uint32_t>(kind) << 24);
  store_be(p + 4, run.bytes);
  store_be(p + 8, run.topic.v.high);
  store_be(p + 16, run.topic.v.low);
  store_be(p + 24, run.partition.v);
  store_be(p + 28, run.epoch.v);
  store_be(p + 32, run.segment.v);
  store_be(p + 40, run.position);
  store_be(p + 48, run.base.v);
  store_be(p + 56, run.next.v);
  store_be(p + 64, run.headers_crc);
  bytes_.insert(bytes_.end(), carried.begin(), carried.end());
  ++entries_;
}

ByteView JournalBlockBuilder::finish(const JournalBlockHeader& header) {
  std::size_t length = bytes_.size();
  bytes_.resize(bytes());
  MR_CHECK(bytes_.size() <= kJournalBlockBytesMax);
  MR_CHECK(header.floor > 0 && header.floor <= header.sequence && header.asserted < header.sequence);
  std::byte* p = bytes_.data();
  store_be(p, kMagic);
  store_be(p + kLengthAt, static_cast<std::uint32_t>(length));
  store_be(p + kVersionAt, kVersion);
  store_be<std::uint16_t>(p + kReservedAt, 0);
  store_be(p + kSessionAt, header.session.high);
  store_be(p + kSessionAt + 8, header.session.low);
  store_be(p + kSequenceAt, header.sequence);
  store_be(p + kAssertedAt, header.asserted);
  store_be(p + kFloorAt, header.floor);
  store_be(p + kEntriesAt, entries_);
  store_be(p + kShardAt, header.shard);
  store_be(p + kCrcAt, crc32c(ByteView(bytes_).subspan(kLengthAt)));
  return bytes_;
}

Result<std::size_t> journal_block_bytes(ByteView bytes) {
  if (bytes.size() < kJournalHeaderBytes || load_be<std::uint32_t>(bytes.data()) != kMagic)
    return bad("no block of a commit journal starts here");
  auto length = load_be<std::uint32_t>(bytes.data() + kLengthAt);
  if (length < kJournalHeaderBytes || length > kJournalBlockBytesMax) return bad(fmt::format("length {}", length));
  return journal_padded(length);
}

std::uint64_t journal_block_sequence(ByteView bytes) {
  return journal_block_bytes(bytes).ok() ? load_be<std::uint64_t>(bytes.data() + kSequenceAt) : 0;
}

Uuid journal_block_session(ByteView bytes) {
  if (!journal_block_bytes(bytes).ok()) return {};
  return {load_be<std::uint64_t>(bytes.data() + kSessionAt), load_be<std::uint64_t>(bytes.data() + kSessionAt + 8)};
}

Result<JournalBlock> decode_journal_block(ByteView bytes) {
  JournalBlock block;
  MR_TRY(block.bytes, journal_block_bytes(bytes));
  if (block.bytes > bytes.size()) return bad(fmt::format("{} bytes of {}", bytes.size(), block.bytes));
  bytes = bytes.first(block.bytes);
  const std::byte* p = bytes.data();
  if (crc32c(bytes.subspan(kLengthAt)) != load_be<std::uint32_t>(p + kCrcAt)) return bad("wrong checksum");
  auto version = load_be<std::uint16_t>(p + kVersionAt);
  if (version > kVersion) return Error(Errc::newer_format, fmt::format("commit journal of version {}", version));
  if (version != kVersion || load_be<std::uint16_t>(p + kReservedAt) != 0) return bad("impossible header");
  block.header = {.session = {load_be<std::uint64_t>(p + kSessionAt), load_be<std::uint64_t>(p + kSessionAt + 8)},
                  .shard = load_be<std::uint32_t>(p + kShardAt),
                  .sequence = load_be<std::uint64_t>(p + kSequenceAt),
                  .asserted = load_be<std::uint64_t>(p + kAssertedAt),
                  .floor = load_be<std::uint64_t>(p + kFloorAt)};
  const JournalBlockHeader& header = block.header;
  if (header.floor == 0 || header.floor > header.sequence || header.asserted >= header.sequence)
    return bad("impossible header");
  auto entries = load_be<std::uint32_t>(p + kEntriesAt);
  std::size_t end = load_be<std::uint32_t>(p + kLengthAt);
  std::size_t at = kJournalHeaderBytes;
  if (entries > (end - at) / kJournalEntryBytes) return bad(fmt::format("{} entries", entries));
  block.entries.reserve(entries);
  for (std::uint32_t i = 0; i < entries; ++i) {
    if (end - at < kJournalEntryBytes) return bad("entries beyond the end");
    auto kind = load_be<std::uint32_t>(p + at);
    JournalRun run = decode_run(p + at);
    at += kJournalEntryBytes;
    bool carries = kind == static_cast<std::uint32_t>(JournalEntry::Kind::carried) << 24;
    if (!carries && kind != static_cast<std::uint32_t>(JournalEntry::Kind::durable) << 24) return bad("unknown entry");
    std::size_t carried = carries ? run.bytes : 0;
    if (!possible(run) || carried > end - at) return bad("impossible entry");
    block.entries.push_back(
        {carries ? JournalEntry::Kind::carried : JournalEntry::Kind::durable, run, bytes.subspan(at, carried)});
    at += carried;
  }
  if (at != end) return bad("bytes behind the last entry");
  return block;
}

}  // namespace mr::storage
