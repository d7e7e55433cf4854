#pragma once
#include "broker/broker_fixture.h"
#include "coordinator/group_coordinator.h"
#include "coordinator/machine_fixture.h"

namespace mr::coordinator {

/// A broker with its groups in a simulated world.
struct Cluster {
  explicit Cluster(std::uint64_t seed, std::uint32_t shards = 3, std::map<std::string, std::string> options = {})
      : world({.seed = seed}), host(world.add_host("b")), shards(shards), options(std::move(options)) {
    this->options.try_emplace("offsets.topic.num.partitions", "7");
    this->options.try_emplace("disk.reserve.bytes", "0");
    start();
  }
  ~Cluster() {
    if (node) stop();
  }
  void start() {
    process = &host.start(shards);
    std::vector<config::SettingInput> inputs;
    for (const auto& [name, value] : options)
      inputs.push_back({.origin = config::Origin::flag, .where = "test", .name = name, .value = value});
    node = std::make_unique<broker::Running>(world, *process, journal, std::vector<std::string>{"/data"}, inputs,
                                             broker::Running::Start::later);
    groups = std::make_unique<GroupCoordinator>(*node->broker,
                                                *choose_assignors(node->broker->config().group_consumer_assignors, {}));
    MR_CHECK(run(node->broker->start()).ok());
    run(groups->start());
  }
  void stop() {
    run(groups->stop());
    (void)run(node->broker->stop());
    groups.reset();
    (void)node->stop();
    node.reset();
  }
  void power_cut() {
    host.crash(sim::CrashMode::lose_unsynced);
    stop();
    start();
  }
  template <class T>
  T run(Task<T> task, std::uint32_t on = 0) {
    return world.run(*process, ShardId{on}, std::move(task));
  }
  BrokerId find(std::string group = "g") {
    auto found = run(groups->find(std::move(group)));
    EXPECT_TRUE(found.ok()) << found.error().message();
    return found.ok() ? *found : BrokerId{-1};
  }
  static JoinRequest join_request(std::string member = "", std::string group = "g") {
    JoinRequest request{.group = std::move(group),
                        .member = std::move(member),
                        .client_id = "c",
                        .client_host = "/10.0.0.9",
                        .session_timeout = Millis(10'000),
                        .rebalance_timeout = Millis(60'000),
                        .protocol_type = "consumer",
                        .protocols = {{"range", Bench::subscription({"t"})}}};
    return request;
  }
  static SyncRequest sync_request(const JoinAnswer& joined, std::string part) {
    SyncRequest request{.group = "g", .generation = joined.generation, .member = joined.member};
    request.assignments.push_back({joined.member, Blob(as_bytes(part))});
    return request;
  }
  static CommitRequest commit_request(std::int64_t offset, std::string group = "g") {
    CommitRequest request{.group = std::move(group)};
    request.offsets.push_back({.topic = "t", .partition = PartitionIndex{0}, .offset = Offset{offset}});
    return request;
  }
  std::int64_t committed(std::string group = "g", std::uint32_t on = 0) {
    FetchOffsetsRequest request{.group = std::move(group), .topics = std::vector<TopicPartitionsWanted>{}};
    request.topics->push_back({"t", {}, {PartitionIndex{0}}});
    auto answer = run(groups->fetch_offsets(std::move(request)), on);
    EXPECT_FALSE(answer.error) << answer.error->message();
    return answer.error ? -2 : answer.topics.at(0).partitions.at(0).offset.v;
  }
  /// A call that goes on while the test does something else.
  template <class T>
  std::shared_ptr<std::optional<T>> later(std::uint32_t on, Task<T> task) {
    auto into = std::make_shared<std::optional<T>>();
    process->spawn(ShardId{on}, "later", sim::detail::store(std::move(task), into));
    return into;
  }

  sim::World world;
  sim::Host& host;
  std::uint32_t shards;
  std::map<std::string, std::string> options;
  std::shared_ptr<metastore::Journal> journal = std::make_shared<metastore::MemoryJournal>();
  sim::Process* process = nullptr;
  std::unique_ptr<broker::Running> node;
  std::unique_ptr<GroupCoordinator> groups;
};

}  // namespace mr::coordinator
