// The log sink writes into a pipe: text and JSON forms, nothing lost in order, drops counted when nobody reads.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/log.h"
#include "runtime/real_host.h"

namespace mr {
namespace {

struct Pipe {
  int ends[2];
  Pipe() { MR_CHECK(::pipe2(ends, O_CLOEXEC) == 0); }
  ~Pipe() {
    ::close(ends[0]);
    if (ends[1] >= 0) ::close(ends[1]);
  }
  /// All that was written, once the sink is gone.
  std::string read_all() {
    ::close(std::exchange(ends[1], -1));
    std::string out;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<std::size_t>(n));
    return out;
  }
};

TEST(LogSink, Text) {
  Pipe pipe;
  {
    RealLogSink sink({.descriptor = pipe.ends[1]});
    log_info("storage", "segment rolled", {{"topic", "a b"}, {"base", 12}});
    log_debug("storage", "not at this level");
    sink.flush();
    log_warn("runtime", "second");
  }
  std::string out = pipe.read_all();
  EXPECT_NE(out.find("Z info  storage: segment rolled topic=\"a b\" base=12\n"), std::string::npos) << out;
  EXPECT_TRUE(out.ends_with("Z warn  runtime: second\n")) << out;
  EXPECT_EQ(out.find("not at this level"), std::string::npos);
}

TEST(LogSink, Json) {
  Pipe pipe;
  {
    RealLogSink sink({.format = LogSinkOptions::Format::json, .descriptor = pipe.ends[1]});
    log_error("runtime", "quoted \"x\"", {{"line", "a\nb"}, {"n", -1}, {"on", true}, {"r", 0.5}});
  }
  std::string out = pipe.read_all();
  EXPECT_TRUE(out.starts_with("{\"time\":\"20")) << out;
  EXPECT_TRUE(
      out.ends_with("\"level\":\"error\",\"room\":\"runtime\",\"message\":\"quoted \\\"x\\\"\","
                    "\"line\":\"a\\nb\",\"n\":-1,\"on\":true,\"r\":0.5}\n"))
      << out;
}

TEST(LogSink, DropsAreCountedAndSaid) {
  Pipe pipe;
  // A full pipe holds the writer, so the queue fills.
  std::string block(1 << 16, '-');
  ASSERT_EQ(::fcntl(pipe.ends[1], F_SETPIPE_SZ, 1 << 16), 1 << 16);
  ASSERT_EQ(::write(pipe.ends[1], block.data(), block.size()), static_cast<ssize_t>(block.size()));
  auto sink = std::make_unique<RealLogSink>(LogSinkOptions{.descriptor = pipe.ends[1], .queue_lines_max = 10});
  for (int i = 0; i < 100; ++i) log_info("runtime", "line", {{"i", i}});
  EXPECT_GE(sink->dropped(), 80u);  // 10 in the queue, up to 10 with the writer
  std::string start(1 << 16, 0);
  ASSERT_GT(::read(pipe.ends[0], start.data(), start.size()), 0);  // lets the writer go on
  sink.reset();
  std::string out = pipe.read_all();
  EXPECT_NE(out.find("log lines were dropped"), std::string::npos) << out;
}

TEST(LogSinkDeathTest, AbortWritesWhatIsQueued) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        RealLogSink sink({});
        log_warn("runtime", "the last words");
        MR_CHECK(false);
      },
      "the last words");
}

}  // namespace
}  // namespace mr
