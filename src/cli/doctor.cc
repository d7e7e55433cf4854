// `doctor`: what is wrong with this machine or broker, and what to type about it. Changes nothing.
#include "cli/doctor.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/do.h"
#include "cli/doctor_facts.h"
#include "cli/output.h"
#include "cli/session.h"

namespace mr::cli {

Value::List to_rows(const Checks& checks) {
  Value::List rows;
  for (const Check& check : checks)
    rows.push_back(Value::Object{{"check", check.name},
                                 {"state", to_string(check.state)},
                                 {"found", check.found},
                                 {"fix", check.fix.empty() ? Value(nullptr) : Value(check.fix)}});
  return rows;
}

std::string to_lines(const Checks& checks) {
  std::size_t width = 0;
  for (const Check& check : checks) width = std::max(width, check.name.size());
  std::string text;
  for (const Check& check : checks) {
    // Some of it is a broker's own words.
    text += fmt::format("{:<4}  {:<{}}  {}\n", to_string(check.state), check.name, width, printable(check.found));
    if (!check.fix.empty()) text += fmt::format("      {:<{}}  fix: {}\n", "", width, printable(check.fix));
  }
  return text;
}

int run(const Common& common, const Doctor& command) {
  auto inputs = collect_settings(command.properties_file, command.inputs);
  if (!inputs.ok()) return report(inputs.error());
  auto settings = config::load_broker_settings(*inputs);
  if (!settings.ok()) return report(settings.error());
  DoctorOptions options{.disk_test = !command.no_disk_test, .patience = Millis(common.timeout_ms)};
  if (command.bootstrap_given) {
    auto bootstrap = parse_bootstrap(common.bootstrap);
    if (!bootstrap.ok()) return report(bootstrap.error());
    options.bootstrap = std::move(*bootstrap);
  }
  StatusLine status(!common.quiet);
  options.now_looking = [&](std::string_view what) { status.show(fmt::format("looking at {} ...", what)); };
  const Diagnosis diagnosis = diagnose(*settings, options);
  status.clear();
  print(common.output == OutputFormat::table ? to_lines(diagnosis.checks)
                                             : render_rows(common.output, to_rows(diagnosis.checks)));
  const CheckState state = worst(diagnosis.checks);
  if (!common.quiet && common.output == OutputFormat::table) {
    const auto count = [&](CheckState wanted) { return std::ranges::count(diagnosis.checks, wanted, &Check::state); };
    say(state == CheckState::ok ? fmt::format("{} checks, all well", diagnosis.checks.size())
                                : fmt::format("{} checks: {} bad, {} to look at", diagnosis.checks.size(),
                                              count(CheckState::bad), count(CheckState::warn)));
  }
  return state == CheckState::bad ? kFailed : kOk;
}

}  // namespace mr::cli
