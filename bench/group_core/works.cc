#include <fmt/format.h>

#include "base/check.h"
#include "bench/group_core/core.h"
#include "broker/topic_table.h"

namespace mr::bench {

using namespace coordinator;

namespace {

/// As long as those of real clients: what is copied costs what it would cost there.
std::string group_name(std::size_t g) { return fmt::format("a-service.of-some-team.group-{:06}", g); }
constexpr std::string_view kFresh = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
constexpr std::string_view kClient = "consumer-1";
constexpr std::string_view kTopic = "t";
constexpr TopicId kTopicId{Uuid{0, 1}};

Blob text(std::string_view bytes) { return Blob(as_bytes(bytes)); }

/// ConsumerProtocolSubscription v0 of topic "t" with one byte of user data.
Blob subscription(char variant) {
  std::string bytes("\0\0\0\0\0\1\0\1t\0\0\0\1", 13);
  bytes.push_back(variant);
  return text(bytes);
}

struct Group {
  std::string name;
  std::vector<std::string> members;  ///< the first leads
  std::int32_t generation = 0;
  char variant = 'a';
};

JoinEvent join(const Group& group, std::string member, std::string fresh = {}) {
  JoinEvent event{.fresh_id = std::move(fresh)};
  event.request = {.group = group.name,
                   .member = std::move(member),
                   .client_id = std::string(kClient),
                   .client_host = "/10.0.0.1",
                   .session_timeout = Millis(45'000),
                   .rebalance_timeout = Millis(60'000),
                   .protocol_type = "consumer",
                   .protocols = {{"range", subscription(group.variant)}}};
  return event;
}

SyncRequest sync(const Group& group, std::size_t member) {
  SyncRequest request{.group = group.name, .generation = Generation{group.generation}, .member = group.members[member]};
  if (member == 0)
    for (const std::string& one : group.members)
      request.assignments.push_back({one, text("32 bytes that mean an assignment")});
  return request;
}

/// Groups whose rounds are known beforehand: so are all events.
class ClassicWork : public CoreWork {
 public:
  ClassicWork(const CoreSizes& sizes, std::size_t members) : groups_(sizes.groups) {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      groups_[g].name = group_name(g);
      groups_[g].members.resize(members);
    }
  }
  void set_up(Core& core) override {
    for (Group& group : groups_) {
      for (std::size_t m = 0; m < group.members.size(); ++m) {
        std::string fresh = fmt::format("{}-{}", kFresh, m);
        group.members[m] = fmt::format("{}-{}", kClient, fresh);
        core.send(join(group, "", fresh));
      }
      if (group.members.size() > 1) core.send(join(group, group.members.front()));  // the first was alone at first
      group.generation = core.last<JoinAnswer>().generation.v;
      for (std::size_t m = group.members.size(); m-- > 0;) core.send(sync(group, m));
    }
  }

 protected:
  Group& next() { return groups_[at_++ % groups_.size()]; }
  std::vector<Group> groups_;

 private:
  std::size_t at_ = 0;
};

struct JoinWork : ClassicWork {
  explicit JoinWork(const CoreSizes& sizes) : ClassicWork(sizes, 1) {}
  void add_operation(Events& events) override {
    Group& group = next();
    group.variant ^= 1;  // with nothing new there would be no round
    events.push_back(join(group, group.members.front()));
  }
};

struct RebalanceWork : ClassicWork {
  explicit RebalanceWork(const CoreSizes& sizes) : ClassicWork(sizes, sizes.members) {}
  void add_operation(Events& events) override {
    Group& group = next();
    group.variant ^= 1;
    ++group.generation;
    for (const std::string& member : group.members) events.push_back(join(group, member));
    for (std::size_t m = group.members.size(); m-- > 0;) events.push_back(sync(group, m));
  }
};

struct HeartbeatWork : ClassicWork {
  explicit HeartbeatWork(const CoreSizes& sizes) : ClassicWork(sizes, sizes.members) {}
  void add_operation(Events& events) override {
    const Group& group = next();
    events.push_back(HeartbeatRequest{.group = group.name,
                                      .generation = Generation{group.generation},
                                      .member = group.members[turn_++ / groups_.size() % group.members.size()]});
  }

 private:
  std::size_t turn_ = 0;
};

struct CommitWork : ClassicWork {
  explicit CommitWork(const CoreSizes& sizes) : ClassicWork(sizes, 1) {}
  void add_operation(Events& events) override {
    const Group& group = next();
    CommitRequest request{
        .group = group.name, .generation = Generation{group.generation}, .member = group.members.front()};
    request.offsets.push_back({.topic = std::string(kTopic),
                               .topic_id = kTopicId,
                               .partition = PartitionIndex{0},
                               .offset = Offset{++offset_}});
    events.push_back(std::move(request));
  }

 private:
  std::int64_t offset_ = 0;
};

struct NewGroupWork : CoreWork {
  void set_up(Core&) override {}
  void add_operation(Events& events) override {
    Group group{.name = group_name(made_++), .members = {fmt::format("{}-{}", kClient, kFresh)}, .generation = 1};
    events.push_back(join(group, "", std::string(kFresh)));
    events.push_back(sync(group, 0));
    LeaveRequest leave{.group = group.name};
    leave.members.push_back({.member = group.members.front()});
    events.push_back(std::move(leave));
  }

 private:
  std::size_t made_ = 0;
};

/// Heartbeats without news in KIP-848 groups.
class ConsumerHeartbeatWork : public CoreWork {
 public:
  explicit ConsumerHeartbeatWork(const CoreSizes& sizes) : sizes_(sizes) {}
  void set_up(Core& core) override {
    auto topic = std::make_shared<broker::TopicInfo>();
    topic->name = kTopic;
    topic->id = kTopicId;
    topic->partitions.resize(static_cast<std::size_t>(sizes_.partitions));
    core.send(TopicsChangedEvent{std::make_shared<const broker::TopicTable>()->with(topic), {}});
    for (std::size_t g = 0; g < sizes_.groups; ++g) settle(core, group_name(g));
  }
  void add_operation(Events& events) override { events.push_back(beats_[at_++ % beats_.size()]); }

 private:
  void settle(Core& core, const std::string& group) {
    std::vector<ConsumerHeartbeatRequest> members(sizes_.members);
    for (std::size_t m = 0; m < members.size(); ++m)
      members[m] = {.group = group,
                    .member = fmt::format("{}-{}", kFresh, m),
                    .rebalance_timeout = Millis(60'000),
                    .topics = std::vector{std::string(kTopic)},
                    .owned = PartitionSet{},
                    .client_id = std::string(kClient),
                    .client_host = "/10.0.0.1"};
    auto beat = [&core](ConsumerHeartbeatRequest& member) {
      const std::int32_t before = member.epoch;
      core.send(member);
      const auto& answer = core.last<ConsumerHeartbeatAnswer>();
      member.epoch = answer.epoch;
      member.rebalance_timeout.reset();
      member.topics.reset();
      if (answer.assignment) member.owned = answer.assignment;
      return before != member.epoch || answer.assignment.has_value();
    };
    for (bool news = true; news;) {
      news = false;
      for (ConsumerHeartbeatRequest& member : members) news |= beat(member);
    }
    for (ConsumerHeartbeatRequest& member : members) {
      MR_CHECK(member.epoch == members.front().epoch);
      member.owned.reset();
      beats_.push_back(std::move(member));
    }
  }

  CoreSizes sizes_;
  std::vector<ConsumerHeartbeatRequest> beats_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<CoreWork> make_core_work(const std::string& name, const CoreSizes& sizes) {
  if (name == "join") return std::make_unique<JoinWork>(sizes);
  if (name == "new-groups") return std::make_unique<NewGroupWork>();
  if (name == "heartbeat") return std::make_unique<HeartbeatWork>(sizes);
  if (name == "heartbeat848") return std::make_unique<ConsumerHeartbeatWork>(sizes);
  if (name == "commit") return std::make_unique<CommitWork>(sizes);
  if (name == "rebalance") return std::make_unique<RebalanceWork>(sizes);
  return nullptr;
}

}  // namespace mr::bench
