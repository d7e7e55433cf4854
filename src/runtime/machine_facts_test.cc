// Aim: what is told of the machine is so. Method: pure parts on text as kernels write it; the rest on a directory and
// sockets of the test's own.
#include "runtime/machine_facts.h"

#include <gtest/gtest.h>

#include "runtime/machine.h"
#include "runtime/real_host.h"

namespace mr {
namespace {

constexpr std::string_view kMounts =
    "22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw\n"
    "30 22 0:26 / /data rw - tmpfs tmpfs rw\n"
    "31 30 0:27 / /data/my\\040disk ro,nosuid shared:4 master:1 - xfs /dev/sdb1 rw\n"
    "32 22 0:28 / /data rw - nfs4 server:/export rw\n"
    "broken line\n";

TEST(MachineFacts, TheDeepestMountOfTheLastIsMeant) {
  EXPECT_EQ(mount_in(kMounts, "/home/x")->kind, "ext4");
  EXPECT_EQ(mount_in(kMounts, "/data")->kind, "nfs4") << "mounted over the other";
  EXPECT_EQ(mount_in(kMounts, "/data/logs")->source, "server:/export");
  EXPECT_EQ(mount_in(kMounts, "/database")->kind, "ext4") << "a name that only begins so";
  auto inner = mount_in(kMounts, "/data/my disk/a");
  ASSERT_TRUE(inner.has_value());
  EXPECT_EQ(inner->kind, "xfs");
  EXPECT_TRUE(inner->read_only);
  EXPECT_FALSE(mount_in("", "/data").has_value());
}

class MachineFactsOnDisk : public testing::Test {
 protected:
  void SetUp() override {
    auto made = make_temporary_directory("millrace-facts-");
    ASSERT_TRUE(made.ok());
    directory_ = *made;
  }
  void TearDown() override { (void)real_files().remove_all(directory_); }
  void write(const std::string& name, std::size_t bytes) {
    auto file = real_files().open(directory_ + "/" + name, OpenMode::create);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->write_at(ByteView(std::vector<std::byte>(bytes)), 0).ok());
  }
  std::string directory_;
};

TEST_F(MachineFactsOnDisk, AHeldLockIsSeenAndLeftAlone) {
  const std::string path = directory_ + "/.lock";
  EXPECT_FALSE(lock_state(path)->held) << "no file";
  {
    auto lock = real_files().lock(path);
    ASSERT_TRUE(lock.ok());
    EXPECT_TRUE(lock_state(path)->held);
    EXPECT_EQ(real_files().lock(path).error().code(), Errc::in_use) << "looking took nothing away";
  }
  EXPECT_FALSE(lock_state(path)->held);
  EXPECT_TRUE(real_files().lock(path).ok()) << "looking keeps nothing";
}

TEST_F(MachineFactsOnDisk, ListsFilesBelow) {
  ASSERT_TRUE(real_files().make_directories(directory_ + "/t-0/deep").ok());
  write("b", 5);
  write("t-0/a", 7);
  write("t-0/deep/c", 0);
  auto listing = list_files(directory_, 10);
  ASSERT_TRUE(listing.ok());
  ASSERT_EQ(listing->files.size(), 3u);
  EXPECT_EQ(listing->files[0].path, "b");
  EXPECT_EQ(listing->files[1].path, "t-0/a");
  EXPECT_EQ(listing->files[1].bytes, 7u);
  EXPECT_EQ(listing->files[2].path, "t-0/deep/c");
  EXPECT_TRUE(listing->files[0].usable);
  EXPECT_FALSE(listing->cut);
  EXPECT_TRUE(list_files(directory_, 2)->cut);
  EXPECT_EQ(list_files(directory_ + "/none", 2).error().code(), Errc::not_found);
}

TEST_F(MachineFactsOnDisk, MeasuresSyncsAndLeavesNothing) {
  auto times = measure_syncs(directory_, std::chrono::milliseconds(20));
  ASSERT_TRUE(times.ok()) << times.error().message();
  EXPECT_GT(times->percentile(0.5).count(), 0);
  EXPECT_LE(times->percentile(0.5), times->percentile(0.99));
  EXPECT_TRUE(real_files().list(directory_)->empty());
  EXPECT_EQ(measure_syncs(directory_ + "/none", Duration{1}).error().code(), Errc::not_found);
}

TEST_F(MachineFactsOnDisk, UsableDirectory) {
  EXPECT_TRUE(may_use_directory(directory_).ok());
  write("file", 1);
  EXPECT_FALSE(may_use_directory(directory_ + "/file").ok());
  EXPECT_EQ(may_use_directory(directory_ + "/none").error().code(), Errc::not_found);
}

TEST(MachineFacts, APortThatIsListenedOnIsInUse) {
  RealHost host({.shards = 1, .handle_signals = false});
  EXPECT_EQ(host.run([](RealHost& h) -> Task<int> {
    auto listener = h.env(ShardId{0}).network.listen({"127.0.0.1", 0});
    if (!listener.ok()) co_return 1;
    auto may = may_listen((*listener)->local());
    if (may.ok() || may.error().code() != Errc::in_use) co_return 2;
    const Address was = (*listener)->local();
    (*listener)->close();
    co_return may_listen(was).ok() ? 0 : 3;
  }),
            0);
  EXPECT_EQ(may_listen({"192.0.2.1", 0}).error().code(), Errc::invalid_argument) << "no address of ours";
}

TEST(MachineFacts, Names) {
  EXPECT_EQ(*addresses_of("127.0.0.1"), std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(addresses_of("no..name").error().code(), Errc::not_found);
}

}  // namespace
}  // namespace mr
