#include "client/read.h"

#include <fmt/format.h>

#include "client/broker_error.h"

namespace mr::client {

namespace {

/// Batches a broker accepted inflate to less than this.
constexpr std::uint64_t kInflatedBytesMax = 1ull << 30;

}  // namespace

Result<Offset> Fetched::Part::for_each(Inflater& inflater, const std::function<bool(const Item&)>& each) const {
  Offset next = from;
  BatchReader batches(bytes);
  for (BatchView batch; batches.next(batch);) {
    if (!batch_crc_matches(batch.bytes))
      return Error(Errc::corrupt_batch,
                   fmt::format("the batch at offset {} arrived damaged", batch.header.base_offset));
    if (batch.header.next_offset() <= next) continue;
    if (!batch.header.control()) {
      MR_TRY(ByteView records, inflater.inflate(batch.header.codec(), batch.records(), kInflatedBytesMax));
      RecordReader in(records, batch.header.records_count);
      for (Record record; in.next(record);) {
        Item item{.offset = Offset{batch.header.base_offset + record.offset_delta},
                  .timestamp = batch.header.log_append_time() ? batch.header.max_timestamp
                                                              : batch.header.base_timestamp + record.timestamp_delta,
                  .log_append_time = batch.header.log_append_time(),
                  .record = &record};
        if (item.offset < next) continue;
        if (!each(item)) return Offset{item.offset.v + 1};
      }
      if (!in.ok())
        return Error(Errc::malformed,
                     fmt::format("the batch at offset {}: {}", batch.header.base_offset, in.problem()));
    }
    next = batch.header.next_offset();
  }
  if (batches.problem()) return *batches.problem();
  return next;
}

Result<Fetched> Fetched::read(Reply<wire::fetch::Response> reply, std::vector<Position> asked,
                              const std::map<std::string, TopicId>& ids) {
  std::map<TopicPartition, std::size_t> places;
  std::vector<Part> parts;
  parts.reserve(asked.size());
  for (Position& position : asked) {
    places.emplace(position.name, parts.size());
    parts.push_back({.name = std::move(position.name), .from = position.next});
  }
  for (const auto& topic : reply->responses) {
    // From v13 on topics are named by their ids only.
    std::string name(topic.topic);
    for (const auto& [known, id] : ids)
      if (name.empty() && id == topic.topic_id) name = known;
    for (const auto& data : topic.partitions) {
      auto place = places.find({name, data.partition_index});
      if (place == places.end())
        return Error(Errc::malformed, fmt::format("the broker's answer has a partition {}-{} that was not asked for",
                                                  name, data.partition_index.v));
      Part& part = parts[place->second];
      part.error = data.error_code;
      part.high_watermark = data.high_watermark;
      part.log_start = data.log_start_offset;
      part.bytes = data.records.inline_bytes;
      places.erase(place);
    }
  }
  if (!places.empty())
    return Error(Errc::malformed,
                 fmt::format("{}: the broker's answer does not mention it", places.begin()->first.to_string()));
  return Fetched(std::move(reply), std::move(parts));
}

Task<Result<Fetched>> fetch_at(Cluster& cluster, BrokerId leader, std::vector<Position> positions, FetchOptions options,
                               TimePoint deadline) {
  namespace api = wire::fetch;
  std::map<std::string, std::vector<const Position*>> by_topic;
  std::vector<const std::string*> in_order;  // brokers fill an answer in the order they are asked
  for (const Position& position : positions) {
    auto [at, first] = by_topic.try_emplace(position.name.topic);
    at->second.push_back(&position);
    if (first) in_order.push_back(&at->first);
  }
  std::map<std::string, TopicId> ids;
  for (const std::string* name : in_order) {
    MR_CO_TRY(TopicInfo info, co_await cluster.topic(*name, false, deadline));
    ids.emplace(*name, info.id);
  }
  MR_CO_TRY(auto connection, co_await cluster.broker(leader, deadline));
  wire::Arena arena;
  api::Request request;
  request.max_wait_ms = static_cast<std::int32_t>(options.wait_max.count());
  request.min_bytes = 1;
  request.max_bytes = options.bytes_max;
  request.isolation_level = options.read_committed ? 1 : 0;
  request.topics = arena.list<api::FetchTopic>(in_order.size());
  for (std::size_t t = 0; t < in_order.size(); ++t) {
    const auto& wanted = by_topic[*in_order[t]];
    request.topics[t].topic = *in_order[t];
    request.topics[t].topic_id = ids[*in_order[t]];
    request.topics[t].partitions = arena.list<api::FetchPartition>(wanted.size());
    for (std::size_t p = 0; p < wanted.size(); ++p) {
      auto& partition = request.topics[t].partitions[p];
      partition.partition = wanted[p]->name.partition;
      partition.fetch_offset = wanted[p]->next;
      partition.partition_max_bytes = options.bytes_max;
    }
  }
  MR_CO_TRY(auto reply, co_await connection->call(request, deadline));
  if (reply->error_code != wire::KafkaError::none) co_return broker_error(reply->error_code, "fetch");
  co_return Fetched::read(std::move(reply), std::move(positions), ids);
}

bool leader_has_moved(wire::KafkaError error) {
  return worth_a_retry(error) || error == wire::KafkaError::unknown_topic_id;
}

Error fetch_error(const Fetched::Part& part) {
  if (part.error == wire::KafkaError::offset_out_of_range)
    return Error(Errc::offset_out_of_range, fmt::format("{} has no offset {}", part.name.to_string(), part.from.v));
  return broker_error(part.error, part.name.to_string());
}

Task<Result<Fetched>> fetch(Cluster& cluster, TopicPartition partition, Offset from, FetchOptions options,
                            TimePoint deadline) {
  for (;;) {
    MR_CO_TRY(Cluster::Leader leader, co_await cluster.leader(partition, deadline));
    MR_CO_TRY(Fetched fetched, co_await fetch_at(cluster, leader.id, {{partition, from}}, options, deadline));
    const Fetched::Part& part = fetched.only();
    if (part.error == wire::KafkaError::none) co_return fetched;
    cluster.forget(partition.topic);
    const TimePoint next = cluster.env().now() + cluster.retry_pause();
    if (!leader_has_moved(part.error) || next >= deadline) co_return fetch_error(part);
    MR_CO_TRY_VOID(co_await sleep_until(next));
  }
}

}  // namespace mr::client
