// `topic add-partitions` and `topic delete-records`.
#include <fmt/format.h>

#include <algorithm>

#include "cli/do.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/where.h"
#include "client/admin.h"

namespace mr::cli {

namespace {

Task<Result<int>> add_partitions(Session& session, TopicAddPartitions command) {
  const bool dry = session.common.dry_run;
  MR_CO_TRY(client::TopicInfo topic, co_await session.cluster.topic(command.name, false, session.deadline()));
  const auto before = static_cast<std::int32_t>(topic.partitions.size());
  const std::int32_t count = before + command.more;
  MR_CO_TRY_VOID(co_await client::create_partitions(session.cluster, command.name, count, dry, session.deadline()));
  if (session.common.output != OutputFormat::table) {
    Value::Object answer = {{"name", command.name}, {"partitions_before", before}, {"partitions", count}};
    if (dry) answer.emplace_back("dry_run", true);
    print(render_one(session.common.output, answer));
  } else if (!session.common.quiet) {
    say(fmt::format("{} {} partition{} to topic '{}': {} {}", dry ? "would add" : "added", command.more,
                    command.more == 1 ? "" : "s", command.name, dry ? "it would have" : "it has", count));
  }
  co_return kOk;
}

/// One partition's share of the command.
struct Cut {
  TopicPartition name;
  Offset start, end;
  Offset before;  ///< what lies below goes
  std::optional<Error> error = {};
};

Task<Result<std::vector<Offset>>> offsets_of(Session& session, std::vector<TopicPartition> names, WallMillis at) {
  MR_CO_TRY(auto found, co_await client::find_offsets(session.cluster, std::move(names), at, session.deadline()));
  std::vector<Offset> offsets;
  for (auto& one : found) {
    if (!one.ok()) co_return one.error();
    offsets.push_back(one->offset);
  }
  co_return offsets;
}

Result<std::vector<TopicPartition>> chosen(const TopicDeleteRecords& command, const client::TopicInfo& topic) {
  std::vector<TopicPartition> names;
  for (const client::PartitionInfo& p : topic.partitions) {
    const bool wanted =
        command.partitions.empty() || std::ranges::find(command.partitions, p.index.v) != command.partitions.end();
    if (wanted) names.push_back({command.name, p.index});
  }
  for (std::int32_t p : command.partitions)
    if (std::ranges::find(names, PartitionIndex{p}, &TopicPartition::partition) == names.end())
      return Error(Errc::unknown_partition, fmt::format("topic '{}' has no partition {}", command.name, p));
  return names;
}

/// Where each partition is cut. Times and "end" become offsets here, so that a dry run tells the truth.
Task<Result<std::vector<Cut>>> plan(Session& session, TopicDeleteRecords command) {
  auto where = parse_where(command.before);
  const bool known = where.ok() && where->kind != Where::Kind::start && where->kind != Where::Kind::before_end;
  if (!known)
    co_return Error(Errc::invalid_argument, fmt::format("--before wants an offset, @TIME in milliseconds or as "
                                                        "2026-01-31T08:30:00Z, or end, not '{}'",
                                                        command.before));
  MR_CO_TRY(client::TopicInfo topic, co_await session.cluster.topic(command.name, false, session.deadline()));
  MR_CO_TRY(std::vector<TopicPartition> names, chosen(command, topic));
  if (where->kind == Where::Kind::offset && names.size() > 1)
    co_return Error(Errc::invalid_argument,
                    fmt::format("an offset means one partition, and topic '{}' has {}: say which "
                                "with --partition",
                                command.name, topic.partitions.size()));
  MR_CO_TRY(std::vector<Offset> starts, co_await offsets_of(session, names, client::kEarliestOffset));
  MR_CO_TRY(std::vector<Offset> ends, co_await offsets_of(session, names, client::kLatestOffset));
  std::vector<Offset> cuts = ends;
  if (where->kind == Where::Kind::offset) cuts[0] = Offset{where->number};
  if (where->kind == Where::Kind::time) {
    MR_CO_TRY(cuts, co_await offsets_of(session, names, where->number));
    for (std::size_t i = 0; i < cuts.size(); ++i)
      if (cuts[i] < Offset{0}) cuts[i] = ends[i];  // all records are older
  }
  std::vector<Cut> plan;
  for (std::size_t i = 0; i < names.size(); ++i)
    plan.push_back({.name = names[i], .start = starts[i], .end = ends[i], .before = cuts[i]});
  co_return plan;
}

Task<Result<void>> carry_out(Session& session, std::vector<Cut>& cuts) {
  std::vector<client::DeleteBefore> wanted;
  for (const Cut& cut : cuts) wanted.push_back({cut.name, cut.before});
  MR_CO_TRY(auto done, co_await client::delete_records(session.cluster, std::move(wanted), session.deadline()));
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    if (done[i].ok()) {
      cuts[i].before = *done[i];
    } else {
      cuts[i].error = done[i].error();
    }
  }
  co_return Result<void>{};
}

Task<Result<int>> delete_records(Session& session, TopicDeleteRecords command) {
  const bool dry = session.common.dry_run;
  MR_CO_TRY(std::vector<Cut> cuts, co_await plan(session, command));
  for (Cut& cut : cuts)
    if (dry && cut.before > cut.end)
      cut.error = Error(Errc::offset_out_of_range, fmt::format("{} ends at {}", cut.name.to_string(), cut.end.v));
  if (!dry) MR_CO_TRY_VOID(co_await carry_out(session, cuts));
  Value::List rows;
  std::int64_t offsets = 0;
  int code = kOk;
  for (const Cut& cut : cuts) {
    const Offset start = cut.error ? cut.start : std::max(cut.before, cut.start);
    Value::Object row = {
        {"partition", cut.name.partition.v}, {"start_before", cut.start.v}, {"start", start.v}, {"end", cut.end.v}};
    if (dry) row.emplace_back("dry_run", true);
    if (cut.error) {
      const int failed = report(*cut.error);
      if (code == kOk) code = failed;
      row.emplace_back("error", cut.error->detail());
    }
    offsets += start.v - cut.start.v;
    rows.push_back(std::move(row));
  }
  print(render_rows(session.common.output, rows));
  if (session.common.output == OutputFormat::table && !session.common.quiet)
    say(fmt::format("{} {} offset{} of topic '{}'", dry ? "would delete" : "deleted", offsets, offsets == 1 ? "" : "s",
                    command.name));
  co_return code;
}

}  // namespace

int run(const Common& common, const TopicAddPartitions& command) {
  return with_cluster(common, [&](Session& session) { return add_partitions(session, command); });
}
int run(const Common& common, const TopicDeleteRecords& command) {
  return with_cluster(common, [&](Session& session) { return delete_records(session, command); });
}

}  // namespace mr::cli
