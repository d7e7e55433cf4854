// `group seek`: finds where each partition should go, shows the difference, and with --execute commits it.
#include <fmt/format.h>

#include <algorithm>

#include "cli/do.h"
#include "cli/group_view.h"
#include "cli/offsets_file.h"
#include "client/admin.h"
#include "runtime/machine.h"

namespace mr::cli {

namespace {

constexpr std::size_t kFileBytesMax = 16 << 20;

/// One `group seek` from plan to commit. Life: run(), then gone.
class Seeker {
 public:
  Seeker(Session& session, const GroupSeek& command) : session_(session), command_(command) {}
  Task<Result<int>> run();

 private:
  using Kind = SeekTarget::Kind;

  Task<Result<void>> look();
  Task<Result<void>> choose();
  Task<Result<void>> choose_topics();
  Task<Result<void>> plan();
  Result<void> read_file();
  /// A partition that is not there: an error when it was asked for by name, else it is left out with a word.
  Result<void> leave_out(const TopicPartition& name, const Error& why) const;
  bool by_name() const { return target_.kind == Kind::file || !choice_.everything(); }
  Task<Result<std::vector<Result<void>>>> commit();
  int show(const std::vector<Result<void>>& outcomes) const;
  void warn(std::string_view text) const {
    if (!session_.common.quiet) say(text);
  }

