#include "bench/groupload/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <string_view>

namespace mr::bench {
namespace {

constexpr std::array<std::string_view, 9> kWorks = {"join",      "new-groups", "heartbeat", "heartbeat848", "commit",
                                                    "rebalance", "setup",      "added",     "all"};

constexpr std::string_view kUsage = R"(groupload WORK... --bootstrap HOST:PORT [options]
Loads a Kafka broker with consumer groups from one thread and prints one JSON object per run.
  join          members of groups of one join again with another subscription
  new-groups    a group of one is made and left: id, join, sync, leave
  heartbeat     Heartbeat of classic groups        heartbeat848  ConsumerGroupHeartbeat without news
  commit        OffsetCommit of members            rebalance     all members join, all sync
  setup         groups, offsets and one large KIP-848 group at once, with the server's memory
  added         one member more in a stable KIP-848 group: how long the others pause
  all           each of these
--connections N --in-flight N (a connection) --seconds S | --count OPERATIONS --rate OPERATIONS_PER_SECOND (open loop)
--half (a second run at half the rate of the first) --warmup S --server-pid PID --name PREFIX
--groups N --members N (a group) --topics N --partitions N (a topic) --commit-partitions N (a commit)
setup: --offsets N --large-members N    added: --added-members N
)";

[[noreturn]] void refuse(const std::string& why) {
  fmt::print(stderr, "groupload: {}\n{}", why, kUsage);
  std::exit(2);
}

double number(std::string_view name, const std::string& text) {
  char* end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != 0 || value < 0) refuse(fmt::format("{} wants a number, not '{}'", name, text));
  return value;
}

void set_bootstrap(GroupOptions& options, const std::string& value) {
  auto colon = value.rfind(':');
  if (colon == std::string::npos) refuse("--bootstrap wants HOST:PORT");
  options.host = value.substr(0, colon);
  options.port = static_cast<std::uint16_t>(number("--bootstrap", value.substr(colon + 1)));
}

using Setter = std::function<void(GroupOptions&, const std::string&)>;

template <class T>
Setter into(T GroupOptions::* member) {
  return [member](GroupOptions& o, const std::string& v) { o.*member = static_cast<T>(number("option", v)); };
}

const std::map<std::string_view, Setter>& setters() {
  static const std::map<std::string_view, Setter> table = {
      {"--bootstrap", set_bootstrap},
      {"--name", [](GroupOptions& o, const std::string& v) { o.name = v; }},
      {"--server-pid", into(&GroupOptions::server_pid)},
      {"--connections", into(&GroupOptions::connections)},
      {"--in-flight", into(&GroupOptions::in_flight)},
      {"--seconds", into(&GroupOptions::seconds)},
      {"--count", into(&GroupOptions::count)},
      {"--rate", into(&GroupOptions::rate)},
      {"--warmup", into(&GroupOptions::warmup)},
      {"--groups", into(&GroupOptions::groups)},
      {"--members", into(&GroupOptions::members)},
      {"--topics", into(&GroupOptions::topics)},
      {"--partitions", into(&GroupOptions::partitions)},
      {"--commit-partitions", into(&GroupOptions::commit_partitions)},
      {"--offsets", into(&GroupOptions::offsets)},
      {"--large-members", into(&GroupOptions::large_members)},
      {"--added-members", into(&GroupOptions::added_members)},
  };
  return table;
}

void check(const GroupOptions& o) {
  if (o.works.empty()) refuse("a work is missing");
  if (o.groups == 0 || o.members == 0 || o.topics == 0 || o.partitions < 1 || o.in_flight == 0 ||
      o.large_members == 0 || o.added_members == 0)
    refuse("groups, members, topics, partitions and in-flight must be above 0");
  if (o.commit_partitions < 1 || o.commit_partitions > o.partitions)
    refuse("--commit-partitions must be between 1 and --partitions");
  if (o.connections < o.members) refuse("--connections must be at least --members: joins wait for each other");
}

}  // namespace

GroupOptions parse_group_options(int argc, char** argv) {
  GroupOptions options;
  options.name = fmt::format("groupload-{}-{}", std::time(nullptr), getpid());
  for (int i = 1; i < argc; ++i) {
    std::string_view name = argv[i];
    if (!name.starts_with("--")) {
      if (std::ranges::find(kWorks, name) == kWorks.end()) refuse(fmt::format("unknown work '{}'", name));
      if (name == "all") options.works.assign(kWorks.begin(), kWorks.end() - 1);
      if (name != "all") options.works.emplace_back(name);
      continue;
    }
    if (name == "--half") {
      options.half = true;
      continue;
    }
    auto setter = setters().find(name);
    if (setter == setters().end()) refuse(fmt::format("unknown option '{}'", name));
    if (i + 1 == argc) refuse(fmt::format("{} wants a value", name));
    setter->second(options, argv[++i]);
  }
  check(options);
  return options;
}

}  // namespace mr::bench
