// Aim: every codec reads what the world writes and stops at its limit; garbage and cut streams are errors. Method:
// round trips over sizes, streams made by other programs, each prefix of a stream, and bombs.
#include "model/compression.h"

#include <gtest/gtest.h>
#include <lz4frame.h>
#include <snappy.h>

#include <random>

namespace mr {
namespace {

using namespace std::literals;

constexpr Codec kAll[] = {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

std::string name(Codec codec) { return "codec " + std::to_string(static_cast<int>(codec)); }

std::vector<std::byte> unhex(std::string_view hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

/// Half repetitive, half random, so that every kind of block occurs.
std::string sample(std::size_t n) {
  std::mt19937_64 random(n);
  std::string text;
  while (text.size() < n) {
    text += "some repetitive text ";
    for (int i = 0; i < 5; ++i) text += static_cast<char>(random());
  }
  text.resize(n);
  return text;
}

TEST(Compression, RoundTrip) {
  Inflater inflater;
  for (Codec codec : kAll) {
    for (std::size_t n : {0u, 1u, 100u, 32768u, 65537u, 1000000u}) {
      std::string text = sample(n);
      std::vector<std::byte> packed;
      ASSERT_TRUE(compress(codec, as_bytes(text), packed).ok());
      auto back = inflater.inflate(codec, packed, n);
      if (codec == Codec::snappy && n == 0) continue;  // below
      ASSERT_TRUE(back.ok()) << name(codec) << " " << n << ": " << back.error().message();
      EXPECT_TRUE(as_text(*back) == text) << name(codec) << " " << n;
    }
  }
}

TEST(Compression, LimitIsExact) {
  Inflater inflater;
  for (Codec codec : kAll) {
    std::string text = sample(100000);
    std::vector<std::byte> packed;
    ASSERT_TRUE(compress(codec, as_bytes(text), packed).ok());
    EXPECT_TRUE(inflater.inflate(codec, packed, 100000).ok()) << name(codec);
    EXPECT_EQ(inflater.inflate(codec, packed, 99999).code(), Errc::too_large) << name(codec);
    EXPECT_EQ(inflater.inflate(codec, packed, 0).code(), Errc::too_large) << name(codec);
  }
}

TEST(Compression, BombsStopAtTheLimit) {
  Inflater inflater;
  std::string zeros(64 << 20, '\0');
  for (Codec codec : kAll) {
    std::vector<std::byte> bomb;
    ASSERT_TRUE(compress(codec, as_bytes(zeros), bomb).ok());
    EXPECT_EQ(inflater.inflate(codec, bomb, 1 << 20).code(), Errc::too_large) << name(codec);
  }
}

// A higher level of gzip is never larger, on data that the library's own levels are not in order for; of lz4 and zstd
// a much higher one is smaller.
TEST(Compression, LevelsAreInOrder) {
  std::mt19937_64 random(6);
  std::string lines;
  std::string numbers;
  for (int i = 0; i < 3000; ++i) {
    lines += "2026-11-22T04:12:" + std::to_string(i % 60) + "." + std::to_string(i % 1000) + "Z info broker: t" +
             std::to_string(i % 40) + " offset=" + std::to_string(i * 31) +
             " bytes=" + std::to_string(random() % 9999) + "\n";
    numbers += std::string(5, '\0') + static_cast<char>(random() % 16) + static_cast<char>(random()) +
               static_cast<char>(random());
  }
  auto size = [](Codec codec, std::string_view text, int level) {
    std::vector<std::byte> packed;
    EXPECT_TRUE(compress(codec, as_bytes(text), packed, level).ok());
    return packed.size();
  };
  for (const std::string& text : {lines, numbers, sample(100'000), std::string(200'000, 'x'), std::string("short")}) {
    for (int level = 2; level <= 3; ++level)
      EXPECT_LE(size(Codec::gzip, text, level), size(Codec::gzip, text, level - 1)) << level;
    EXPECT_EQ(size(Codec::gzip, text, 0), size(Codec::gzip, text, 1));
  }
  EXPECT_LT(size(Codec::lz4, lines, 12), size(Codec::lz4, lines, 1));
  EXPECT_LT(size(Codec::zstd, lines, 19), size(Codec::zstd, lines, 1));
  EXPECT_LT(size(Codec::zstd, lines, 1), size(Codec::zstd, lines, -50));
}

// In pieces: the same bytes, the same limit to the byte, and whoever takes them may end it.
TEST(Compression, PiecesAreTheWhole) {
  Inflater inflater;
  for (Codec codec : kAll) {
    for (std::size_t n : {1u, 100u, 65536u, 65537u, 1000000u}) {
      std::string text = sample(n);
      std::vector<std::byte> packed;
      ASSERT_TRUE(compress(codec, as_bytes(text), packed).ok());
      std::string whole;
      std::size_t pieces = 0;
      auto take = [&](ByteView piece) -> Result<void> {
        whole += as_text(piece);
        ++pieces;
        return {};
      };
      ASSERT_TRUE(inflater.inflate_pieces(codec, packed, n, take).ok()) << name(codec) << " " << n;
      EXPECT_TRUE(whole == text) << name(codec) << " " << n;
      EXPECT_GE(pieces, n / Inflater::kPieceBytes);
      EXPECT_EQ(inflater.inflate_pieces(codec, packed, n - 1, take).code(), Errc::too_large) << name(codec) << " " << n;
      auto enough = [](ByteView) -> Result<void> { return Errc::cancelled; };
      EXPECT_EQ(inflater.inflate_pieces(codec, packed, n, enough).code(), Errc::cancelled) << name(codec);
      auto cut = ByteView(packed).first(packed.size() - 1);
      if (codec != Codec::gzip) EXPECT_FALSE(inflater.inflate_pieces(codec, cut, n, take).ok()) << name(codec);
    }
  }
}

// What inflating takes is read off the headers, and is no more for a bomb.
TEST(Compression, CostOfInflating) {
  std::string zeros(64 << 20, '\0');
  for (Codec codec : kAll) {
    std::vector<std::byte> bomb;
    ASSERT_TRUE(compress(codec, as_bytes(zeros), bomb).ok());
    const std::uint64_t cost = inflation_cost(codec, bomb);
    EXPECT_GE(cost, Inflater::kPieceBytes) << name(codec);
    // zstd says that it needs its content as a window when it is told the size beforehand, at most 8 MiB at level 3.
    EXPECT_LE(cost, 10u << 20) << name(codec);
    EXPECT_LE(inflation_cost(codec, ByteView(bomb).first(3)), 10u << 20) << name(codec);
  }
  const auto window = [](int log) {
    return std::vector{std::byte{0x28}, std::byte{0xb5}, std::byte{0x2f},
                       std::byte{0xfd}, std::byte{0},    static_cast<std::byte>((log - 10) << 3)};
  };
  EXPECT_GE(inflation_cost(Codec::zstd, window(27)), 1u << 27);
  EXPECT_LE(inflation_cost(Codec::zstd, window(28)), 1u << 20) << "refused by the library, at no cost";
  std::string block(1000, 'x');
  EXPECT_GE(inflation_cost(Codec::snappy, as_bytes(block)), 22'000u) << "a block that is not framed";
}

TEST(Compression, CutStreamsAreMalformed) {
  Inflater inflater;
  std::string text = sample(3000);
  for (Codec codec : kAll) {
    std::vector<std::byte> packed;
    ASSERT_TRUE(compress(codec, as_bytes(text), packed).ok());
    for (std::size_t n = 0; n < packed.size(); ++n) {
      std::vector<std::byte> cut(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(n));
      auto got = inflater.inflate(codec, cut, 1 << 20);
      // Xerial framing has no end mark: cut between blocks (here: behind its header) it is a shorter stream.
      if (codec == Codec::snappy && n == 16) continue;
      EXPECT_FALSE(got.ok()) << name(codec) << " cut at " << n;
    }
  }
}

TEST(Compression, GarbageIsMalformed) {
  Inflater inflater;
  std::mt19937_64 random(3);
  for (Codec codec : kAll) {
    for (int round = 0; round < 200; ++round) {
      std::vector<std::byte> garbage(1 + random() % 200);
      for (std::byte& b : garbage) b = static_cast<std::byte>(random());
      auto got = inflater.inflate(codec, garbage, 1 << 16);
      if (codec != Codec::snappy) EXPECT_FALSE(got.ok()) << name(codec);  // raw snappy has no magic
    }
  }
}

TEST(Compression, GzipOfAnotherProgramAndTwoMembers) {
  Inflater inflater;
  auto member = unhex("1f8b0800000000000203cb48cdc9c957c84090008088f9e511000000");  // Python: b"hello" x 3
  auto got = inflater.inflate(Codec::gzip, member, 1000);
  ASSERT_TRUE(got.ok()) << got.error().message();
  EXPECT_EQ(as_text(*got), "hello hello hello");
  auto two = member;
  two.insert(two.end(), member.begin(), member.end());
  got = inflater.inflate(Codec::gzip, two, 1000);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(as_text(*got), "hello hello hellohello hello hello");
  member[member.size() - 6] ^= std::byte{1};
  EXPECT_FALSE(inflater.inflate(Codec::gzip, member, 1000).ok()) << "checksum of the trailer";
}

TEST(Compression, SnappyRaw) {
  Inflater inflater;
  std::string text = sample(5000);
  std::string raw;
  snappy::Compress(text.data(), text.size(), &raw);
  auto got = inflater.inflate(Codec::snappy, as_bytes(raw), 5000);
  ASSERT_TRUE(got.ok());
  EXPECT_TRUE(as_text(*got) == text);
  EXPECT_EQ(inflater.inflate(Codec::snappy, as_bytes(raw), 4999).code(), Errc::too_large);
  // A length that lies takes no memory.
  EXPECT_EQ(inflater.inflate(Codec::snappy, as_bytes("\xff\xff\xff\x7f\0"sv), 1u << 31).code(), Errc::malformed);
}

TEST(Compression, FramesInARow) {
  Inflater inflater;
  for (Codec codec : {Codec::lz4, Codec::zstd}) {
    std::vector<std::byte> packed;
    ASSERT_TRUE(compress(codec, as_bytes("one "sv), packed).ok());
    ASSERT_TRUE(compress(codec, as_bytes("two"sv), packed).ok());
    auto got = inflater.inflate(codec, packed, 100);
    ASSERT_TRUE(got.ok()) << name(codec);
    EXPECT_EQ(as_text(*got), "one two");
  }
}

// What a frame says of its size must not outlive it, or one bad batch would have all good ones refused behind it.
TEST(Compression, ABrokenStreamLeavesNothingBehind) {
  const std::string text = sample(200'000);
  for (Codec codec : kAll) {
    std::vector<std::byte> good, whole;
    ASSERT_TRUE(compress(codec, as_bytes(text), good).ok());
    if (codec == Codec::lz4) {
      LZ4F_preferences_t sized{};
      sized.frameInfo.contentSize = text.size();
      whole.resize(LZ4F_compressFrameBound(text.size(), &sized));
      whole.resize(LZ4F_compressFrame(whole.data(), whole.size(), text.data(), text.size(), &sized));
    } else {
      whole = good;
    }
    const ByteView broken = ByteView(whole).first(whole.size() / 2);
    Inflater inflater;
    EXPECT_FALSE(inflater.inflate(codec, broken, text.size()).ok()) << name(codec);
    auto got = inflater.inflate(codec, good, text.size());
    ASSERT_TRUE(got.ok()) << name(codec) << ": " << got.error().message();
    EXPECT_TRUE(as_text(*got) == text) << name(codec);
    // Given up in the middle by whoever takes the pieces.
    auto refuse = [](ByteView) -> Result<void> { return Error(Errc::shutting_down); };
    EXPECT_EQ(inflater.inflate_pieces(codec, good, text.size(), refuse).code(), Errc::shutting_down) << name(codec);
    EXPECT_TRUE(inflater.inflate(codec, good, text.size()).ok()) << name(codec);
    auto no_memory = [](ByteView) -> Result<void> { throw std::bad_alloc(); };
    EXPECT_THROW((void)inflater.inflate_pieces(codec, whole, text.size(), no_memory), std::bad_alloc) << name(codec);
    EXPECT_TRUE(inflater.inflate(codec, good, text.size()).ok()) << name(codec);
  }
}

TEST(Compression, UnknownCodec) {
  Inflater inflater;
  EXPECT_EQ(inflater.inflate(static_cast<Codec>(5), as_bytes("x"sv), 10).code(), Errc::unsupported_compression);
}

}  // namespace
}  // namespace mr