  Session& session_;
  const GroupSeek& command_;
  SeekTarget target_;
  Choice choice_;
  std::map<TopicPartition, Offset> committed_;
  std::map<TopicPartition, Offset> wanted_;  ///< of a file or another group
  std::vector<TopicPartition> names_;
  std::vector<Move> moves_;
};

Task<Result<int>> Seeker::run() {
  MR_CO_TRY(target_, parse_seek_target(command_.to));
  MR_CO_TRY(choice_, Choice::parse(command_.topics));
  if (target_.kind == Kind::file) MR_CO_TRY_VOID(read_file());
  MR_CO_TRY_VOID(co_await look());
  MR_CO_TRY_VOID(co_await choose());
  MR_CO_TRY_VOID(co_await plan());
  std::vector<Result<void>> outcomes;
  if (command_.execute) {
    MR_CO_TRY(outcomes, co_await commit());
  }
  co_return show(outcomes);
}

Result<void> Seeker::read_file() {
  auto text = read_small_file(target_.text, kFileBytesMax);
  if (!text.ok())
    return Error(Errc::invalid_argument, fmt::format("cannot read {}: {}", target_.text, text.error().message()));
  auto offsets = parse_offsets_file(*text, command_.group);
  if (!offsets.ok())
    return Error(Errc::invalid_argument, fmt::format("{}, {}", target_.text, offsets.error().detail()));
  wanted_ = std::move(*offsets);
  return {};
}

/// The group as it is: nobody may be in it, since its members would go on from where they are and commit that.
Task<Result<void>> Seeker::look() {
  MR_CO_TRY(auto group, co_await look_up(session_, command_.group));
  MR_CO_TRY(committed_, co_await committed_of(session_, command_.group, {}));
  if (group && !group->members.empty()) {
    const std::string what = fmt::format(
        "group '{}' has {}: stop its consumers before its offsets can be moved (millrace group members {} lists them)",
        command_.group, describe_activity(*group), command_.group);
    if (command_.execute) co_return Error(Errc::group_not_empty, what);
    warn("millrace: " + what);
  }
  if (!group && committed_.empty())
    warn(fmt::format("group '{}' does not exist yet: --execute makes it", command_.group));
  co_return Result<void>{};
}

Task<Result<void>> Seeker::choose() {
  if (target_.kind == Kind::group) {
    MR_CO_TRY(wanted_, co_await committed_of(session_, target_.text, {}));
    if (wanted_.empty())
      co_return Error(Errc::group_not_found,
                      fmt::format("group '{}' has committed no offsets to follow", target_.text));
  }
  if (target_.kind == Kind::group || target_.kind == Kind::file) {
    for (const auto& [name, offset] : wanted_)
      if (choice_.holds(name)) names_.push_back(name);
    if (names_.empty())
      co_return Error(Errc::unknown_partition,
                      fmt::format("{} has no offsets of what --topic names{}", command_.to,
                                  target_.kind == Kind::file ? fmt::format(", or none of group '{}'", command_.group)
                                                             : std::string()));
  } else if (!choice_.everything()) {
    MR_CO_TRY_VOID(co_await choose_topics());
  } else {
    for (const auto& [name, offset] : committed_) names_.push_back(name);
    if (names_.empty())
      co_return Error(
          Errc::unknown_partition,
          fmt::format("group '{}' has committed no offsets; name what it shall read with --topic", command_.group));
  }
  co_return Result<void>{};
}

Task<Result<void>> Seeker::choose_topics() {
  for (const auto& [topic, partitions] : choice_.topics()) {
    MR_CO_TRY(client::TopicInfo info, co_await session_.cluster.topic(topic, false, session_.deadline()));
    if (partitions.empty())
      for (const client::PartitionInfo& p : info.partitions) names_.push_back({topic, p.index});
    for (PartitionIndex index : partitions) names_.push_back({topic, index});
  }
  co_return Result<void>{};
}

Result<void> Seeker::leave_out(const TopicPartition& name, const Error& why) const {
  if (by_name()) return why;
  warn(fmt::format("millrace: {} is left out: {}", name.to_string(), why.detail()));
  return {};
}

Task<Result<void>> Seeker::plan() {
  client::Cluster& cluster = session_.cluster;
  MR_CO_TRY(auto starts, co_await client::find_offsets(cluster, names_, client::kEarliestOffset, session_.deadline()));
  MR_CO_TRY(auto ends, co_await client::find_offsets(cluster, names_, client::kLatestOffset, session_.deadline()));
  std::vector<Result<client::FoundOffset>> found;
  if (target_.kind == Kind::time || target_.kind == Kind::ago) {
    const WallMillis now = session_.env.clock.wall();
    const WallMillis time = target_.kind == Kind::time ? target_.number : std::max<WallMillis>(0, now - target_.number);
    MR_CO_TRY(found, co_await client::find_offsets(cluster, names_, time, session_.deadline()));
  }
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const TopicPartition& name = names_[i];
    const Result<client::FoundOffset>* bad = !starts[i].ok() ? &starts[i] : !ends[i].ok() ? &ends[i] : nullptr;
    if (bad == nullptr && !found.empty() && !found[i].ok()) bad = &found[i];
    if (bad != nullptr) {
      MR_CO_TRY_VOID(leave_out(name, bad->error()));
      continue;
    }
    const Offset start = starts[i]->offset;
    const Offset end = ends[i]->offset;
    std::optional<Offset> from;
    if (auto at = committed_.find(name); at != committed_.end()) from = at->second;
    const bool none = !found.empty() && found[i]->offset.v < 0;
    Offset wanted = target_.kind == Kind::start ? start : end;
    if (target_.kind == Kind::offset) wanted = Offset{target_.number};
    if (!found.empty() && !none) wanted = found[i]->offset;
    if (auto at = wanted_.find(name); at != wanted_.end()) wanted = at->second;
    moves_.push_back(plan_move(name, from, wanted, start, end));
    if (none) moves_.back().note = "no record is that young";
  }
  co_return Result<void>{};
}

/// Answers for the moves that change something, in their order.
Task<Result<std::vector<Result<void>>>> Seeker::commit() {
  std::vector<client::NewOffset> offsets;
  for (const Move& move : moves_)
    if (move.changes()) offsets.push_back({move.name, move.to});
  if (offsets.empty()) co_return std::vector<Result<void>>{};
  MR_CO_TRY(auto outcomes,
            co_await client::commit_offsets(session_.cluster, command_.group, offsets, session_.deadline()));
  for (const Result<void>& outcome : outcomes)
    if (!outcome.ok() && (outcome.code() == Errc::unknown_member || outcome.code() == Errc::illegal_generation ||
                          outcome.code() == Errc::rebalance_in_progress))
      co_return Error(Errc::group_not_empty,
                      fmt::format("group '{}' has members: stop its consumers and repeat this; no offset was moved",
                                  command_.group));
  co_return outcomes;
}

int Seeker::show(const std::vector<Result<void>>& outcomes) const {
  Value::List rows;
  std::size_t next = 0, moved = 0, changes = 0;
  int code = kOk;
  for (const Move& move : moves_) {
    changes += move.changes() ? 1 : 0;
    Value error = nullptr;
    if (command_.execute && move.changes()) {
      const Result<void>& outcome = outcomes[next++];
      if (outcome.ok()) {
        ++moved;
      } else {
        const int failed = report(outcome.error());
        if (code == kOk) code = failed;
        error = outcome.error().detail();
      }
    }
    Value::Object row = {{"topic", move.name.topic},
                         {"partition", move.name.partition.v},
                         {"from", to_value(move.from)},
                         {"to", move.to.v},
                         {"delta", move.from ? Value(move.to.v - move.from->v) : Value(nullptr)},
                         {"note", move.note.empty() ? Value(nullptr) : Value(move.note)}};
    if (session_.common.output != OutputFormat::table) row.emplace_back("error", error);
    rows.emplace_back(std::move(row));
  }
  if (session_.common.output == OutputFormat::table) {
    print(render_rows(OutputFormat::table, rows));
  } else {
    print(render_one(session_.common.output,
                     {{"group", command_.group}, {"executed", command_.execute}, {"partitions", rows}}));
  }
  if (command_.execute) {
    warn(fmt::format("moved {} of group '{}'", counted(moved, "partition"), command_.group));
  } else {
    warn(fmt::format("{} would move; nothing was changed: --execute does it", counted(changes, "partition")));
  }
  return code;
}

Task<Result<int>> seek(Session& session, const GroupSeek& command) {
  Seeker seeker(session, command);
  co_return co_await seeker.run();
}

}  // namespace

int run(const Common& common, const GroupSeek& command) {
  return with_cluster(common, [&](Session& session) { return seek(session, command); });
}

}  // namespace mr::cli
