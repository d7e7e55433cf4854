#include "bench/groupload/works.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "bench/groupload/consumers.h"
#include "bench/groupload/world.h"
#include "bench/kload/latency.h"

namespace mr::bench {
namespace {

constexpr double kSettleSeconds = 300;
constexpr double kOften = 0.2;  ///< seconds between heartbeats while a group is set up
constexpr std::int32_t kSetupSessionMs = 1'800'000;

void print(const std::string& name, const RunLimits& limits, const Work& work, RunFigures f) {
  std::ranges::sort(f.latencies);
  auto ms = [&](double p) { return percentile(f.latencies, p) * 1e3; };
  auto per_s = [&](std::uint64_t n) { return f.seconds > 0 ? static_cast<double>(n) / f.seconds : 0; };
  const auto operations = static_cast<double>(std::max<std::uint64_t>(f.operations, 1));
  fmt::print(
      "{{\"work\":\"{}\",\"load\":\"{}\",\"rate\":{:.0f},\"window\":{},\"actors\":{},\"operations\":{},\"requests\":{},"
      "\"errors\":{},\"first_error\":{},\"seconds\":{:.6f},\"operations_per_s\":{:.0f},\"requests_per_s\":{:.0f},"
      "\"server_cpu_s\":{:.6f},\"server_cpu_us_per_operation\":{:.2f},\"own_cpu_s\":{:.6f},"
      "\"p50_ms\":{:.4f},\"p99_ms\":{:.4f},\"p999_ms\":{:.4f},\"max_ms\":{:.4f}}}\n",
      name, limits.rate > 0 ? "open" : "closed", limits.rate, limits.rate > 0 ? work.at_once() : limits.window,
      work.actors(), f.operations, f.requests, work.errors, work.first_error, f.seconds, per_s(f.operations),
      per_s(f.requests), f.server_cpu_seconds, f.server_cpu_seconds * 1e6 / operations, f.own_cpu_seconds, ms(0.5),
      ms(0.99), ms(0.999), ms(1));
  std::fflush(stdout);
}

/// The runs that the options ask for: warm-up, the one, and perhaps one at half its rate.
bool measure(const GroupOptions& o, const std::string& name, Runner& runner, Work& work) {
  const std::size_t window = std::min(work.at_once(), o.connections * o.in_flight);
  if (o.warmup > 0) runner.run(work, {.seconds = o.warmup, .rate = o.rate, .window = window});
  RunLimits limits{.seconds = o.seconds, .count = o.count, .rate = o.rate, .window = window};
  RunFigures figures = runner.run(work, limits);
  limits.rate = o.half && o.rate == 0 ? static_cast<double>(figures.operations) / figures.seconds / 2 : 0;
  RunLimits first = limits;
  first.rate = o.rate;
  print(name, first, work, std::move(figures));
  if (limits.rate > 0) {
    figures = runner.run(work, limits);
    print(name, limits, work, std::move(figures));
  }
  return work.errors == 0;
}

/// Members go when a work is done: sessions that end during the next one would be measured with it.
void leave(Runner& runner, std::vector<Bytes> frames) {
  const std::size_t n = frames.size();
  Repeats leaving(runner, std::move(frames), read_error);  // who is gone already is gone
  runner.run(leaving, {.count = n, .window = n});
}

void leave(Runner& runner, const std::vector<ClassicGroup>& groups) {
  std::vector<Bytes> frames;
  for (const ClassicGroup& group : groups) frames.push_back(leave_frame(group.name, group.members));
  leave(runner, std::move(frames));
}

void leave(Runner& runner, const std::vector<Consumers>& groups) {
  std::vector<Bytes> frames;
  for (const Consumers& group : groups)
    for (Bytes& frame : group.leave_frames()) frames.push_back(std::move(frame));
  leave(runner, std::move(frames));
}

/// What works have in common: connections, a coordinator, one topic at least.
struct Scene {
  explicit Scene(const GroupOptions& options) : o(options), runner(options) {
    await_coordinator(o);
    topics = make_topics(o);
  }
  std::vector<ClassicGroup> stable_groups(const std::string& what, std::size_t members) {
    auto groups = name_groups(o.name + "-" + what, o.groups, members);
    make_stable(runner, groups, topics.front());
    return groups;
  }
  const GroupOptions& o;
  Runner runner;
  std::vector<std::string> topics;
};

bool join(const GroupOptions& o) {
  Scene scene(o);
  const auto groups = scene.stable_groups("join", 1);
  Rejoins work(scene.runner, groups, scene.topics.front());
  const bool good = measure(o, "join", scene.runner, work);
  leave(scene.runner, groups);
  return good;
}

bool new_groups(const GroupOptions& o) {
  Scene scene(o);
  auto groups = name_groups(o.name + "-new", o.groups, 1);
  Rounds work(scene.runner, groups, {.topic = scene.topics.front(), .leave = true});
  return measure(o, "new-groups", scene.runner, work);
}

bool heartbeat(const GroupOptions& o) {
  Scene scene(o);
  std::vector<Bytes> frames;
  const auto groups = scene.stable_groups("heartbeat", o.members);
  for (const ClassicGroup& group : groups)
    for (const std::string& member : group.members)
      frames.push_back(heartbeat_frame(group.name, group.generation, member));
  Repeats work(scene.runner, std::move(frames), read_error);
  const bool good = measure(o, "heartbeat", scene.runner, work);
  leave(scene.runner, groups);
  return good;
}

bool unsettled(const std::vector<Consumers>& groups) {
  std::uint64_t errors = 0;
  std::int16_t first = 0;
  for (const Consumers& group : groups) {
    if (first == 0) first = group.first_error;
    errors += group.errors;
  }
  fmt::print(stderr, "groupload: KIP-848 groups did not settle in {} s; {} errors, the first: {}\n", kSettleSeconds,
             errors, first);
  return false;
}

bool heartbeat848(const GroupOptions& o) {
  Scene scene(o);
  std::vector<Consumers> groups;
  for (std::size_t g = 0; g < o.groups; ++g) {
    groups.emplace_back(scene.runner, fmt::format("{}-848-{}", o.name, g), std::vector{scene.topics.front()},
                        static_cast<std::size_t>(o.partitions));
    groups.back().add_members(o.members);
  }
  if (!settle(groups, kSettleSeconds, kOften)) return unsettled(groups);
  std::vector<Bytes> frames;
  for (const Consumers& group : groups)
    for (Bytes& frame : group.quiet_frames()) frames.push_back(std::move(frame));
  Repeats work(scene.runner, std::move(frames), read_error);
  const bool good = measure(o, "heartbeat848", scene.runner, work);
  leave(scene.runner, groups);
  return good;
}

bool commit(const GroupOptions& o) {
  Scene scene(o);
  std::vector<Bytes> frames;
  std::int64_t offset = 0;
  const auto groups = scene.stable_groups("commit", 1);
  for (const ClassicGroup& group : groups)
    frames.push_back(commit_frame({.group = group.name,
                                   .member = group.members.front(),
                                   .topic = scene.topics[frames.size() % scene.topics.size()],
                                   .generation = group.generation,
                                   .count = o.commit_partitions,
                                   .offset = ++offset}));
  Repeats work(scene.runner, std::move(frames), read_commit);
  const bool good = measure(o, "commit", scene.runner, work);
  leave(scene.runner, groups);
  return good;
}

bool rebalance(const GroupOptions& o) {
  Scene scene(o);
  auto groups = scene.stable_groups("rebalance", o.members);
  Rounds work(scene.runner, groups, {.topic = scene.topics.front()});
  const bool good = measure(o, "rebalance", scene.runner, work);
  leave(scene.runner, groups);
  return good;
}

/// Each group commits its part of options.offsets; a commit holds at most one topic's partitions.
std::vector<Bytes> setup_commits(const GroupOptions& o, const std::vector<ClassicGroup>& groups,
                                 const std::vector<std::string>& topics) {
  std::vector<Bytes> frames;
  std::uint64_t left = o.offsets;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    std::uint64_t part = left / (groups.size() - g);
    left -= part;
    for (std::size_t t = g; part > 0; ++t) {
      if (t - g == topics.size()) {
        fmt::print(stderr, "groupload: {} groups have no room for {} offsets in {} partitions\n", groups.size(),
                   o.offsets, topics.size() * static_cast<std::size_t>(o.partitions));
        std::exit(2);
      }
      auto count = static_cast<std::int32_t>(std::min<std::uint64_t>(part, static_cast<std::uint64_t>(o.partitions)));
      part -= static_cast<std::uint64_t>(count);
      frames.push_back(commit_frame({.group = groups[g].name,
                                     .member = groups[g].members.front(),
                                     .topic = topics[t % topics.size()],
                                     .generation = groups[g].generation,
                                     .count = count,
                                     .offset = static_cast<std::int64_t>(g)}));
    }
  }
  return frames;
}

bool setup(const GroupOptions& o) {
  const Memory idle = memory_of(o.server_pid);
  double at = now_seconds();
  auto lap = [&at] { return now_seconds() - std::exchange(at, now_seconds()); };
  Scene scene(o);
  const double topics_s = lap();
  const Memory with_topics = memory_of(o.server_pid);

  auto groups = name_groups(o.name + "-setup", o.groups, o.members);
  for (ClassicGroup& group : groups) group.session_ms = kSetupSessionMs;
  make_stable(scene.runner, groups, scene.topics.front());
  const double groups_s = lap();
  const Memory with_groups = memory_of(o.server_pid);

  std::vector<Bytes> commits = setup_commits(o, groups, scene.topics);
  const std::size_t commit_count = commits.size();
  Repeats committing(scene.runner, std::move(commits), read_commit);
  if (commit_count > 0) scene.runner.run(committing, {.count = commit_count, .window = o.connections * o.in_flight});
  const double offsets_s = lap();
  const Memory with_offsets = memory_of(o.server_pid);

  const std::size_t partitions = o.topics * static_cast<std::size_t>(o.partitions);
  std::vector<Consumers> one;
  Consumers& large = one.emplace_back(scene.runner, o.name + "-large", scene.topics, partitions);
  large.add_members(o.large_members);
  const bool settled = settle(one, kSettleSeconds, kOften);
  const double large_s = lap();
  const Memory end = memory_of(o.server_pid);
  fmt::print(
      "{{\"work\":\"setup\",\"groups\":{},\"members\":{},\"offsets\":{},\"large_members\":{},\"partitions\":{},"
      "\"errors\":{},\"settled\":{},\"owned_twice\":{},\"topics_s\":{:.3f},\"groups_s\":{:.3f},\"offsets_s\":{:.3f},"
      "\"large_group_s\":{:.3f},\"large_group_heartbeats\":{},\"rss_mb\":{:.1f},\"peak_rss_mb\":{:.1f},"
      "\"rss_idle_mb\":{:.1f},\"rss_topics_mb\":{:.1f},\"rss_groups_mb\":{:.1f},\"rss_offsets_mb\":{:.1f}}}\n",
      o.groups, o.members, o.offsets, o.large_members, partitions, committing.errors + large.errors, settled,
      large.twice, topics_s, groups_s, offsets_s, large_s, large.heartbeats, end.resident_mb, end.peak_mb,
      idle.resident_mb, with_topics.resident_mb, with_groups.resident_mb, with_offsets.resident_mb);
  std::fflush(stdout);
  return settled && committing.errors + large.errors + large.twice == 0;
}

bool added(const GroupOptions& o) {
  Scene scene(o);
  const std::size_t partitions = o.topics * static_cast<std::size_t>(o.partitions);
  std::vector<Consumers> one;
  Consumers& group = one.emplace_back(scene.runner, o.name + "-added", scene.topics, partitions);
  group.add_members(o.added_members);
  if (!settle(one, kSettleSeconds, kOften)) return unsettled(one);
  group.watch();
  group.longest_heartbeat = 0;
  group.add_members(1);
  const double began = now_seconds();
  const bool settled = settle(one, kSettleSeconds, kSettleSeconds);
  const double took = now_seconds() - began;
  const Consumers::Moved moved = group.moved();
  fmt::print(
      "{{\"work\":\"added\",\"members\":{},\"partitions\":{},\"errors\":{},\"settled\":{},\"settled_after_s\":{:.3f},"
      "\"pause_of_others_ms\":{:.3f},\"moved\":{},\"had_to_move\":{},\"moving_gap_ms\":{:.3f},\"owned_twice\":{},"
      "\"longest_heartbeat_ms\":{:.3f}}}\n",
      o.added_members, partitions, group.errors, settled, took, moved.stayed_gap * 1e3, moved.partitions,
      group.partitions_of(o.added_members), moved.moved_gap * 1e3, group.twice, group.longest_heartbeat * 1e3);
  std::fflush(stdout);
  leave(scene.runner, one);
  return settled && group.errors + group.twice == 0;
}

}  // namespace

bool do_work(const GroupOptions& options, const std::string& work) {
  static const std::map<std::string, bool (*)(const GroupOptions&)> works = {
      {"join", join},     {"new-groups", new_groups}, {"heartbeat", heartbeat}, {"heartbeat848", heartbeat848},
      {"commit", commit}, {"rebalance", rebalance},   {"setup", setup},         {"added", added},
  };
  return works.at(work)(options);
}

}  // namespace mr::bench
