#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <span>
#include <string_view>

#include "coordinator/assignors/assignor.h"

/// assign [MEMBERS TOPICS PARTITIONS_EACH]: how long one assignment takes and how much it moves, for each assignor,
/// with equal and with mixed subscriptions: a fresh group, the same again, one member more, one less. Medians of five.
namespace mr::coordinator {
namespace {

AssignorInput group_of(std::size_t members, std::uint32_t topics, std::int32_t partitions, bool mixed) {
  AssignorInput input;
  for (std::uint32_t t = 0; t < topics; ++t) input.topics.push_back({{}, fmt::format("topic{:05}", t), partitions, {}});
  std::mt19937_64 random(1);
  for (std::size_t m = 0; m < members; ++m) {
    AssignorMember member;
    member.id = fmt::format("member{:05}", m);
    for (std::uint32_t t = 0; t < topics; ++t)
      if (!mixed || random() % 4 == 0) member.topics.push_back(t);
    input.members.push_back(std::move(member));
  }
  return input;
}

std::size_t count(const Share& share) {
  std::size_t sum = 0;
  for (const TopicShare& topic : share) sum += topic.partitions.size();
  return sum;
}

std::size_t lost(const AssignorInput& input, const AssignorOutput& output) {
  std::size_t sum = 0;
  for (std::size_t m = 0; m < output.size(); ++m)
    for (const TopicShare& owned : input.members[m].owned) {
      auto at = std::ranges::find(output[m], owned.topic, &TopicShare::topic);
      for (std::int32_t p : owned.partitions)
        if (at == output[m].end() || !std::ranges::binary_search(at->partitions, p)) ++sum;
    }
  return sum;
}

AssignorOutput measure(const Assignor& assignor, const AssignorInput& input, std::string_view what) {
  AssignorOutput output;
  std::vector<double> took;
  for (int i = 0; i < 5; ++i) {
    const auto began = std::chrono::steady_clock::now();
    output = assignor.assign(input);
    took.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
  }
  std::ranges::sort(took);
  std::size_t least = SIZE_MAX;
  std::size_t most = 0;
  for (const Share& share : output) {
    least = std::min(least, count(share));
    most = std::max(most, count(share));
  }
  fmt::print("{:<10} {:<26} {:>8.1f} ms   moved {:>7}   loads {} to {}\n", assignor.name(), what, took[2],
             lost(input, output), least, most);
  return output;
}

void own(AssignorInput& input, const AssignorOutput& output) {
  for (std::size_t m = 0; m < output.size(); ++m) input.members[m].owned = output[m];
}

void run(const Assignor& assignor, AssignorInput input, bool mixed) {
  const std::string kind = mixed ? "mixed, " : "alike, ";
  own(input, measure(assignor, input, kind + "fresh"));
  measure(assignor, input, kind + "again");
  AssignorInput larger = input;
  larger.members.push_back(larger.members.front());
  larger.members.back().id = "newcomer";
  larger.members.back().owned.clear();
  measure(assignor, larger, kind + "one joins");
  input.members.pop_back();
  measure(assignor, input, kind + "one leaves");
}

}  // namespace
}  // namespace mr::coordinator

int main(int argc, char** argv) {
  using namespace mr::coordinator;
  const std::span<char*> args(argv, static_cast<std::size_t>(argc));
  auto number = [&](std::size_t i, long otherwise) { return args.size() > i ? std::atol(args[i]) : otherwise; };
  const long members = number(1, 1000);
  const long topics = number(2, 1000);
  const long partitions = number(3, 100);
  if (members < 1 || topics < 1 || partitions < 1 || members > 100'000 || topics * partitions > 10'000'000) {
    fmt::print(stderr, "assign [MEMBERS TOPICS PARTITIONS_EACH], for example: assign 1000 1000 100\n");
    return 2;
  }
  fmt::print("{} members, {} topics of {} partitions\n", members, topics, partitions);
  for (bool mixed : {false, true}) {
    const AssignorInput input = group_of(static_cast<std::size_t>(members), static_cast<std::uint32_t>(topics),
                                         static_cast<std::int32_t>(partitions), mixed);
    run(*make_uniform_assignor(), input, mixed);
    run(*make_range_assignor(), input, mixed);
    run(*make_roundrobin_assignor(), input, mixed);
  }
  return 0;
}
