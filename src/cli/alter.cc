// `topic alter`, `config describe` and `config alter`: settings of what runs, over Kafka's protocol.
#include <fmt/format.h>

#include <algorithm>

#include "cli/do.h"
#include "cli/output.h"
#include "cli/session.h"
#include "client/admin.h"

namespace mr::cli {

namespace {

Value or_null(const std::optional<std::string>& text) { return text ? Value(*text) : Value(nullptr); }

Result<std::vector<client::ConfigEdit>> edits_of(const std::vector<std::string>& set,
                                                 const std::vector<std::string>& unset) {
  std::vector<client::ConfigEdit> edits;
  for (const std::string& text : set) {
    const std::size_t split = text.find('=');
    if (split == std::string::npos || split == 0)
      return Error(Errc::invalid_argument, fmt::format("--set wants NAME=VALUE, not '{}'", text));
    edits.push_back({text.substr(0, split), text.substr(split + 1)});
  }
  for (const std::string& name : unset) edits.push_back({name, std::nullopt});
  if (edits.empty()) return Error(Errc::invalid_argument, "nothing to change: give --set NAME=VALUE or --unset NAME");
  for (std::size_t i = 0; i < edits.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (edits[i].name == edits[j].name)
        return Error(Errc::invalid_argument, fmt::format("{} is named twice", edits[i].name));
  return edits;
}

std::optional<std::string> value_of(const std::vector<client::ConfigValue>& values, const std::string& name) {
  auto at = std::ranges::find(values, name, &client::ConfigValue::name);
  return at == values.end() ? std::nullopt : at->value;
}

/// What each edited setting was and is, or would be; a value that is not known beforehand is shown as inherited.
void show_difference(const Session& session, const std::string& done, const std::vector<client::ConfigEdit>& edits,
                     const std::vector<client::ConfigValue>& before, const std::vector<client::ConfigValue>* after) {
  Value::List rows;
  for (const client::ConfigEdit& edit : edits) {
    const auto now = after != nullptr ? value_of(*after, edit.name) : edit.value;
    rows.push_back(Value::Object{{"name", edit.name},
                                 {"before", or_null(value_of(before, edit.name))},
                                 {"after", after == nullptr && !edit.value ? Value("(inherited)") : or_null(now)},
                                 {"changed", after == nullptr ? !edit.value || value_of(before, edit.name) != now
                                                              : value_of(before, edit.name) != now}});
  }
  print(render_rows(session.common.output, rows));
  if (session.common.output == OutputFormat::table && !session.common.quiet) say(done);
}

Task<Result<int>> alter_topic(Session& session, TopicAlter command) {
  MR_CO_TRY(auto edits, edits_of(command.set, command.unset));
  const TimePoint deadline = session.deadline();
  const bool dry = session.common.dry_run;
  MR_CO_TRY(auto before, co_await client::topic_configs(session.cluster, command.name, deadline));
  MR_CO_TRY_VOID(co_await client::alter_topic_configs(session.cluster, command.name, edits, dry, deadline));
  if (dry) {
    show_difference(session, fmt::format("would alter topic '{}'", command.name), edits, before, nullptr);
    co_return kOk;
  }
  MR_CO_TRY(auto after, co_await client::topic_configs(session.cluster, command.name, deadline));
  show_difference(session, fmt::format("altered topic '{}'", command.name), edits, before, &after);
  co_return kOk;
}

std::string_view source_name(std::int8_t source) {
  switch (source) {
    case 2:
      return "this broker";
    case 3:
      return "all brokers";
    case 4:
      return "at its start";
    case 5:
      return "default";
    case 8:
      return "the group";
    default:
      return "?";
  }
}

/// Whose settings: a group's, one broker's, or those of all.
struct Owner {
  std::optional<std::string> group;
  std::optional<BrokerId> broker;

  std::string name() const {
    if (group) return fmt::format("group '{}'", *group);
    return broker ? fmt::format("broker {}", broker->v) : "all brokers";
  }
};

Task<Result<Owner>> which(Session& session, ConfigDescribe command) {
  if (command.group || command.cluster) co_return Owner{command.group, std::nullopt};
  if (command.broker) co_return Owner{std::nullopt, BrokerId{*command.broker}};
  MR_CO_TRY(auto brokers, co_await session.cluster.brokers(session.deadline()));
  if (brokers.empty()) co_return Error(Errc::not_found, "no broker is up");
  co_return Owner{std::nullopt, brokers.front().id};
}

Task<Result<std::vector<client::ConfigValue>>> settings_of(Session& session, Owner owner) {
  if (owner.group) return client::group_configs(session.cluster, *owner.group, session.deadline());
  return client::broker_configs(session.cluster, owner.broker, session.deadline());
}

Task<Result<int>> describe(Session& session, ConfigDescribe command) {
  MR_CO_TRY(auto owner, co_await which(session, command));
  MR_CO_TRY(auto values, co_await settings_of(session, owner));
  Value::List rows;
  for (const client::ConfigValue& value : values) {
    if (!command.name.empty() && value.name != command.name) continue;
    if (command.name.empty() && !command.all && value.source == 5) continue;
    rows.push_back(Value::Object{{"name", value.name},
                                 {"value", or_null(value.value)},
                                 {"set_by", source_name(value.source)},
                                 {"takes_effect", value.read_only ? "at the next start" : "at once"}});
  }
  if (rows.empty() && !command.name.empty())
    co_return Error(Errc::invalid_argument, fmt::format("{} has no setting {}; --all lists them",
                                                        command.cluster ? "the cluster" : owner.name(), command.name));
  if (rows.empty() && !session.common.quiet && session.common.output == OutputFormat::table)
    say(command.cluster ? "nothing was set for all brokers" : "every setting has its default; --all shows them");
  print(render_rows(session.common.output, rows));
  co_return kOk;
}

Task<Result<int>> alter_config(Session& session, ConfigAlter command) {
  MR_CO_TRY(auto edits, edits_of(command.set, command.unset));
  const TimePoint deadline = session.deadline();
  const bool dry = session.common.dry_run;
  const Owner owner{command.group, command.broker ? std::optional(BrokerId{*command.broker}) : std::nullopt};
  MR_CO_TRY(auto before, co_await settings_of(session, owner));
  if (!owner.group) {
    MR_CO_TRY_VOID(co_await client::alter_broker_configs(session.cluster, owner.broker, edits, dry, deadline));
  } else {
    MR_CO_TRY_VOID(co_await client::alter_group_configs(session.cluster, *owner.group, edits, dry, deadline));
  }
  if (dry) {
    show_difference(session, fmt::format("would alter {}", owner.name()), edits, before, nullptr);
    co_return kOk;
  }
  MR_CO_TRY(auto after, co_await settings_of(session, owner));
  show_difference(session, fmt::format("altered {}", owner.name()), edits, before, &after);
  co_return kOk;
}

}  // namespace

int run(const Common& common, const TopicAlter& command) {
  return with_cluster(common, [&](Session& session) { return alter_topic(session, command); });
}
int run(const Common& common, const ConfigDescribe& command) {
  return with_cluster(common, [&](Session& session) { return describe(session, command); });
}
int run(const Common& common, const ConfigAlter& command) {
  return with_cluster(common, [&](Session& session) { return alter_config(session, command); });
}

}  // namespace mr::cli
