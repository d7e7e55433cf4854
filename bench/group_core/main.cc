// group_core: what the decisions about consumer groups cost on one thread, with no socket, shard or log around them
// (bench/README.md). Events are built in slices; only deciding and applying them is timed and counted.
#include <fmt/format.h>

#include <chrono>

#include "base/log.h"
#include "bench/counted_new.h"
#include "bench/group_core/core.h"

namespace {

using namespace mr::bench;

constexpr std::size_t kSlice = 256;  ///< operations

struct Asked {
  std::vector<std::string> works;
  CoreSizes sizes;
  std::uint64_t count = 1'000'000;
};

bool parse(int argc, char** argv, Asked& asked) {
  const std::vector<std::string> all = {"join", "new-groups", "heartbeat", "heartbeat848", "commit", "rebalance"};
  for (int i = 1; i < argc; ++i) {
    std::string_view name = argv[i];
    if (!name.starts_with("--")) {
      if (name != "all" && make_core_work(argv[i], {}) == nullptr) return false;
      if (name == "all") asked.works = all;
      if (name != "all") asked.works.emplace_back(name);
      continue;
    }
    const long long value = ++i < argc ? std::atoll(argv[i]) : 0;
    if (value <= 0) return false;
    if (name == "--groups") {
      asked.sizes.groups = static_cast<std::size_t>(value);
    } else if (name == "--members") {
      asked.sizes.members = static_cast<std::size_t>(value);
    } else if (name == "--partitions") {
      asked.sizes.partitions = static_cast<std::int32_t>(value);
    } else if (name == "--count") {
      asked.count = static_cast<std::uint64_t>(value);
    } else {
      return false;
    }
  }
  return !asked.works.empty();
}

/// Returns whether no answer was an error.
bool run(const std::string& name, const Asked& asked) {
  using Clock = std::chrono::steady_clock;
  Core core;
  auto work = make_core_work(name, asked.sizes);
  work->set_up(core);
  const std::uint64_t records = core.records;
  std::uint64_t allocations = 0, events_sent = 0;
  Clock::duration took{};
  Events events;
  for (std::uint64_t done = 0; done < asked.count;) {
    events.clear();
    for (std::size_t i = 0; i < kSlice && done < asked.count; ++i, ++done) work->add_operation(events);
    events_sent += events.size();
    const std::uint64_t before = mr::bench::allocations;
    const auto began = Clock::now();
    for (auto& event : events) core.send(std::move(event));
    took += Clock::now() - began;
    allocations += mr::bench::allocations - before;
  }
  const double seconds = std::chrono::duration<double>(took).count();
  const auto operations = static_cast<double>(asked.count);
  fmt::print(
      "{{\"work\":\"{}\",\"groups\":{},\"members\":{},\"operations\":{},\"events\":{},\"errors\":{},\"seconds\":{:.6f},"
      "\"operations_per_s\":{:.0f},\"ns_per_operation\":{:.0f},\"allocations_per_operation\":{:.2f},"
      "\"records_per_operation\":{:.2f}}}\n",
      name, asked.sizes.groups, asked.sizes.members, asked.count, events_sent, core.errors, seconds,
      operations / seconds, seconds * 1e9 / operations, static_cast<double>(allocations) / operations,
      static_cast<double>(core.records - records) / operations);
  return core.errors == 0;
}

}  // namespace

int main(int argc, char** argv) {
  Asked asked;
  if (!parse(argc, argv, asked)) {
    fmt::print(stderr,
               "usage: group_core join|new-groups|heartbeat|heartbeat848|commit|rebalance|all... [--count OPERATIONS] "
               "[--groups N] [--members N] [--partitions N]\n");
    return 2;
  }
  mr::set_log_level(mr::LogLevel::error);
  bool good = true;
  for (const std::string& work : asked.works) good &= run(work, asked);
  return good ? 0 : 1;
}
