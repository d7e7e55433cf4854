#pragma once
#include <array>
#include <cstdlib>
#include <map>
#include <set>

#include "coordinator/machine_fixture.h"
#include "sim/random.h"

/// Consumers that only see their own answers and do what the protocol asks of them, and what all of them together must
/// never see. For histories_test.cc and histories_sim_test.cc.
namespace mr::coordinator::histories {

inline constexpr int kPartitions = 6;

/// First seed and how many: MR_SEED=N alone replays one, MR_SEEDS=M runs so many.
inline std::pair<std::uint64_t, std::uint64_t> seeds(std::uint64_t usual) {
  const char* one = std::getenv("MR_SEED");
  const char* many = std::getenv("MR_SEEDS");
  if (many != nullptr) usual = std::strtoull(many, nullptr, 10);
  if (one == nullptr) return {1, usual};
  return {std::strtoull(one, nullptr, 10), many == nullptr ? 1 : usual};
}

/// What all clients together have seen.
struct History {
  struct Sent {
    std::int64_t offset;
    bool acked;
  };
  std::map<std::pair<int, int>, std::string> owner;  ///< by generation and partition
  std::array<std::vector<Sent>, kPartitions> commits;
  int newest_generation = -1;  ///< in which anybody has owned anything
  std::int64_t last_offset = 0;
  std::uint64_t rounds_seen = 0;
};

/// A consumer that does what the protocol asks of it, with one call at a time.
struct Client {
  std::string instance;  // empty: dynamic
  std::string id;
  int generation = -1;
  bool in_round = false;  // has an assignment
  std::set<int> owned;
  std::optional<WaiterId> waits;
  enum class Call { none, join, sync, heartbeat, commit } call = Call::none;
  JoinAnswer joined;
  std::map<int, std::int64_t> committing;
  bool late = false;  ///< when it sent its commit, somebody had an assignment of a newer generation
  bool rejoin = true;

  std::string name() const { return instance.empty() ? id : instance; }
  void reset() {
    id.clear();
    generation = -1;
    drop();
  }
  void drop() {
    in_round = false;
    owned.clear();
    rejoin = true;
  }
};

/// Clients at random around `Host`, which has send(waiter, event), commit() -> answers that may be seen by now,
/// pass(time) and crash().
template <class Host>
struct World {
  explicit World(std::uint64_t seed) : random(seed), host(random), clients(1 + random.below(4)) {
    for (std::size_t i = 0; i < clients.size(); ++i)
      if (random.below(3) == 0) clients[i].instance = "i" + std::to_string(i);
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) step();
  }
  void step() {
    const auto dice = random.below(100);
    Client& client = clients[random.below(clients.size())];
    if (dice < 60) {
      act(client);
    } else if (dice < 75) {
      host.pass(std::chrono::milliseconds(random.below(4000)));
    } else if (dice < 77) {
      host.pass(std::chrono::seconds(random.below(70)));
    } else if (dice < 80) {
      vanish(client);
    } else if (dice < 82) {
      crash();
    } else if (dice < 84 && !client.id.empty() && !client.waits) {
      host.send({}, leave_of(client));
      client.reset();
    } else if (dice < 86) {
      look_at_offsets();
    }
    for (GroupReply& reply : host.commit()) deliver(std::move(reply));
  }
  /// The process dies; its successor knows nothing but the instance.
  void vanish(Client& client) {
    client.waits.reset();
    client.reset();
  }
  void crash() {
    host.crash();
    for (Client& client : clients) client.waits.reset();  // an error; each tries again what it did
  }
  LeaveRequest leave_of(const Client& client) {
    LeavingMember leaving{.member = client.id};
    if (!client.instance.empty()) leaving.instance = client.instance;
    // Its answer is not looked at; the machine must be able to answer all the same.
    return {.group = "g", .members = {leaving}};
  }
  WaiterId begin(Client& client, Client::Call call) {
    client.call = call;
    client.waits = WaiterId{++last_waiter};
    return *client.waits;
  }
  std::optional<std::string> instance_of(const Client& client) {
    return client.instance.empty() ? std::nullopt : std::optional(client.instance);
  }

