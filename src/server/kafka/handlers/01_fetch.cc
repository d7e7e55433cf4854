// Fetch v4-18. v5 log start; v7 sessions; v9 leader epochs; v11 rack; v12 flexible, divergence; v13 topic ids; v16
// endpoints; v17-18 replica fields. Rules: traps.md 59-70.
#include <ranges>

#include "broker/fetch.h"
#include "runtime/pooled.h"
#include "server/kafka/fetch_sessions.h"
#include "server/kafka/handlers/handlers.h"
#include "server/kafka/kafka_server.h"
#include "wire/api/fetch.h"

namespace mr::server::kafka {

namespace {

/// More than a broker has (TopicLimits): a request that names more holds memory for nothing while it waits.
constexpr std::size_t kPartitionsMax = 100'000;
/// Longer polls answer empty, and the reader asks again: until then nobody notices that it has gone.
constexpr Millis kLongPollMax{300'000};

// What session_epoch says beside the place in a session.
constexpr std::int32_t kBeginsSession = 0;
constexpr std::int32_t kNoSession = -1;

constexpr std::int8_t kReadCommitted = 1;

void fill_item(broker::FetchItem& item, const broker::TopicRef& topic, Errc unknown,
               const wire::fetch::FetchPartition& asked) {
  item.partition = asked.partition;
  item.offset = asked.fetch_offset;
  item.current_epoch = asked.current_leader_epoch.v < 0 ? kNoLeaderEpoch : asked.current_leader_epoch;
  item.last_fetched_epoch = asked.last_fetched_epoch;
  item.bytes_max = static_cast<std::uint64_t>(std::max(asked.partition_max_bytes, 0));
  const broker::PartitionPlace* place = topic ? topic->partition(asked.partition) : nullptr;
  if (place == nullptr) {
    item.refused = true;
    item.error = topic ? Errc::unknown_partition : unknown;
    return;
  }
  item.topic = topic->id;
  item.home = place->home;
}

/// Of aborted transactions: null for those who read all (traps.md 63), and without an answer of what is there, as in
/// Apache Kafka.
void fill_answer(Exchange& x, wire::fetch::PartitionData& answer, broker::FetchItem& item, bool read_committed) {
  answer.partition_index = item.partition;
  answer.records = wire::Records::of({});
  if (!item.refused && (!read_committed || item.error || item.diverging)) answer.aborted_transactions.reset();
  if (item.error) {
    answer.error_code = kafka_error(*item.error);
    // KAFKA_STORAGE_ERROR is unknown to clients before v6 (traps.md 68).
    if (answer.error_code == KafkaError::kafka_storage_error && x.head.version < 6)
      answer.error_code = KafkaError::not_leader_or_follower;
    answer.high_watermark = Offset{-1};
    return;
  }
  answer.high_watermark = item.high_watermark;
  answer.last_stable_offset = item.last_stable;
  answer.log_start_offset = item.log_start;
  if (item.diverging) answer.diverging_epoch = {item.diverging->epoch, item.diverging->end};
  if (item.data.bytes > 0) {
    answer.records = wire::Records::external(item.data.bytes, static_cast<std::uint32_t>(x.reads.size()));
    x.reads.push_back(std::move(item.data));
  }
}

/// By id from version 13 on.
bool by_id(const Exchange& x) { return x.head.version >= 13; }

broker::FetchOptions options_of(const Exchange& x, const wire::fetch::Request& request) {
  return {.deadline = x.context.received + std::clamp(Millis(request.max_wait_ms), Millis(0), kLongPollMax),
          .bytes_min = static_cast<std::uint64_t>(std::max(request.min_bytes, 0)),
          .bytes_max = static_cast<std::uint64_t>(std::clamp(request.max_bytes, 0, x.broker->config().fetch_max_bytes)),
          .read_committed = request.isolation_level == kReadCommitted,
          .memory = x.context.memory};
}

/// What a reader begins a session with: all that it asked, and what it is told of it now.
std::shared_ptr<FetchSession> session_of(Exchange& x, const wire::fetch::Request& request,
                                         const wire::fetch::Response& response) {
  auto session = std::make_shared<FetchSession>(by_id(x));
  session->update(request);
  for (const auto& topic : response.responses)
    for (const auto& partition : topic.partitions)
      session->find(topic.topic, topic.topic_id, partition.partition_index)->tell(partition);
  return x.server->fetch_sessions(x.shard).add(std::move(session), x.context.received);
}

/// A reader that begins anew, or goes, gives up the session it had, which may be another shard's.
Task<void> end_session(Exchange& x, std::int32_t id) {
  if (id < 0) co_return;
  ShardId home = x.server->fetch_sessions(x.shard).home_of(id);
  KafkaServer& server = *x.server;
  co_await x.broker->shards().call(home, [&server, home, id] { server.fetch_sessions(home).remove(id); });
}

/// Names all that it wants.
Task<Result<void>> fetch_all(Exchange& x, wire::fetch::Request request) {
  if (request.session_id != 0) co_await end_session(x, request.session_id);
  bool read_committed = request.isolation_level == kReadCommitted;
  std::size_t count = 0;
  for (const auto& asked : request.topics) count += asked.partitions.size();
  if (count > kPartitionsMax) co_return Error(Errc::too_large, "a fetch of more partitions than there can be");
  std::vector<broker::FetchItem, Pooled<broker::FetchItem>> items;
  items.reserve(count);
  {
    auto table = x.broker->topics(x.shard);
    for (const auto& asked : request.topics) {
      broker::TopicRef topic = by_id(x) ? table->find(asked.topic_id) : table->find(asked.topic);
      for (const auto& partition : asked.partitions)
        fill_item(items.emplace_back(), topic, by_id(x) ? Errc::unknown_topic_id : Errc::unknown_topic, partition);
    }
  }
  co_await broker::fetch(*x.broker, items, options_of(x, request));

  wire::fetch::Response response;
  auto asks_something = [](const auto& asked) { return !asked.partitions.empty(); };
  response.responses =
      x.arena.list<wire::fetch::FetchableTopicResponse>(std::ranges::count_if(request.topics, asks_something));
  auto answers = response.responses.begin();
  std::size_t next = 0;
  for (const auto& asked : request.topics | std::views::filter(asks_something)) {
    auto& answered = *answers++;
    answered.topic = asked.topic;
    answered.topic_id = asked.topic_id;
    answered.partitions = x.arena.list<wire::fetch::PartitionData>(asked.partitions.size());
    for (auto& partition : answered.partitions) fill_answer(x, partition, items[next++], read_committed);
  }
  if (request.session_epoch == kBeginsSession && count > 0)
    if (auto session = session_of(x, request, response)) response.session_id = session->id();
  co_return x.answer(response);
}

/// One partition of a session in the order of this fetch, with its answer.
struct SessionItem {
  std::string_view name;
  TopicId id;
  SessionPartition* partition;
};

/// In the order of home shards, so that each is asked once and not once for every other partition; from session.first
/// on and around.
void list_items(Exchange& x, FetchSession& session, std::vector<SessionItem>& whose,
                std::vector<broker::FetchItem>& items) {
  auto table = x.broker->topics(x.shard);
  const Errc unknown = session.by_id() ? Errc::unknown_topic_id : Errc::unknown_topic;
  std::vector<std::vector<std::pair<SessionItem, broker::FetchItem>>> by_home(x.server->shard_count());
  for (auto& [key, of] : session.topics()) {
    broker::TopicRef topic = session.by_id() ? table->find(of.id) : table->find(key);
    for (SessionPartition& p : of.partitions) {
      broker::FetchItem item;
      fill_item(item, topic, unknown,
                {.partition = p.index,
                 .current_leader_epoch = p.current_epoch,
                 .fetch_offset = p.offset,
                 .last_fetched_epoch = p.last_fetched_epoch,
                 .partition_max_bytes = p.bytes_max});
      SessionItem who{session.by_id() ? std::string_view() : key, of.id, &p};
      by_home[item.home.v].emplace_back(who, std::move(item));
    }
  }
  std::size_t skip = session.first % session.partition_count();
  whose.resize(session.partition_count());
  items.resize(session.partition_count());
  std::size_t at = items.size() - skip;
  for (auto& of_home : by_home)
    for (auto& [who, item] : of_home) {
      whose[at % items.size()] = who;
      items[at++ % items.size()] = std::move(item);
    }
}

/// Neighbours of one topic become one entry.
void group_news(Exchange& x, wire::fetch::Response& response,
                const std::vector<std::pair<const SessionItem*, wire::fetch::PartitionData>>& news) {
  auto same = [&](std::size_t a, std::size_t b) {
    return news[a].first->id == news[b].first->id && news[a].first->name == news[b].first->name;
  };
  std::size_t groups = 0;
  for (std::size_t i = 0; i < news.size(); ++i) groups += i == 0 || !same(i - 1, i) ? 1 : 0;
  response.responses = x.arena.list<wire::fetch::FetchableTopicResponse>(groups);
  std::size_t i = 0;
  for (auto& group : response.responses) {
    std::size_t end = i + 1;
    while (end < news.size() && same(i, end)) ++end;
    group.topic = news[i].first->name;
    group.topic_id = news[i].first->id;
    group.partitions = x.arena.list<wire::fetch::PartitionData>(end - i);
    for (auto& partition : group.partitions) partition = news[i++].second;
  }
}

Result<void> refuse(Exchange& x, KafkaError error) {
  wire::fetch::Response response;
  response.error_code = error;
  return x.answer(response);
}

/// Names only what changes. Partitions of which there is nothing new are left out of the answer (traps.md 66).
Task<Result<void>> fetch_in_session(Exchange& x, wire::fetch::Request request) {
  FetchSessions& sessions = x.server->fetch_sessions(x.shard);
  std::shared_ptr<FetchSession> session = sessions.find(request.session_id);
  if (session == nullptr) co_return refuse(x, KafkaError::fetch_session_id_not_found);
  if (session->by_id() != by_id(x)) co_return refuse(x, KafkaError::fetch_session_topic_id_error);
  if (session->epoch() != request.session_epoch) co_return refuse(x, KafkaError::invalid_fetch_session_epoch);
  if (!sessions.update(*session, request, x.context.received))
    co_return refuse(x, KafkaError::fetch_session_id_not_found);
  session->advance();  // at once: a fetch that waits elsewhere has to see that the session was changed
  const std::int32_t epoch = session->epoch();
  if (session->partition_count() == 0 || session->partition_count() > kPartitionsMax) {
    bool empty = session->partition_count() == 0;
    sessions.remove(session->id());
    if (!empty) co_return Error(Errc::too_large, "a fetch session of more partitions than there can be");
    co_return x.answer(wire::fetch::Response{});
  }
  std::vector<SessionItem> whose;
  std::vector<broker::FetchItem> items;
  list_items(x, *session, whose, items);
  co_await broker::fetch(*x.broker, items, options_of(x, request));
  // Somebody else went on with the session: `whose` may point at what is gone.
  if (session->epoch() != epoch) co_return refuse(x, KafkaError::invalid_fetch_session_epoch);

  wire::fetch::Response response;
  response.session_id = session->id();
  std::vector<std::pair<const SessionItem*, wire::fetch::PartitionData>> news;
  const std::size_t first = session->first % items.size();
  for (std::size_t i = 0; i < items.size(); ++i) {
    wire::fetch::PartitionData answer;
    fill_answer(x, answer, items[i], request.isolation_level == kReadCommitted);
    if (answer.records.size() > 0) session->first = (first + i + 1) % items.size();
    if (whose[i].partition->tell(answer)) news.emplace_back(&whose[i], std::move(answer));
  }
  group_news(x, response, news);
  co_return x.answer(response);
}

Task<Result<void>> undecodable(Error why) { co_return why; }

}  // namespace

/// No coroutine of its own: a fetch takes memory for one.
Task<Result<void>> handle_fetch(Exchange& x) {
  auto request = x.decode<wire::fetch::Request>();
  if (!request.ok()) return undecodable(std::move(request).error());
  bool begins = request->session_epoch == kBeginsSession || request->session_epoch == kNoSession;
  return begins ? fetch_all(x, *request) : fetch_in_session(x, *request);
}

}  // namespace mr::server::kafka
