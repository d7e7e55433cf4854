#pragma once
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/bench_group.h"
#include "runtime/scope.h"

namespace mr::cli {

/// Groups from their making to their removal, and what is done with them between. What fails is counted; its group is
/// made anew while the load goes on with the others. One shard. Life: run() once.
class GroupLoad {
 public:
  /// `command` must outlive this.
  GroupLoad(Session& session, const BenchGroups& command, client::TopicInfo topic);

  /// Cancelled: the load ends, the groups are removed all the same. The value is the exit code. Errors: of making the
  /// groups.
  Task<Result<int>> run();

 private:
  using Links = std::vector<std::unique_ptr<GroupLink>>;
  struct Group : BenchGroup {
    bool begun = false;               ///< the brokers may know it
    bool broken = false;              ///< something failed: to be made anew
    std::uint64_t under_way = 0;      ///< operations
    std::vector<std::size_t> parked;  ///< actors that wait until it is whole again
  };

  static Task<void> all(GroupLoad& self);

  // Making groups.
  Task<void> settle();
  static Task<void> build_some(GroupLoad& self);
  Task<Outcome> build(Group& group, Lane lane);

  // The load. An actor is who has one operation under way at most: a member, or a group where all members take part.
  Task<void> load();
  Task<Result<void>> connect();
  void make_pacer();
  static Task<void> feed(GroupLoad& self);
  std::optional<std::size_t> next_actor();
  static Task<void> operate(GroupLoad& self, std::size_t actor, DueRecords due);
  Task<Outcome> act(std::size_t actor);
  Task<Outcome> act_all(Group& group, Lane lane);
  void failed(Group& group, const Trouble& trouble);
  void ended(std::size_t actor);
  static Task<void> repair(GroupLoad& self, Group& group);
  /// Heartbeats of members whom the load does not come to in time.
  static Task<void> keep(GroupLoad& self, std::size_t link);
  Task<void> keep_member(Group& group, std::size_t member, GroupLink& link);

  // The end.
  void stop_soon();
  static Task<void> break_off(GroupLoad& self);
  Task<void> close_all();
  Task<void> remove_all();
  static Task<void> remove_some(GroupLoad& self, TimePoint deadline);
  Task<Outcome> remove(Group& group, GroupLink& link, TimePoint deadline);

  static Task<void> tell(GroupLoad& self, std::string_view what);
  Meter::Summary summary() const;

  bool of_members() const { return command_.work == GroupWork::heartbeat || command_.work == GroupWork::commit; }
  /// Each group needs links for itself while it joins.
  bool in_lanes() const { return !of_members() && !command_.consumer_protocol && command_.members > 1; }
  Group& group_of(std::size_t actor) { return groups_[of_members() ? actor / command_.members : actor]; }
  std::size_t window() const;
  Links& make_links(std::size_t count);

  Session& session_;
  const BenchGroups& command_;
  GroupDriver driver_;
  Meter meter_;
  LoadLine line_;
  std::vector<Group> groups_;
  std::list<Links> links_;  ///< all that were ever made
  Links* load_links_ = nullptr;
  std::vector<std::size_t> idle_lanes_;  ///< first links of them
  std::deque<std::size_t> idle_;
  std::optional<Pacer> pacer_;
  TimePoint ends_ = kForever;
  std::uint64_t under_way_ = 0;
  std::uint64_t owed_ = 0;
  std::size_t next_group_ = 0;  ///< to be made, or removed
  std::size_t groups_done_ = 0;
  double settle_seconds_ = 0;
  std::optional<Error> error_;
  bool stopping_ = false;  ///< no further operation
  bool interrupted_ = false;
  bool broken_off_ = false;  ///< what fails from now on says nothing
  bool fed_ = false;
  bool removing_ = false;
  bool over_ = false;
  Event changed_;
  Event over_changed_;
  Scope feeders_;
  Scope work_;
  Scope repairs_;
  Scope grace_;
};

}  // namespace mr::cli