  void act(Client& client) {
    if (client.waits) return;
    if (client.rejoin) return join(client);
    if (!client.in_round) return sync(client);
    if (random.below(2) == 0) {
      host.send(begin(client, Client::Call::heartbeat), HeartbeatRequest{.group = "g",
                                                                         .generation = Generation{client.generation},
                                                                         .member = client.id,
                                                                         .instance = instance_of(client)});
      return;
    }
    commit(client);
  }
  void join(Client& client) {
    JoinEvent event{.fresh_id = std::to_string(++last_id)};
    event.request = {.group = "g",
                     .member = client.id,
                     .instance = instance_of(client),
                     .client_id = "c",
                     .client_host = "/h",
                     .session_timeout = Millis(10'000),
                     .rebalance_timeout = Millis(30'000),
                     .protocol_type = "consumer",
                     .protocols = {{"range", Bench::subscription({"t"})}},
                     .member_id_required = random.below(2) == 0,
                     .skip_assignment_known = random.below(2) == 0};
    if (random.below(8) == 0) event.request.protocols.push_back({"sticky", Bench::subscription({"t", "u"})});
    host.send(begin(client, Client::Call::join), std::move(event));
  }
  void sync(Client& client) {
    SyncRequest request{.group = "g",
                        .generation = Generation{client.generation},
                        .member = client.id,
                        .instance = instance_of(client)};
    if (client.joined.leader == client.id && !client.joined.skip_assignment && !client.joined.members.empty()) {
      const std::size_t shift = random.below(kPartitions);
      std::vector<std::string> parts(client.joined.members.size());
      for (int p = 0; p < kPartitions; ++p)
        parts[(static_cast<std::size_t>(p) + shift) % parts.size()].push_back(static_cast<char>('0' + p));
      for (std::size_t i = 0; i < parts.size(); ++i)
        request.assignments.push_back({client.joined.members[i].member, Blob(as_bytes(parts[i]))});
    }
    host.send(begin(client, Client::Call::sync), std::move(request));
  }
  void commit(Client& client) {
    CommitRequest request{.group = "g",
                          .generation = Generation{client.generation},
                          .member = client.id,
                          .instance = instance_of(client)};
    client.committing.clear();
    client.late = client.generation < history.newest_generation;
    for (int p : client.owned) {
      const std::int64_t offset = ++history.last_offset;
      client.committing[p] = offset;
      history.commits[static_cast<std::size_t>(p)].push_back({offset, false});
      request.offsets.push_back({.topic = "t", .partition = PartitionIndex{p}, .offset = Offset{offset}});
    }
    host.send(begin(client, Client::Call::commit), std::move(request));
  }
  /// As somebody who reads: only what is committed.
  void look_at_offsets() {
    FetchOffsetsRequest request{.group = "g"};
    const WaiterId waiter{++last_waiter};
    // Acked before it was asked; what comes later may or may not be seen.
    std::array<std::int64_t, kPartitions> least{};
    for (std::size_t p = 0; p < kPartitions; ++p)
      for (const History::Sent& sent : history.commits[p])
        if (sent.acked) least[p] = sent.offset;
    fetches[waiter.v] = least;
    host.send(waiter, std::move(request));
  }

  void deliver(GroupReply reply) {
    if (auto* fetched = std::get_if<FetchOffsetsAnswer>(&reply.answer)) return check_fetched(reply.waiter, *fetched);
    for (Client& client : clients) {
      if (client.waits != reply.waiter) continue;
      client.waits.reset();
      std::visit([&](auto& answer) { take(client, answer); }, reply.answer);
      return;
    }
  }
  template <class Other>
  void take(Client&, Other&) {}
  void take(Client& client, JoinAnswer& answer) {
    if (answer.error) {
      const Errc why = answer.error->code();
      if (why == Errc::member_id_required) {
        client.id = answer.member;
      } else if (why == Errc::unknown_member || why == Errc::fenced_instance_id) {
        client.reset();
      }
      return;
    }
    ++history.rounds_seen;
    client.id = answer.member;
    client.generation = answer.generation.v;
    client.joined = std::move(answer);
    client.drop();
    client.rejoin = false;
  }
  void take(Client& client, SyncAnswer& answer) {
    if (answer.error) return fall_back(client, answer.error->code());
    client.in_round = true;
    history.newest_generation = std::max(history.newest_generation, client.generation);
    client.owned.clear();
    for (std::byte b : answer.assignment.view()) client.owned.insert(static_cast<char>(b) - '0');
    for (int p : client.owned) {
      auto [at, first] = history.owner.emplace(std::pair(client.generation, p), client.name());
      EXPECT_EQ(at->second, client.name())
          << "partition " << p << " has two owners in generation " << client.generation;
    }
  }
  void take(Client& client, HeartbeatAnswer& answer) {
    if (answer.error) fall_back(client, answer.error->code());
  }
  void take(Client& client, CommitAnswer& answer) {
    if (answer.error) return fall_back(client, answer.error->code());
    EXPECT_FALSE(client.late) << "a zombie of generation " << client.generation << " has committed";
    for (auto [p, offset] : client.committing)
      for (History::Sent& sent : history.commits[static_cast<std::size_t>(p)])
        if (sent.offset == offset) sent.acked = true;
  }
  void fall_back(Client& client, Errc why) {
    if (why == Errc::unknown_member || why == Errc::fenced_instance_id) client.reset();
    client.drop();
  }
  /// Nothing older than the last that was acknowledged; later ones of the same partition may have come after it.
  void check_fetched(WaiterId waiter, const FetchOffsetsAnswer& answer) {
    std::array<std::int64_t, kPartitions> seen{};
    for (const FetchedTopic& topic : answer.topics)
      for (const FetchedOffset& one : topic.partitions) seen[static_cast<std::size_t>(one.partition.v)] = one.offset.v;
    const auto& least = fetches.at(waiter.v);
    for (std::size_t p = 0; p < kPartitions; ++p)
      EXPECT_GE(seen[p], least[p]) << "partition " << p << ": an acknowledged commit is gone";
  }

  sim::Random random;
  Host host;
  std::vector<Client> clients;
  History history;
  std::map<std::uint64_t, std::array<std::int64_t, kPartitions>> fetches;
  std::uint64_t last_waiter = 0;
  int last_id = 0;
};

/// Whether the histories were worth checking.
struct Tally {
  void add(const History& history) {
    ++histories;
    rounds += history.rounds_seen;
    owned += history.owner.size();
    for (const auto& commits : history.commits)
      for (const History::Sent& sent : commits) acked += sent.acked ? 1 : 0;
  }
  void check() const {
    if (histories < 40) return;
    EXPECT_GT(rounds, histories * 5);
    EXPECT_GT(owned, histories * 10);
    EXPECT_GT(acked, histories * 10);
  }
  std::uint64_t histories = 0, rounds = 0, owned = 0, acked = 0;
};

}  // namespace mr::coordinator::histories
