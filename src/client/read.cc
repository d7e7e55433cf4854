#include "client/read.h"

#include <fmt/format.h>

#include "client/broker_error.h"

namespace mr::client {

namespace {

/// Batches a broker accepted inflate to less than this.
constexpr std::uint64_t kInflatedBytesMax = 1ull << 30;

}  // namespace

Result<Offset> Fetched::for_each(Inflater& inflater, const std::function<bool(const Item&)>& each) const {
  Offset next = from_;
  BatchReader batches(bytes());
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

Task<Result<Fetched>> fetch(Cluster& cluster, TopicPartition partition, Offset from, FetchOptions options,
                            TimePoint deadline) {
  namespace api = wire::fetch;
  for (;;) {
    MR_CO_TRY(Cluster::Leader leader, co_await cluster.leader(partition, deadline));
    wire::Arena arena;
    api::Request request;
    request.max_wait_ms = static_cast<std::int32_t>(options.wait_max.count());
    request.min_bytes = 1;
    request.max_bytes = options.bytes_max;
    request.isolation_level = options.read_committed ? 1 : 0;
    request.topics = arena.list<api::FetchTopic>(1);
    request.topics[0].topic = partition.topic;
    request.topics[0].topic_id = leader.topic;
    request.topics[0].partitions = arena.list<api::FetchPartition>(1);
    request.topics[0].partitions[0].partition = partition.partition;
    request.topics[0].partitions[0].fetch_offset = from;
    request.topics[0].partitions[0].partition_max_bytes = options.bytes_max;
    MR_CO_TRY(auto reply, co_await leader.connection->call(request, deadline));
    wire::KafkaError error = reply->error_code;
    if (error == wire::KafkaError::none) {
      if (reply->responses.empty() || reply->responses[0].partitions.empty())
        co_return Error(Errc::malformed,
                        fmt::format("{}: the broker's answer does not mention it", partition.to_string()));
      error = reply->responses[0].partitions[0].error_code;
    }
    if (error == wire::KafkaError::none) co_return Fetched(std::move(reply), from);
    if (error == wire::KafkaError::offset_out_of_range)
      co_return Error(Errc::offset_out_of_range, fmt::format("{} has no offset {}", partition.to_string(), from.v));
    cluster.forget(partition.topic);
    const TimePoint next = cluster.env().now() + cluster.retry_pause();
    const bool again = worth_a_retry(error) || error == wire::KafkaError::unknown_topic_id;
    if (!again || next >= deadline) co_return broker_error(error, partition.to_string());
    MR_CO_TRY_VOID(co_await sleep_until(next));
  }
}

}  // namespace mr::client
