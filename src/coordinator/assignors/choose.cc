#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "coordinator/assignors/assignor.h"

namespace mr::coordinator {

namespace {
bool has(const Assignors& some, const Assignors::value_type& one) { return std::ranges::find(some, one) != some.end(); }
}  // namespace

Result<Assignors> choose_assignors(const std::vector<std::string>& names, const Assignors& brings) {
  Assignors all = {make_uniform_assignor(), make_range_assignor(), make_roundrobin_assignor()};
  all.insert(all.end(), brings.begin(), brings.end());
  std::vector<std::string_view> known;
  for (const auto& assignor : all) {
    if (std::ranges::find(known, assignor->name()) != known.end())
      return Error(Errc::invalid_config, fmt::format("two assignors have the name '{}'", assignor->name()));
    known.push_back(assignor->name());
  }
  Assignors chosen;
  for (const std::string& name : names) {
    auto at = std::ranges::find(known, name);
    if (at == known.end())
      return Error(Errc::invalid_config,
                   fmt::format("group.consumer.assignors: '{}' is not one of: {}", name, fmt::join(known, ", ")));
    const auto& found = all[static_cast<std::size_t>(at - known.begin())];
    if (!has(chosen, found)) chosen.push_back(found);
  }
  for (const auto& assignor : brings)
    if (!has(chosen, assignor)) chosen.push_back(assignor);
  return chosen;
}

}  // namespace mr::coordinator
