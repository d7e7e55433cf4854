#include "bench/groupload/world.h"

#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <fstream>

#include "bench/kload/frames.h"

namespace mr::bench {
namespace {

constexpr std::int16_t kTopicExists = 36;
constexpr double kPatience = 120;  ///< seconds

[[noreturn]] void fail(const std::string& why) {
  fmt::print(stderr, "groupload: {}\n", why);
  std::exit(1);
}

template <class Test>
void wait_until(Test test, const std::string& what) {
  for (double until = now_seconds() + kPatience; !test();) {
    if (now_seconds() > until) fail(fmt::format("{}: not within {} s", what, kPatience));
    timespec pause{.tv_sec = 0, .tv_nsec = 10'000'000};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace

void await_coordinator(const GroupOptions& options) {
  Socket socket(options.host, options.port);
  wait_until([&] { return read_find_coordinator(socket.call(find_coordinator_frame(options.name))) == 0; },
             "a coordinator");
}

std::vector<std::string> make_topics(const GroupOptions& options) {
  Socket socket(options.host, options.port);
  std::vector<std::string> names;
  for (std::size_t t = 0; t < options.topics; ++t) {
    Options topic{.topic = fmt::format("{}-topic-{}", options.name, t), .partitions = options.partitions};
    if (auto error = topic_error(socket.call(create_frame(topic))); error != 0 && error != kTopicExists)
      fail(fmt::format("topic {} was not created: error {}", topic.topic, error));
    wait_until([&] { return partitions_with_leader(socket.call(metadata_frame(topic))) == topic.partitions; },
               "leaders of " + topic.topic);
    names.push_back(std::move(topic.topic));
  }
  return names;
}

void make_stable(Runner& runner, std::vector<ClassicGroup>& groups, const std::string& topic) {
  Rounds rounds(runner, groups, {.topic = topic});
  runner.run(rounds, {.count = groups.size(), .window = rounds.at_once()});
  if (rounds.errors != 0) fail(fmt::format("groups could not be made: error {}", rounds.first_error));
}

Memory memory_of(int pid) {
  Memory out;
  if (pid == 0) return out;
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) out.resident_mb = std::atof(line.c_str() + 6) / 1024;
    if (line.starts_with("VmHWM:")) out.peak_mb = std::atof(line.c_str() + 6) / 1024;
  }
  return out;
}

}  // namespace mr::bench
