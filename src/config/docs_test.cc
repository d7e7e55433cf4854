// Aim: the generated pages are never stale and no difference from Kafka is without a reason. Method: render, compare
// with the files.
#include "config/docs.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace mr::config {
namespace {

std::string file(const std::string& path) {
  std::ifstream stream(MR_SOURCE_DIR "/" + path);
  EXPECT_TRUE(stream) << path;
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

TEST(ConfigDocs, PagesAreFresh) {
  const char* how = "stale: run cmake --build build/dev --target config_pages";
  EXPECT_TRUE(file("docs/config.md") == render_config_page()) << how;
  EXPECT_TRUE(file("docs/differences.md") == render_differences_page(file("src/config/kafka_configs.tsv"))) << how;
}

TEST(ConfigDocs, EveryDifferenceHasAReason) {
  EXPECT_EQ(render_differences_page(file("src/config/kafka_configs.tsv")).find("|  |"), std::string::npos);
}

}  // namespace
}  // namespace mr::config
