// The production file system in a temporary directory: each call does what env.h says, errors carry our codes and the
// path. /dev/full and a read-only descriptor stand for disks that refuse.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdio>

#include "base/units.h"
#include "runtime/real_host.h"

namespace mr {
namespace {

class RealFiles : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/millrace-files-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    dir = pattern;
  }
  void TearDown() override { EXPECT_TRUE(fs.remove_all(dir).ok()); }

  std::unique_ptr<File> make(const std::string& name) {
    Result<std::unique_ptr<File>> file = fs.open(dir + "/" + name, OpenMode::create);
    MR_CHECK(file.ok());
    return std::move(*file);
  }
  static std::string text(File& file, std::uint64_t position, std::size_t size) {
    std::string out(size, '?');
    Result<std::size_t> n = file.read_at(std::as_writable_bytes(std::span(out)), position);
    MR_CHECK(n.ok());
    return out.substr(0, *n);
  }

  FileSystem& fs = real_files();
  std::string dir;
};

TEST_F(RealFiles, WritesManyPiecesAndReadsToTheEnd) {
  auto file = make("a");
  std::string expected;
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) texts.push_back(i % 7 == 0 ? "" : std::to_string(i));
  std::vector<ByteView> pieces;
  for (const std::string& t : texts) {
    expected += t;
    pieces.push_back(as_bytes(t));
  }
  ASSERT_TRUE(file->write_at(pieces, 5).ok());
  EXPECT_EQ(*file->size(), 5 + expected.size());
  EXPECT_EQ(text(*file, 5, expected.size() + 100), expected);
  EXPECT_EQ(text(*file, 5 + expected.size(), 10), "") << "at the end";
  EXPECT_TRUE(file->sync().ok());
  file->drop_cache();
  EXPECT_EQ(text(*file, 5, 3), expected.substr(0, 3));
  ASSERT_TRUE(file->write_at(std::vector<ByteView>(100), 0).ok()) << "nothing but empty pieces";
}

/// Pages of [from, to) of `file` that are in the page cache.
std::uint64_t resident_pages(File& file, std::uint64_t from, std::uint64_t to) {
  void* mapped = ::mmap(nullptr, to - from, PROT_READ, MAP_SHARED, file.native_handle(), static_cast<off_t>(from));
  MR_CHECK(mapped != MAP_FAILED);
  std::vector<unsigned char> pages((to - from) / 4096);
  MR_CHECK(::mincore(mapped, to - from, pages.data()) == 0);
  MR_CHECK(::munmap(mapped, to - from) == 0);
  return static_cast<std::uint64_t>(std::ranges::count_if(pages, [](unsigned char page) { return page & 1; }));
}

