#include "storage/producer_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc32c.h"

namespace mr::storage {
namespace {

constexpr std::int16_t kSnapshotVersion = 1;
constexpr std::size_t kCrcAt = 2;
constexpr std::size_t kCountAt = 6;  ///< the checksum covers everything from here
constexpr std::size_t kEntriesAt = 10;
constexpr std::size_t kEntryBytes = 46;

}  // namespace

void ProducerTable::Producer::push(const ProducerBatch& batch) {
  if (count == kBatchesKept) {
    std::shift_left(batches.begin(), batches.end(), 1);
    --count;
  }
  batches[count++] = batch;
}

Result<SequenceVerdict> ProducerTable::check(const BatchHeader& header) const {
  if (!header.has_producer() || header.control()) return SequenceVerdict{};
  auto found = producers_.find(ProducerId{header.producer_id});
  if (found == producers_.end()) return SequenceVerdict{};  // retention may have dropped its state: any start is right
  const Producer& producer = found->second;
  ProducerEpoch epoch{header.producer_epoch};
  if (epoch < producer.epoch)
    return Error(Errc::invalid_producer_epoch,
                 fmt::format("producer {} has epoch {}, newest is {}", header.producer_id, epoch.v, producer.epoch.v));
  std::int32_t expected = 0;  // of a new epoch, and after a marker
  if (epoch == producer.epoch) {
    for (std::size_t i = producer.count; i-- > 0;) {
      const ProducerBatch& batch = producer.batches[i];
      if (batch.base_sequence == header.base_sequence && batch.last_sequence == header.last_sequence())
        return SequenceVerdict{SequenceVerdict::Kind::duplicate, Offset{batch.last_offset.v - batch.offset_delta},
                               batch.timestamp};
    }
    if (const ProducerBatch* newest = producer.newest()) expected = advance_sequence(newest->last_sequence, 1);
  }
  if (header.base_sequence != expected)
    return Error(Errc::out_of_order_sequence, fmt::format("producer {} epoch {}: sequence {}, expected {}",
                                                          header.producer_id, epoch.v, header.base_sequence, expected));
  return SequenceVerdict{};
}

void ProducerTable::note(const BatchHeader& header, WallMillis now) {
  if (!header.has_producer()) return;
  Producer& producer = producers_[ProducerId{header.producer_id}];
  ProducerEpoch epoch{header.producer_epoch};
  if (epoch != producer.epoch) {
    producer.epoch = epoch;
    producer.count = 0;
  }
  producer.seen = now;
  if (header.control()) return;  // a transaction marker moves the epoch, not the sequence
  producer.push({header.base_sequence, header.last_sequence(), header.last_offset(), header.last_offset_delta,
                 header.max_timestamp});
}

void ProducerTable::expire(WallMillis now, std::int64_t expiration_ms) {
  std::erase_if(producers_, [&](const auto& entry) { return now - entry.second.seen >= expiration_ms; });
}

void ProducerTable::take_fuller(const ProducerTable& tail) {
  for (auto& [id, producer] : producers_) {
    auto found = tail.producers_.find(id);
    if (found == tail.producers_.end() || found->second.epoch != producer.epoch) continue;
    if (found->second.count <= producer.count) continue;
    producer.batches = found->second.batches;
    producer.count = found->second.count;
  }
}

std::vector<Log::ProducerInfo> ProducerTable::list() const {
  std::vector<Log::ProducerInfo> all;
  all.reserve(producers_.size());
  for (const auto& [id, producer] : producers_)
    all.push_back({id, producer.epoch, {producer.batches.begin(), producer.batches.begin() + producer.count}});
  std::ranges::sort(all, {}, &Log::ProducerInfo::id);
  return all;
}

std::vector<std::byte> ProducerTable::encode_snapshot() const {
  std::vector<std::byte> bytes(kEntriesAt + producers_.size() * kEntryBytes);
  store_be(bytes.data(), kSnapshotVersion);
  store_be(bytes.data() + kCountAt, static_cast<std::int32_t>(producers_.size()));
  std::byte* at = bytes.data() + kEntriesAt;
  for (const auto& [id, producer] : producers_) {
    ProducerBatch last;
    last.last_offset = kNoOffset;
    if (const ProducerBatch* newest = producer.newest()) last = *newest;
    store_be(at, id.v);
    store_be(at + 8, producer.epoch.v);
    store_be(at + 10, last.last_sequence);
    store_be(at + 14, last.last_offset.v);
    store_be(at + 22, last.offset_delta);
    store_be(at + 26, last.timestamp);
    store_be(at + 34, producer.coordinator_epoch);
    store_be(at + 38, kNoOffset.v);  // first offset of the open transaction: none
    at += kEntryBytes;
  }
  store_be(bytes.data() + kCrcAt, crc32c(ByteView(bytes).subspan(kCountAt)));
  return bytes;
}

Result<ProducerTable> ProducerTable::decode_snapshot(ByteView bytes, WallMillis now) {
  if (bytes.size() < kEntriesAt) return Error(Errc::corrupt_data, "producer snapshot is too short");
  auto version = load_be<std::int16_t>(bytes.data());
  if (version > kSnapshotVersion)
    return Error(Errc::newer_format, fmt::format("producer snapshot version {}", version));
  if (version != kSnapshotVersion || load_be<std::uint32_t>(bytes.data() + kCrcAt) != crc32c(bytes.subspan(kCountAt)))
    return Error(Errc::corrupt_data, "producer snapshot fails its checksum");
  auto count = load_be<std::int32_t>(bytes.data() + kCountAt);
  if (count < 0 || static_cast<std::size_t>(count) * kEntryBytes != bytes.size() - kEntriesAt)
    return Error(Errc::corrupt_data, fmt::format("producer snapshot of {} bytes says {} entries", bytes.size(), count));
  ProducerTable table;
  for (const std::byte* at = bytes.data() + kEntriesAt; at != bytes.data() + bytes.size(); at += kEntryBytes) {
    Producer& producer = table.producers_[ProducerId{load_be<std::int64_t>(at)}];
    producer.epoch = ProducerEpoch{load_be<std::int16_t>(at + 8)};
    producer.coordinator_epoch = load_be<std::int32_t>(at + 34);
    producer.seen = now;
    producer.count = 0;
    ProducerBatch last;
    last.last_sequence = load_be<std::int32_t>(at + 10);
    last.last_offset = Offset{load_be<std::int64_t>(at + 14)};
    last.offset_delta = load_be<std::int32_t>(at + 22);
    last.timestamp = load_be<std::int64_t>(at + 26);
    if (last.last_sequence < 0 || last.offset_delta < 0) continue;  // only a marker was seen
    // The first sequence is not stored; it lies offset_delta back, on the circle of 2^31 sequences.
    last.base_sequence =
        static_cast<std::int32_t>((static_cast<std::int64_t>(last.last_sequence) - last.offset_delta) & 0x7fffffff);
    producer.push(last);
  }
  return table;
}

}  // namespace mr::storage
