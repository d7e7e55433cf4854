#include <fmt/format.h>

#include "base/version.h"
#include "cli/do.h"
#include "cli/output.h"
#include "cli/session.h"
#include "runtime/machine.h"
#include "runtime/real_host.h"

namespace mr::cli {

namespace {

Value or_null(const std::optional<std::string>& text) { return text ? Value(*text) : Value(nullptr); }

std::string where_set(const config::Setting& setting) {
  return setting.where.empty() ? std::string(config::to_string(setting.origin)) : setting.where;
}

Value::Object whole(const config::Setting& setting) {
  const config::BrokerOption& option = *setting.option;
  Value::Object object = {{"name", option.rule.name},
                          {"help", option.help},
                          {"value", or_null(setting.value)},
                          {"set_by", where_set(setting)},
                          {"default", or_null(option.default_text)},
                          {"type", config::to_string(option.rule.type)},
                          {"allowed", config::describe_allowed(option.rule)},
                          {"takes_effect", option.apply == config::Apply::live ? "at once" : "at the next start"},
                          {"flag", option.flag()},
                          {"environment", option.environment()}};
  if (!option.short_flag.empty()) object.emplace_back("short_flag", option.short_flag);
  return object;
}

}  // namespace

Result<std::vector<config::SettingInput>> collect_settings(const std::string& properties_file,
                                                           const std::vector<config::SettingInput>& flags) {
  std::vector<config::SettingInput> inputs;
  if (!properties_file.empty()) {
    auto text = read_small_file(properties_file, 4 << 20);
    if (!text.ok()) {
      const bool directory = real_files().list(properties_file).ok();
      return Error(Errc::invalid_config,
                   directory ? fmt::format("--config: {} is a directory; it takes a file of name=value lines, such as "
                                           "{}{}server.properties",
                                           properties_file, properties_file, properties_file.ends_with('/') ? "" : "/")
                             : fmt::format("--config: {}", text.error().message()));
    }
    MR_TRY(inputs, config::parse_properties(*text, properties_file));
  }
  auto environment = config::parse_environment(environment_variables());
  inputs.insert(inputs.end(), environment.begin(), environment.end());
  inputs.insert(inputs.end(), flags.begin(), flags.end());
  return inputs;
}

int run(const Common& common, const ConfigExplain& command) {
  auto inputs = collect_settings(command.properties_file, command.inputs);
  if (!inputs.ok()) return report(inputs.error());
  auto settings = config::load_broker_settings(*inputs);
  if (!settings.ok()) return report(settings.error());
  for (const std::string& warning : settings->warnings) say("millrace: " + warning);
  if (!command.name.empty()) {
    const config::BrokerOption* option = config::find_broker_option(command.name);
    if (option == nullptr) {
      std::vector<std::string_view> names;
      for (const auto& each : config::broker_options()) names.push_back(each.rule.name);
      return report(Error(Errc::invalid_argument, fmt::format("no such setting: {}{}; millrace config explain --all "
                                                              "lists them",
                                                              command.name, config::suggestion(command.name, names))));
    }
    print(render_one(common.output, whole(settings->of(option->rule.name))));
    return kOk;
  }
  Value::List rows;
  for (const config::Setting& setting : settings->settings) {
    if (!command.all && setting.origin == config::Origin::default_value) continue;
    if (common.output == OutputFormat::table) {
      rows.push_back(Value::Object{{"name", setting.option->rule.name},
                                   {"value", or_null(setting.value)},
                                   {"default", or_null(setting.option->default_text)},
                                   {"set_by", where_set(setting)}});
    } else {
      rows.emplace_back(whole(setting));
    }
  }
  if (rows.empty() && !common.quiet) say("every setting has its default; --all shows them");
  print(render_rows(common.output, rows));
  return kOk;
}

int run(const Common& common, const Version&) {
  if (common.output == OutputFormat::table) {
    print(fmt::format("millrace {}\n", kVersion));
  } else {
    print(render_one(common.output, {{"name", "millrace"}, {"version", kVersion}}));
  }
  return kOk;
}

int run(const Common&, const Completion& command) {
  print(command.script);
  return kOk;
}

}  // namespace mr::cli
