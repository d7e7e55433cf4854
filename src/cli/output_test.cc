// Aim: every format can be read back by what it is for: YAML and tables keep their shape, bytes that are no text do no
// harm to a terminal or a parser. Method: values and the text they must become.
#include "cli/output.h"

#include <gtest/gtest.h>

#include "cli/completion.h"

namespace mr::cli {
namespace {

TEST(Output, Base64) {
  EXPECT_EQ(base64(as_bytes("")), "");
  EXPECT_EQ(base64(as_bytes("f")), "Zg==");
  EXPECT_EQ(base64(as_bytes("fo")), "Zm8=");
  EXPECT_EQ(base64(as_bytes("foo")), "Zm9v");
}

const Value::List kRows = {Value::Object{{"name", "a"}, {"count", 1}, {"ids", Value::List{1, 2}}},
                           Value::Object{{"name", "long name"}, {"count", nullptr}, {"ids", Value::List{}}}};

TEST(Output, Rows) {
  EXPECT_EQ(render_rows(OutputFormat::table, kRows),
            "NAME       COUNT  IDS\n"
            "a          1      1,2\n"
            "long name  -      \n");
  EXPECT_EQ(render_rows(OutputFormat::ndjson, kRows),
            "{\"name\":\"a\",\"count\":1,\"ids\":[1,2]}\n{\"name\":\"long name\",\"count\":null,\"ids\":[]}\n");
  EXPECT_EQ(render_rows(OutputFormat::yaml, kRows),
            "- name: \"a\"\n  count: 1\n  ids:\n    - 1\n    - 2\n- name: \"long name\"\n  count: null\n  ids: []\n");
  EXPECT_EQ(render_rows(OutputFormat::json, {}), "[]\n");
  EXPECT_EQ(render_rows(OutputFormat::table, {}), "");
}

TEST(Output, ATableCannotSteerTheTerminal) {
  EXPECT_EQ(render_one(OutputFormat::table, {{"value", "\x1b[2Jx"}}), "value  .[2Jx\n");
}

TEST(Output, HumanNumbers) {
  EXPECT_EQ(human_bytes(512), "512 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_count(9999), "9999");
  EXPECT_EQ(human_count(1'200'000), "1200.0 k");
}

TEST(Output, CompletionKnowsEveryCommand) {
  CommandTree root{.name = "millrace",
                   .commands = {{.name = "topic", .commands = {{.name = "list", .options = {"--output"}}}}}};
  for (const char* shell : {"bash", "zsh", "fish"}) {
    std::string script = completion_script(shell, root);
    EXPECT_NE(script.find("topic"), std::string::npos) << shell;
    EXPECT_NE(script.find("output"), std::string::npos) << shell;
  }
  EXPECT_EQ(completion_script("csh", root), "");
}

}  // namespace
}  // namespace mr::cli
