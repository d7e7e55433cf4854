// Aim: whoever reads why a start failed knows what to type. Method: each error that a start can meet.
#include "app/start_errors.h"

#include <gtest/gtest.h>

namespace mr::app {
namespace {

TEST(StartErrors, DirectoriesSayWhatToDo) {
  auto sentence = [](Errc code, const char* detail) {
    Error error = directory_error("/data", "kate", Error(code, detail));
    EXPECT_EQ(error.code(), code) << "exit codes go by it";
    EXPECT_NE(error.detail().find("/data"), std::string::npos) << error.detail();
    return error.detail();
  };
  auto says = [](const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(says(sentence(Errc::in_use, "locked"), "--data-dir"));
  EXPECT_TRUE(
      says(sentence(Errc::permission_denied, "/data/meta.properties: Permission denied"), "chown -R kate /data"));
  EXPECT_TRUE(says(sentence(Errc::newer_format, "/data/meta.properties: version 9"), "newer version"));
  EXPECT_TRUE(says(sentence(Errc::corrupt_data, "/data/meta.properties: no version"), "from a copy"));
  EXPECT_TRUE(says(sentence(Errc::already_exists, "/data: File exists"), "no directory"));
  EXPECT_TRUE(says(sentence(Errc::disk_full, "x"), "make room"));
  EXPECT_TRUE(says(sentence(Errc::disk_failed, "x"), "dmesg"));
  EXPECT_TRUE(says(sentence(Errc::resource_exhausted, "x"), "LimitNOFILE"));
  EXPECT_TRUE(says(sentence(Errc::io_error, "x"), "millrace doctor --data-dir /data"));
}

TEST(StartErrors, MetadataAndDoorsSayWhatToDo) {
  auto metadata = [](Errc code) {
    return metadata_error("/data", "kate", Error(code, "/data/metadata.db: x")).detail();
  };
  EXPECT_NE(metadata(Errc::corrupt_data).find("--adopt-topics"), std::string::npos);
  EXPECT_NE(metadata(Errc::newer_format).find("newer version"), std::string::npos);
  EXPECT_NE(metadata(Errc::io_error).find("chown -R kate /data"), std::string::npos);
  auto door = [](Errc code) { return door_error(Error(code, "h: x"), "http.listeners", {"h", 80}).detail(); };
  for (Errc code : {Errc::in_use, Errc::invalid_argument, Errc::not_found})
    EXPECT_NE(door(code).find("--http"), std::string::npos) << door(code);
  EXPECT_NE(door(Errc::permission_denied).find("privileges"), std::string::npos);
  EXPECT_TRUE(door(Errc::io_error).starts_with("http.listeners h:80: cannot listen"));
}

}  // namespace
}  // namespace mr::app
