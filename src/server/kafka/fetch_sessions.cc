#include "server/kafka/fetch_sessions.h"

#include <algorithm>

namespace mr::server::kafka {

namespace {

/// Of a topic beside its partitions: the nodes of two containers, roughly.
constexpr std::size_t kTopicBytes = sizeof(FetchSession::Topic) + 96;
constexpr std::size_t kIdBytes = sizeof(Uuid);

std::string_view key_of(bool by_id, std::string_view name, const TopicId& id) {
  return by_id ? std::string_view(reinterpret_cast<const char*>(&id.v), kIdBytes) : name;
}

auto lower(std::vector<SessionPartition>& partitions, PartitionIndex index) {
  return std::ranges::lower_bound(partitions, index, {}, &SessionPartition::index);
}

/// Partitions that are there already change in place; the others are put in order once, so that a request of many costs
/// no more than sorting them. Of a partition that was named twice the last word counts.
void merge(std::vector<SessionPartition>& into, wire::List<wire::fetch::FetchPartition> asked) {
  std::map<PartitionIndex, SessionPartition> added;
  for (const wire::fetch::FetchPartition& one : asked) {
    auto at = lower(into, one.partition);
    bool there = at != into.end() && at->index == one.partition;
    SessionPartition& partition = there ? *at : added[one.partition];
    partition.index = one.partition;
    partition.ask(one);
  }
  if (added.empty()) return;
  into.reserve(into.size() + added.size());
  for (const auto& [index, partition] : added) into.push_back(partition);
  std::ranges::sort(into, {}, &SessionPartition::index);
}

void drop(std::vector<SessionPartition>& from, wire::List<PartitionIndex> forgotten) {
  std::vector<PartitionIndex> gone(forgotten.begin(), forgotten.end());
  std::ranges::sort(gone);
  std::erase_if(from, [&](const SessionPartition& p) { return std::ranges::binary_search(gone, p.index); });
}

}  // namespace

void SessionPartition::ask(const wire::fetch::FetchPartition& asked) {
  current_epoch = asked.current_leader_epoch;
  last_fetched_epoch = asked.last_fetched_epoch;
  bytes_max = asked.partition_max_bytes;
  offset = asked.fetch_offset;
}

bool SessionPartition::tell(const wire::fetch::PartitionData& answer) {
  bool news = !answer.records.is_null && answer.records.size() > 0;
  news = news || answer.high_watermark != high_watermark || answer.last_stable_offset != last_stable ||
         answer.log_start_offset != log_start || answer.diverging_epoch.epoch != kNoLeaderEpoch;
  high_watermark = answer.high_watermark;
  last_stable = answer.last_stable_offset;
  log_start = answer.log_start_offset;
  if (answer.error_code == wire::KafkaError::none) return news;
  high_watermark = Offset{-1};  // once the error has gone, that is news
  return true;
}

FetchSession::Topic* FetchSession::topic(std::string_view name, TopicId id) {
  auto at = topics_.find(key_of(by_id_, name, id));
  return at == topics_.end() ? nullptr : &at->second;
}

SessionPartition* FetchSession::find(std::string_view name, TopicId id, PartitionIndex index) {
  Topic* of = topic(name, id);
  if (of == nullptr) return nullptr;
  auto at = lower(of->partitions, index);
  return at != of->partitions.end() && at->index == index ? &*at : nullptr;
}

void FetchSession::update(const wire::fetch::Request& request) {
  for (const wire::fetch::FetchTopic& asked : request.topics) {
    if (asked.partitions.empty()) continue;
    Topic* of = topic(asked.topic, asked.topic_id);
    if (of == nullptr) {
      of = &topics_[Key(key_of(by_id_, asked.topic, asked.topic_id))];
      of->id = asked.topic_id;
    }
    count_ -= of->partitions.size();
    merge(of->partitions, asked.partitions);
    count_ += of->partitions.size();
  }
  for (const wire::fetch::ForgottenTopic& forgotten : request.forgotten_topics_data) {
    auto at = topics_.find(key_of(by_id_, forgotten.topic, forgotten.topic_id));
    if (at == topics_.end()) continue;
    count_ -= at->second.partitions.size();
    drop(at->second.partitions, forgotten.partitions);
    count_ += at->second.partitions.size();
    if (at->second.partitions.empty()) topics_.erase(at);
  }
}

std::size_t FetchSession::bytes() const {
  std::size_t bytes = sizeof(FetchSession);
  for (const auto& [key, topic] : topics_)
    bytes += kTopicBytes + key.size() + topic.partitions.capacity() * sizeof(SessionPartition);
  return bytes;
}

std::size_t FetchSession::bytes_to_add(const wire::fetch::Request& request) {
  std::size_t bytes = 0;
  for (const wire::fetch::FetchTopic& asked : request.topics)
    bytes += kTopicBytes + asked.topic.size() + kIdBytes + 3 * asked.partitions.size() * sizeof(SessionPartition);
  return bytes;
}

std::shared_ptr<FetchSession> FetchSessions::add(std::shared_ptr<FetchSession> session, TimePoint now) {
  if (sessions_max_ == 0) return nullptr;
  const std::size_t partitions = session->partition_count();
  while (sessions_.size() >= sessions_max_)
    if (!evict_one(partitions, now)) return nullptr;
  while (!(session->charge_ = MemoryCharge::take(account_, session->bytes())))
    if (!evict_one(partitions, now)) return nullptr;
  do {
    auto drawn = static_cast<std::uint32_t>(rng_.next() & 0x7fffffff);
    drawn = drawn - drawn % shards_ + shard_.v;
    session->id_ = static_cast<std::int32_t>(drawn & 0x7fffffff);
  } while (session->id_ == 0 || home_of(session->id_) != shard_ || sessions_.contains(session->id_));
  session->created_ = now;
  sessions_.emplace(session->id_, session);
  list(*session, now);
  count();
  return session;
}

std::shared_ptr<FetchSession> FetchSessions::find(std::int32_t id) const {
  auto at = sessions_.find(id);
  return at == sessions_.end() ? nullptr : at->second;
}

bool FetchSessions::update(FetchSession& session, const wire::fetch::Request& request, TimePoint now) {
  // Beside what it has, while it grows.
  auto room = MemoryCharge::take(account_, FetchSession::bytes_to_add(request));
  if (!room) {
    remove(session.id_);
    return false;
  }
  unlist(session);
  session.update(request);
  list(session, now);
  count();
  if (request.topics.empty()) return true;
  room = MemoryCharge();
  session.charge_ = MemoryCharge();
  session.charge_ = MemoryCharge::take(account_, session.bytes());
  if (session.charge_) return true;
  remove(session.id_);  // another shard was quicker
  return false;
}

void FetchSessions::remove(std::int32_t id) {
  auto at = sessions_.find(id);
  if (at == sessions_.end()) return;
  unlist(*at->second);
  at->second->charge_ = MemoryCharge();  // a fetch that waits may hold the session a little longer
  sessions_.erase(at);
  count();
}

bool FetchSessions::evict_one(std::size_t partitions, TimePoint now) {
  std::int32_t id = 0;
  if (!by_use_.empty() && now - by_use_.begin()->first > kEvictionAge) {
    id = by_use_.begin()->second;
  } else if (!old_by_size_.empty() && old_by_size_.begin()->first < partitions) {
    id = old_by_size_.begin()->second;
  } else {
    return false;
  }
  remove(id);
  counters_.evicted.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void FetchSessions::unlist(const FetchSession& session) {
  by_use_.erase({session.last_used_, session.id_});
  old_by_size_.erase({session.partition_count(), session.id_});
  partitions_ -= session.partition_count();
}

void FetchSessions::list(FetchSession& session, TimePoint now) {
  session.last_used_ = now;
  by_use_.emplace(now, session.id_);
  if (now - session.created_ > kEvictionAge) old_by_size_.emplace(session.partition_count(), session.id_);
  partitions_ += session.partition_count();
}

void FetchSessions::count() {
  counters_.sessions.store(sessions_.size(), std::memory_order_relaxed);
  counters_.partitions.store(partitions_, std::memory_order_relaxed);
}

}  // namespace mr::server::kafka
