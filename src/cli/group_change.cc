// `group delete` and `group delete-offsets`.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/do.h"
#include "cli/group_view.h"

namespace mr::cli {

namespace {

Error in_use(const std::string& group, std::string_view activity) {
  return Error(Errc::group_not_empty, fmt::format("group '{}' has {}: stop its consumers first (millrace group members "
                                                  "{} lists them)",
                                                  group, activity, group));
}

Error missing(const std::string& group) {
  return Error(Errc::group_not_found, fmt::format("group '{}' does not exist", group));
}

/// Deletes one group, or finds out whether that could be done.
Task<Result<void>> delete_one(Session& session, std::string group) {
  if (!session.common.dry_run) {
    auto deleted = co_await client::delete_group(session.cluster, group, session.deadline());
    if (deleted.ok()) co_return deleted;
    if (deleted.code() == Errc::group_not_empty) co_return in_use(group, "members");
    if (deleted.code() == Errc::group_not_found) co_return missing(group);
    co_return deleted.error();
  }
  MR_CO_TRY(auto found, co_await look_up(session, group));
  if (!found) co_return missing(group);
  if (!found->members.empty()) co_return in_use(group, describe_activity(*found));
  co_return Result<void>{};
}

Task<Result<int>> delete_groups(Session& session, GroupDelete command) {
  const bool table = session.common.output == OutputFormat::table;
  Value::List rows;
  int code = kOk;
  for (const std::string& group : command.groups) {
    auto done = co_await delete_one(session, group);
    Value error = nullptr;
    if (!done.ok() && done.code() == Errc::group_not_found && command.if_exists) {
      if (!session.common.quiet) say(fmt::format("group '{}' does not exist", group));
    } else if (!done.ok()) {
      const int failed = report(done.error());
      if (code == kOk) code = failed;
      error = done.error().detail();
    } else if (table && !session.common.quiet) {
      say(fmt::format("{} group '{}'", session.common.dry_run ? "would delete" : "deleted", group));
    }
    rows.push_back(
        Value::Object{{"group", group}, {"deleted", done.ok() && !session.common.dry_run}, {"error", error}});
    // Without a connection the others would only say the same.
    if (code == kCannotConnect || code == kTimeout) break;
  }
  if (!table) print(render_rows(session.common.output, rows));
  co_return code;
}

/// What a broker would answer for the offsets of `name`.
Result<void> could_delete(const std::optional<client::GroupDescription>& group, const TopicPartition& name) {
  if (!group || group->members.empty()) return {};
  if (group->protocol_type != "consumer") return in_use(group->name, describe_activity(*group));
  for (const client::GroupMember& member : group->members)
    if (member.topics && std::ranges::find(*member.topics, name.topic) != member.topics->end())
      return Error(Errc::group_subscribed_to_topic, name.to_string());
  return {};
}

Task<Result<int>> delete_offsets(Session& session, GroupDeleteOffsets command) {
  MR_CO_TRY(Choice choice, Choice::parse(command.topics));
  MR_CO_TRY(auto committed, co_await committed_of(session, command.group, choice));
  MR_CO_TRY(auto group, co_await look_up(session, command.group));
  if (committed.empty()) {
    if (!group) co_return missing(command.group);
    co_return Error(
        Errc::unknown_partition,
        fmt::format("group '{}' has committed no offsets of what --topic names; millrace group lag {} shows "
                    "what it has",
                    command.group, command.group));
  }
  std::vector<TopicPartition> names;
  for (const auto& [name, offset] : committed) names.push_back(name);
  std::vector<Result<void>> answers;
  if (session.common.dry_run) {
    for (const TopicPartition& name : names) answers.push_back(could_delete(group, name));
  } else {
    auto deleted = co_await client::delete_offsets(session.cluster, command.group, names, session.deadline());
    if (!deleted.ok() && deleted.code() == Errc::group_not_empty)
      co_return in_use(command.group, group ? describe_activity(*group) : "members");
    if (!deleted.ok()) co_return deleted.error();
    answers = std::move(*deleted);
  }
  Value::List rows;
  std::size_t done = 0;
  int code = kOk;
  std::string said;
  for (std::size_t i = 0; i < names.size(); ++i) {
    Value error = nullptr;
    if (!answers[i].ok()) {
      Error why = answers[i].error();
      if (why.code() == Errc::group_subscribed_to_topic)
        why = Error(why.code(), fmt::format("topic '{}': a member of group '{}' reads it; stop that member or let it "
                                            "unsubscribe first",
                                            names[i].topic, command.group));
      error = why.detail();
      const int failed = std::exchange(said, why.detail()) == why.detail() ? exit_code(why) : report(why);
      if (code == kOk) code = failed;
    } else {
      ++done;
    }
    rows.push_back(Value::Object{{"topic", names[i].topic},
                                 {"partition", names[i].partition.v},
                                 {"committed", committed[names[i]].v},
                                 {"deleted", answers[i].ok() && !session.common.dry_run},
                                 {"error", error}});
  }
  if (session.common.output != OutputFormat::table) {
    print(render_rows(session.common.output, rows));
  } else if (!session.common.quiet && done > 0) {
    say(fmt::format("{} the offsets of {} of group '{}'", session.common.dry_run ? "would delete" : "deleted",
                    counted(done, "partition"), command.group));
  }
  co_return code;
}

}  // namespace

int run(const Common& common, const GroupDelete& command) {
  return with_cluster(common, [&](Session& session) { return delete_groups(session, command); });
}
int run(const Common& common, const GroupDeleteOffsets& command) {
  return with_cluster(common, [&](Session& session) { return delete_offsets(session, command); });
}

}  // namespace mr::cli
