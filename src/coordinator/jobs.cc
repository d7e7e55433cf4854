#include "coordinator/jobs.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <exception>

namespace mr::coordinator {

namespace {
/// Of a compiled pattern and what it caches while it matches.
constexpr std::int64_t kProgramBytesMax = 256 << 10;

RE2::Options options() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kProgramBytesMax);
  return options;
}
}  // namespace

std::size_t work_of(const AssignorInput& input) {
  std::size_t work = input.members.size();
  for (const AssignorMember& member : input.members) work += member.topics.size();
  for (const AssignorTopic& topic : input.topics) work += static_cast<std::size_t>(topic.partitions);
  return work;
}

AssignedEvent run(const AssignJob& job) {
  AssignedEvent made{.group = job.group, .epoch = job.epoch, .input = job.input};
  AssignorOutput output;
  try {
    output = job.assignor->assign(*job.input);
  } catch (const std::exception& thrown) {  // code that may not be ours
    made.output = Error(Errc::internal, fmt::format("{}: {}", job.assignor->name(), thrown.what()));
    return made;
  }
  auto checked = check_assignment(*job.input, output);
  if (checked.ok()) {
    made.output = std::move(output);
  } else {
    made.output = Error(checked.code(), fmt::format("{}: {}", job.assignor->name(), checked.error().message()));
  }
  return made;
}

Result<void> check_pattern(std::string_view pattern) {
  if (pattern.size() > kPatternBytesMax)
    return Error(Errc::invalid_regular_expression,
                 fmt::format("{} bytes, at most {} are allowed", pattern.size(), kPatternBytesMax));
  const RE2 compiled(re2::StringPiece(pattern.data(), pattern.size()), options());
  if (!compiled.ok()) return Error(Errc::invalid_regular_expression, compiled.error());
  return {};
}

MatchedEvent run(const MatchJob& job) {
  MatchedEvent found{.group = job.group, .patterns = job.patterns, .matched = {}};
  for (const std::string& pattern : *job.patterns) {
    auto& names = found.matched.emplace_back(pattern, std::vector<std::string>{}).second;
    const RE2 compiled(pattern, options());
    if (!compiled.ok()) continue;  // the group was another broker's, with another idea of what compiles
    for (const auto& [name, topic] : job.topics->topics())
      if (!topic->internal && RE2::FullMatch(name, compiled)) names.push_back(name);
  }
  return found;
}

}  // namespace mr::coordinator
