// Aim: the estimate counts what recovery will look through: from the newest snapshot on. Method: a simulated disk.
#include "storage/recovery_estimate.h"

#include "storage/log_fixture.h"

namespace mr::storage {
namespace {

TEST(RecoveryEstimate, CountsFromTheNewestSnapshotOn) {
  test::LogFixture fixture;
  EXPECT_EQ(bytes_to_recover(fixture.disk, fixture.options.directory), 0u) << "no directory";
  fixture.options.config.segment_bytes = 1000;
  fixture.must_open();
  while (fixture.log->segments() < 4) {
    ASSERT_TRUE(fixture.append().ok());
    ASSERT_TRUE(fixture.sync().ok());  // leaves a snapshot where a segment began
  }
  std::uint64_t all = fixture.log->bytes();
  auto newest = bytes_to_recover(fixture.disk, fixture.options.directory);
  ASSERT_TRUE(newest.ok());
  EXPECT_GT(*newest, 0u);
  EXPECT_LE(*newest, 1000u);
  for (const DirEntry& entry : *fixture.disk.list(fixture.options.directory))
    if (entry.name.ends_with(".snapshot"))
      ASSERT_TRUE(fixture.disk.remove(fixture.options.directory + "/" + entry.name).ok());
  EXPECT_EQ(bytes_to_recover(fixture.disk, fixture.options.directory), all);
}

}  // namespace
}  // namespace mr::storage
