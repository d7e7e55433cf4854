// The bytes of a block: what was stored comes back, and nothing that is not exactly what was stored.
#include "storage/journal_format.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"

namespace mr::storage {
namespace {

constexpr Uuid kSession{0x1111111122222222, 0x3333333344444444};

JournalRun run_of(std::int64_t base, std::uint32_t bytes) {
  return {.topic = TopicId{Uuid{7, 8}},
          .partition = PartitionIndex{3},
          .segment = Offset{100},
          .position = 4096,
          .bytes = bytes,
          .base = Offset{base},
          .next = Offset{base + 5},
          .epoch = LeaderEpoch{2},
          .headers_crc = 0xabcdef01};
}

std::vector<std::byte> filled(std::size_t bytes) {
  std::vector<std::byte> out(bytes);
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>(i * 7);
  return out;
}

constexpr JournalBlockHeader kHeader{.session = kSession, .shard = 2, .sequence = 9, .asserted = 8, .floor = 5};

std::vector<std::byte> example() {
  JournalBlockBuilder builder;
  builder.add(JournalEntry::Kind::durable, run_of(100, 5000), {});
  std::vector<std::byte> batches = filled(700);
  builder.add(JournalEntry::Kind::carried, run_of(105, 700), batches);
  ByteView block = builder.finish(kHeader);
  return {block.begin(), block.end()};
}

TEST(JournalFormat, ComesBack) {
  std::vector<std::byte> bytes = example();
  EXPECT_EQ(bytes.size(), 1024u);  // 64 + 68 + 68 + 700, padded
  auto block = decode_journal_block(bytes);
  ASSERT_TRUE(block.ok()) << block.error().message();
  EXPECT_EQ(block->header, kHeader);
  EXPECT_EQ(block->bytes, 1024u);
  ASSERT_EQ(block->entries.size(), 2u);
  EXPECT_EQ(block->entries[0].kind, JournalEntry::Kind::durable);
  EXPECT_EQ(block->entries[0].run, run_of(100, 5000));
  EXPECT_TRUE(block->entries[0].carried.empty());
  EXPECT_EQ(block->entries[1].kind, JournalEntry::Kind::carried);
  EXPECT_EQ(block->entries[1].run, run_of(105, 700));
  EXPECT_EQ(std::vector<std::byte>(block->entries[1].carried.begin(), block->entries[1].carried.end()), filled(700));
}

TEST(JournalFormat, EveryShortenedPrefixIsRefused) {
  std::vector<std::byte> bytes = example();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_FALSE(decode_journal_block(cut).ok()) << n;
  }
}

TEST(JournalFormat, EveryFlippedBitIsRefused) {
  std::vector<std::byte> bytes = example();
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    EXPECT_FALSE(decode_journal_block(bytes).ok()) << "bit " << bit;
    bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
  }
  EXPECT_TRUE(decode_journal_block(bytes).ok());
}

// With the checksum made right again, what the fields say must still be possible.
TEST(JournalFormat, ImpossibleFieldsAreRefused) {
  auto decoded_with = [](std::size_t at, auto value) {
    std::vector<std::byte> bytes = example();
    store_be(bytes.data() + at, value);
    store_be(bytes.data() + 4, crc32c(ByteView(bytes).subspan(8)));
    auto block = decode_journal_block(bytes);
    return block.ok() ? Error(Errc::internal) : block.error();
  };
  EXPECT_EQ(decoded_with(12, std::uint16_t{2}).code(), Errc::newer_format);
  EXPECT_EQ(decoded_with(12, std::uint16_t{0}).code(), Errc::corrupt_data);
  EXPECT_EQ(decoded_with(14, std::uint16_t{1}).code(), Errc::corrupt_data);
  EXPECT_EQ(decoded_with(40, std::uint64_t{9}).code(), Errc::corrupt_data);   // asserts itself
  EXPECT_EQ(decoded_with(48, std::uint64_t{10}).code(), Errc::corrupt_data);  // not needed itself
  EXPECT_EQ(decoded_with(48, std::uint64_t{0}).code(), Errc::corrupt_data);
  EXPECT_EQ(decoded_with(56, std::uint32_t{1}).code(), Errc::corrupt_data);  // entries
  EXPECT_EQ(decoded_with(56, std::uint32_t{3}).code(), Errc::corrupt_data);
  EXPECT_EQ(decoded_with(56, ~std::uint32_t{0}).code(), Errc::corrupt_data);
  constexpr std::size_t kFirst = 64;
  EXPECT_EQ(decoded_with(kFirst, std::uint32_t{3} << 24).code(), Errc::corrupt_data);       // kind
  EXPECT_EQ(decoded_with(kFirst, std::uint32_t{1} << 24 | 1).code(), Errc::corrupt_data);   // reserved
  EXPECT_EQ(decoded_with(kFirst + 4, std::uint32_t{60}).code(), Errc::corrupt_data);        // less than a batch
  EXPECT_EQ(decoded_with(kFirst + 24, std::int32_t{-1}).code(), Errc::corrupt_data);        // partition
  EXPECT_EQ(decoded_with(kFirst + 32, std::int64_t{101}).code(), Errc::corrupt_data);       // segment above base
  EXPECT_EQ(decoded_with(kFirst + 40, ~std::uint64_t{0} - 10).code(), Errc::corrupt_data);  // position
  EXPECT_EQ(decoded_with(kFirst + 56, std::int64_t{100}).code(), Errc::corrupt_data);       // next not above base
  EXPECT_EQ(decoded_with(kFirst + 68 + 4, std::uint32_t{701}).code(), Errc::corrupt_data);  // carries beyond the end
}

// The worked example of docs/formats/commit-journal.md.
TEST(JournalFormat, WorkedExample) {
  JournalBlockBuilder builder;
  builder.add(JournalEntry::Kind::durable,
              {.topic = TopicId{Uuid{0x0001020304050607, 0x08090a0b0c0d0e0f}},
               .partition = PartitionIndex{3},
               .segment = Offset{100},
               .position = 0,
               .bytes = 142,
               .base = Offset{100},
               .next = Offset{102},
               .epoch = LeaderEpoch{5},
               .headers_crc = 0x01020304},
              {});
  ByteView block = builder.finish(kHeader);
  ASSERT_EQ(block.size(), 512u);
  std::string hex;
  for (std::byte b : block.first(132))
    hex += "0123456789abcdef"[std::to_integer<int>(b) >> 4], hex += "0123456789abcdef"[std::to_integer<int>(b) & 15];
  EXPECT_EQ(hex,
            "4d524a42"
            "82a101b8"
            "00000084"
            "0001"
            "0000"
            "11111111222222223333333344444444"
            "0000000000000009"
            "0000000000000008"
            "0000000000000005"
            "00000001"
            "00000002"
            "01000000"
            "0000008e"
            "000102030405060708090a0b0c0d0e0f"
            "00000003"
            "00000005"
            "0000000000000064"
            "0000000000000000"
            "0000000000000064"
            "0000000000000066"
            "01020304");
}

}  // namespace
}  // namespace mr::storage