TEST_F(RealFiles, ARangeLeavesThePageCacheOnceItIsSynced) {
  struct statfs kind;
  ASSERT_EQ(::statfs(dir.c_str(), &kind), 0);
  constexpr decltype(kind.f_type) kTmpfs = 0x01021994;
  if (kind.f_type == kTmpfs) GTEST_SKIP() << "a tmpfs has nothing else";
  constexpr std::uint64_t kWritten = 16_MiB, kDropped = 12_MiB;
  constexpr std::uint64_t kBorder = 2_MiB;  // the kernel's pages may be so large
  auto file = make("a");
  const std::vector<std::byte> piece(100'000);
  for (std::uint64_t at = 0; at < kWritten; at += piece.size()) ASSERT_TRUE(file->write_at(piece, at).ok());
  ASSERT_TRUE(file->sync().ok());
  file->drop_cache(0, kDropped);
  EXPECT_EQ(resident_pages(*file, 0, kDropped - kBorder), 0u);
  EXPECT_EQ(resident_pages(*file, kDropped + kBorder, kWritten), (kWritten - kDropped - kBorder) / 4096);
  file->drop_cache();
  EXPECT_EQ(resident_pages(*file, 0, kWritten), 0u);
}

TEST_F(RealFiles, TruncateAndAllocate) {
  auto file = make("a");
  ASSERT_TRUE(file->write_at(as_bytes("hello"), 0).ok());
  ASSERT_TRUE(file->allocate(0, 1 << 20).ok());
  EXPECT_EQ(*file->size(), 5u) << "allocation does not show";
  auto blocks = [&] {
    struct stat st{};
    EXPECT_EQ(::fstat(file->native_handle(), &st), 0);
    return st.st_blocks;
  };
  if (blocks() < (1 << 20) / 512) std::printf("this file system reserves nothing\n");
  ASSERT_TRUE(file->truncate(5).ok());
  EXPECT_LE(blocks(), 64) << "a truncation to its own size gives back what lies behind";
  ASSERT_TRUE(file->truncate(2).ok());
  EXPECT_EQ(text(*file, 0, 10), "he");
  EXPECT_GE(file->native_handle(), 0);
}

TEST_F(RealFiles, OpenModes) {
  std::string path = dir + "/a";
  EXPECT_EQ(fs.open(path, OpenMode::read).code(), Errc::not_found);
  EXPECT_EQ(fs.open(path, OpenMode::read_write).code(), Errc::not_found);
  EXPECT_TRUE(fs.open(path, OpenMode::create_new).ok());
  EXPECT_EQ(fs.open(path, OpenMode::create_new).code(), Errc::already_exists);
  auto read_only = fs.open(path, OpenMode::read);
  ASSERT_TRUE(read_only.ok());
  Result<void> refused = (*read_only)->write_at(as_bytes("x"), 0);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.code(), Errc::io_error);
  EXPECT_NE(refused.error().detail().find(path), std::string::npos);
}

TEST_F(RealFiles, FullDiskIsNotAFailedDisk) {
  auto full = fs.open("/dev/full", OpenMode::read_write);
  ASSERT_TRUE(full.ok());
  EXPECT_EQ((*full)->write_at(as_bytes("x"), 0).code(), Errc::disk_full);
}

TEST_F(RealFiles, Directories) {
  ASSERT_TRUE(fs.make_directories(dir + "/x/y/z").ok());
  ASSERT_TRUE(fs.make_directories(dir + "/x/y/z").ok()) << "again";
  make("x/y/file");
  EXPECT_EQ(fs.make_directories(dir + "/x/y/file/w").code(), Errc::already_exists);
  auto entries = fs.list(dir + "/x/y");
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].name, "file");
  EXPECT_FALSE((*entries)[0].is_directory);
  EXPECT_TRUE((*entries)[1].is_directory);
  EXPECT_EQ(fs.list(dir + "/none").code(), Errc::not_found);
  EXPECT_TRUE(fs.sync_directory(dir + "/x").ok());
  EXPECT_FALSE(fs.sync_directory(dir + "/none").ok());

  ASSERT_TRUE(fs.rename(dir + "/x/y", dir + "/w").ok());
  EXPECT_TRUE(*fs.exists(dir + "/w/file"));
  EXPECT_FALSE(*fs.exists(dir + "/x/y"));
  EXPECT_EQ(fs.rename(dir + "/none", dir + "/v").code(), Errc::not_found);
  EXPECT_EQ(fs.remove(dir + "/w").code(), Errc::already_exists) << "not empty";
  EXPECT_TRUE(fs.remove(dir + "/w/file").ok());
  EXPECT_TRUE(fs.remove_all(dir + "/w").ok());
  EXPECT_TRUE(fs.remove_all(dir + "/w").ok()) << "missing is fine";
  EXPECT_EQ(fs.remove(dir + "/w").code(), Errc::not_found);
}

TEST_F(RealFiles, SpaceAndLock) {
  auto space = fs.space(dir);
  ASSERT_TRUE(space.ok());
  EXPECT_GT(space->total_bytes, space->free_bytes);
  auto lock = fs.lock(dir + "/.lock");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(fs.lock(dir + "/.lock").code(), Errc::in_use);
  lock->reset();
  EXPECT_TRUE(fs.lock(dir + "/.lock").ok());
}

}  // namespace
}  // namespace mr
