// Aim: an archive's bytes are those of POSIX ustar. Method: fields read back by their positions; Debian's own tar reads
// whole bundles in the black-box suite `ops`.
#include "cli/tar.h"

#include <gtest/gtest.h>

namespace mr::cli {
namespace {

TEST(Tar, HeaderContentAndEnd) {
  TarWriter tar(1'700'000'000'123);
  tar.add("b/first", "hello");
  tar.add("b/empty", "");
  tar.add("b/block", std::string(512, 'x'));
  const std::string bytes = std::move(tar).finish();
  EXPECT_EQ(bytes.size() % 10240, 0u);
  EXPECT_STREQ(bytes.c_str(), "b/first");
  EXPECT_STREQ(bytes.c_str() + 124, "00000000005");
  EXPECT_EQ(std::stoll(bytes.substr(136, 11), nullptr, 8), 1'700'000'000);
  EXPECT_EQ(bytes.substr(257, 8), std::string("ustar\00000", 8));
  unsigned sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(bytes[i]);
  EXPECT_EQ(std::stoul(bytes.substr(148, 6), nullptr, 8), sum);
  EXPECT_EQ(bytes.substr(512, 5), "hello");
  EXPECT_STREQ(bytes.c_str() + 1024, "b/empty");
  EXPECT_STREQ(bytes.c_str() + 1536, "b/block");
  EXPECT_EQ(bytes[2048], 'x');
  EXPECT_EQ(bytes.find_first_not_of('\0', 2560), std::string::npos) << "two empty blocks, then padding";
}

}  // namespace
}  // namespace mr::cli
