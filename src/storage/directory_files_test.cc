// Aim: the first failed sync or write of a directory is its last; a full disk is not. Method: over a simulated disk.
#include "storage/directory_files.h"

#include <gtest/gtest.h>

#include "sim/disk.h"

namespace mr::storage {
namespace {

struct Guarded : testing::Test {
  sim::Disk disk{1};
  DirectoryFiles files{disk};
  int told = 0;
  std::unique_ptr<File> file;

  void SetUp() override {
    ASSERT_TRUE(disk.make_directories("/d").ok());
    files.on_failure([this] { ++told; });
    auto opened = files.open("/d/x", OpenMode::create);
    ASSERT_TRUE(opened.ok());
    file = std::move(*opened);
    ASSERT_TRUE(file->write_at(as_bytes("hello"), 0).ok());
  }
  void expect_dead() {
    ASSERT_NE(files.failed(), nullptr);
    EXPECT_EQ(files.failed()->code(), Errc::disk_failed);
    EXPECT_EQ(told, 1);
    std::uint64_t changes = disk.changes();
    EXPECT_EQ(file->sync().code(), Errc::disk_failed);
    EXPECT_EQ(file->write_at(as_bytes("x"), 0).code(), Errc::disk_failed);
    EXPECT_EQ(file->truncate(0).code(), Errc::disk_failed);
    EXPECT_EQ(files.open("/d/y", OpenMode::create).code(), Errc::disk_failed);
    EXPECT_EQ(files.remove("/d/x").code(), Errc::disk_failed);
    EXPECT_EQ(files.sync_directory("/d").code(), Errc::disk_failed);
    EXPECT_EQ(disk.changes(), changes) << "nothing reached the disk";
    EXPECT_EQ(told, 1);
    std::array<std::byte, 5> bytes;
    EXPECT_EQ(file->read_at(bytes, 0), 5u) << "what is there can be read";
  }
};

TEST_F(Guarded, AFailedSyncIsFinal) {
  disk.add_fault({.op = sim::DiskOp::sync});
  EXPECT_EQ(file->sync().code(), Errc::disk_failed);
  expect_dead();
}

TEST_F(Guarded, AFailedWriteIsFinal) {
  disk.add_fault({.op = sim::DiskOp::write, .error = Errc::io_error});
  EXPECT_FALSE(file->write_at(as_bytes("more"), 5).ok());
  expect_dead();
}

TEST_F(Guarded, AFailedRenameIsFinal) {
  disk.add_fault({.op = sim::DiskOp::rename});
  EXPECT_FALSE(files.rename("/d/x", "/d/z").ok());
  expect_dead();
}

TEST_F(Guarded, LackOfRoomOrDescriptorsOrAMissingFileIsNot) {
  for (Errc error : {Errc::disk_full, Errc::resource_exhausted}) {
    disk.add_fault({.op = sim::DiskOp::write, .error = error});
    EXPECT_EQ(file->write_at(as_bytes("more"), 5).code(), error);
  }
  EXPECT_EQ(files.rename("/d/none", "/d/z").code(), Errc::not_found);
  disk.add_fault({.op = sim::DiskOp::read});
  std::array<std::byte, 5> bytes;
  EXPECT_FALSE(file->read_at(bytes, 0).ok()) << "a bad sector is that read's own error";
  disk.add_fault({.op = sim::DiskOp::allocate, .error = Errc::io_error});
  EXPECT_EQ(file->allocate(0, 100).code(), Errc::io_error) << "not every file system can";
  EXPECT_EQ(files.failed(), nullptr);
  EXPECT_TRUE(file->sync().ok());
  EXPECT_EQ(told, 0);
}

TEST_F(Guarded, InterruptedItDoesNothingMore) {
  std::array<std::byte, 5> bytes;
  EXPECT_EQ(file->read_at(bytes, 0), 5u);
  EXPECT_EQ(files.bytes_read(), 5u);
  files.interrupt();
  std::uint64_t changes = disk.changes();
  EXPECT_EQ(file->read_at(bytes, 0).code(), Errc::cancelled);
  EXPECT_EQ(file->truncate(0).code(), Errc::cancelled);
  EXPECT_EQ(files.list("/d").code(), Errc::cancelled);
  EXPECT_EQ(disk.changes(), changes);
  EXPECT_EQ(files.failed(), nullptr);
}

}  // namespace
}  // namespace mr::storage
