#include "model/validate_batch.h"

#include <fmt/format.h>

#include "model/compression.h"
#include "model/record.h"

namespace mr {
namespace {

std::unexpected<BatchRefusal> refuse(Errc code, std::string why, std::int32_t record_index = -1) {
  BatchRefusal refusal{Error(code, why), {}};
  if (record_index >= 0) refusal.records.push_back({record_index, std::move(why)});
  return std::unexpected(std::move(refusal));
}

/// What the 61 bytes alone tell, in Kafka's order: the first rule broken names the error.
std::expected<void, BatchRefusal> check_header(ByteView batch, const BatchHeader& h, const BatchRules& rules) {
  if (static_cast<int>(h.codec()) > static_cast<int>(Codec::zstd))
    return refuse(Errc::unsupported_compression, fmt::format("compression codec {}", static_cast<int>(h.codec())));
  if (h.codec() == Codec::zstd && !rules.zstd_allowed)
    return refuse(Errc::unsupported_compression, "zstd needs Produce version 7");
  if (h.base_offset != 0) return refuse(Errc::invalid_record, fmt::format("base offset {} is not 0", h.base_offset));
  if (batch.size() > static_cast<std::size_t>(std::max(rules.batch_bytes_max, 0)))
    return refuse(Errc::message_too_large,
                  fmt::format("batch of {} bytes, max.message.bytes is {}", batch.size(), rules.batch_bytes_max));
  if (!batch_crc_matches(batch)) return refuse(Errc::corrupt_batch, "checksum of the batch does not match");
  if (h.records_count == 0) return refuse(Errc::invalid_record, "batch without records");
  if (h.records_count - 1 != h.last_offset_delta)
    return refuse(Errc::invalid_record,
                  fmt::format("{} records, but the last offset delta is {}", h.records_count, h.last_offset_delta));
  if (h.control()) return refuse(Errc::invalid_record, "clients may not send control batches");
  if (h.delete_horizon()) return refuse(Errc::invalid_record, "clients may not set a delete horizon");
  if (h.log_append_time()) return refuse(Errc::invalid_timestamp, "clients may not set LogAppendTime");
  if (h.has_producer() && h.base_sequence < 0)
    return refuse(Errc::invalid_record, fmt::format("sequence {} of producer {}", h.base_sequence, h.producer_id));
  if (h.has_producer() && h.producer_epoch < 0)
    return refuse(Errc::invalid_record, fmt::format("epoch {} of producer {}", h.producer_epoch, h.producer_id));
  if (h.transactional() && !h.has_producer())
    return refuse(Errc::invalid_record, "transactional batch without a producer id");
  return {};
}

/// Kafka's windows around the broker's clock. Written so that no difference can overflow.
bool in_window(WallMillis timestamp, const BatchRules& rules) {
  if (rules.log_append_time || timestamp == -1) return true;
  if (timestamp < rules.now)
    return static_cast<std::uint64_t>(rules.now) - static_cast<std::uint64_t>(timestamp) <=
           static_cast<std::uint64_t>(rules.timestamp_before_max_ms);
  return static_cast<std::uint64_t>(timestamp) - static_cast<std::uint64_t>(rules.now) <=
         static_cast<std::uint64_t>(rules.timestamp_after_max_ms);
}

/// Records that are whole and yet not to be stored. One bad timestamp makes the whole batch's error (as Kafka's).
class Faults {
 public:
  explicit Faults(std::size_t named_max) : named_max_(std::max<std::size_t>(named_max, 1)) {}
  void add(Errc code, std::int32_t index, std::string why) {
    ++count_;
    if (code == Errc::invalid_timestamp) code_ = code;
    if (named_.size() < named_max_) named_.push_back({index, std::move(why)});
  }
  bool any() const { return count_ > 0; }
  std::unexpected<BatchRefusal> refuse() {
    std::string why =
        count_ == 1 ? named_[0].why : fmt::format("{} records are refused; the first: {}", count_, named_[0].why);
    return std::unexpected(BatchRefusal{Error(code_, std::move(why)), std::move(named_)});
  }

 private:
  std::size_t named_max_;
  std::size_t count_ = 0;
  Errc code_ = Errc::invalid_record;
  std::vector<RecordFault> named_;
};

std::expected<WallMillis, BatchRefusal> check_records(ByteView records, const BatchHeader& h, const BatchRules& rules) {
  WallMillis max_timestamp = std::numeric_limits<WallMillis>::min();
  RecordReader in(records, h.records_count);
  Record record;
  Faults faults(rules.record_faults_max);
  while (in.next(record)) {
    std::int32_t index = in.index() - 1;
    if (record.offset_delta != index)
      return refuse(Errc::invalid_record, fmt::format("offset delta {} of record {}", record.offset_delta, index),
                    index);
    if (rules.compacted && !record.key) {
      faults.add(Errc::invalid_record, index, "a compacted topic needs a key in every record");
      continue;
    }
    WallMillis timestamp = 0;
    if (__builtin_add_overflow(h.base_timestamp, record.timestamp_delta, &timestamp))
      return refuse(Errc::invalid_timestamp, "timestamp beyond 64 bits", index);
    if (!in_window(timestamp, rules))
      faults.add(Errc::invalid_timestamp, index,
                 fmt::format("timestamp {} is too far from {}, the broker's time", timestamp, rules.now));
    max_timestamp = std::max(max_timestamp, timestamp);
  }
  if (!in.ok()) return refuse(Errc::invalid_record, in.problem(), in.index() < h.records_count ? in.index() : -1);
  if (faults.any()) return faults.refuse();
  return max_timestamp;
}

}  // namespace

std::expected<BatchFacts, BatchRefusal> validate_batch(ByteView batch, const BatchRules& rules) {
  if (batch.size() < BatchHeader::kBytes) return refuse(Errc::invalid_record, "there must be exactly one whole batch");
  auto header = BatchHeader::parse(batch);
  if (!header.ok()) {
    // On disk such numbers are damage; a client that sends them has made an invalid batch, and retries do not help it.
    bool counts = load_be<std::int32_t>(batch.data() + BatchHeader::kLengthAt) >= 0 &&
                  (load_be<std::int32_t>(batch.data() + 23) < 0 || load_be<std::int32_t>(batch.data() + 57) < 0);
    return refuse(counts ? Errc::invalid_record : header.code(), header.error().detail());
  }
  if (header->total_bytes() != batch.size())
    return refuse(Errc::invalid_record, fmt::format("there must be exactly one whole batch: {} bytes, it says {}",
                                                    batch.size(), header->total_bytes()));
  if (auto fine = check_header(batch, *header, rules); !fine) return std::unexpected(std::move(fine).error());

  ByteView records = batch.subspan(BatchHeader::kBytes);
  if (header->codec() != Codec::none) {
    // Contexts and output memory, used again: a cache of this thread, nothing that a result depends on.
    thread_local Inflater inflater;
    auto inflated = inflater.inflate(header->codec(), records, rules.inflated_bytes_max);
    if (!inflated.ok()) {
      Errc code = inflated.code() == Errc::malformed ? Errc::invalid_record : inflated.code();
      return refuse(code, inflated.error().detail());
    }
    records = *inflated;
  }
  auto max_timestamp = check_records(records, *header, rules);
  if (!max_timestamp) return std::unexpected(std::move(max_timestamp).error());
  return BatchFacts{.header = *header, .max_timestamp = *max_timestamp};
}

}  // namespace mr
