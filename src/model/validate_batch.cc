#include "model/validate_batch.h"

#include <fmt/format.h>

#include <optional>

#include "model/compression.h"
#include "model/record.h"
#include "model/record_scan.h"

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

// Kafka's windows around the broker's clock, as bounds that no difference can overflow.
constexpr WallMillis kNever = std::numeric_limits<WallMillis>::min();
constexpr WallMillis kAlways = std::numeric_limits<WallMillis>::max();

/// now + by, and no further than 64 bits go.
WallMillis shifted(WallMillis now, WallMillis by) {
  WallMillis at = 0;
  if (!__builtin_add_overflow(now, by, &at)) return at;
  return by < 0 ? kNever : kAlways;
}

/// The rules for single records, whose fields are known.
class RecordRules {
 public:
  RecordRules(const BatchHeader& h, const BatchRules& rules)
      : base_(h.base_timestamp),
        earliest_(rules.log_append_time ? kNever : shifted(rules.now, -rules.timestamp_before_max_ms)),
        latest_(rules.log_append_time ? kAlways : shifted(rules.now, rules.timestamp_after_max_ms)),
        needs_key_(rules.compacted),
        h_(h),
        rules_(rules),
        faults_(rules.record_faults_max) {}

  /// False: the batch is refused, there is no use in looking at more. A few comparisons for a record that is in order.
  [[gnu::always_inline]] bool look(std::int32_t index, std::int64_t timestamp_delta, std::int32_t offset_delta,
                                   bool has_key) {
    WallMillis timestamp = 0;
    const bool beyond = __builtin_add_overflow(base_, timestamp_delta, &timestamp);
    if (beyond || offset_delta != index || (needs_key_ && !has_key) || timestamp < earliest_ || timestamp > latest_)
        [[unlikely]] {
      if (!look_closer(index, timestamp_delta, offset_delta, has_key)) return false;
      if (needs_key_ && !has_key) return true;
    }
    max_timestamp_ = std::max(max_timestamp_, timestamp);
    return true;
  }
  bool refused() const { return refused_.has_value(); }

  /// The largest timestamp, when all records were looked at; `problem` of what read them, at record `index`.
  std::expected<WallMillis, BatchRefusal> end(const char* problem, std::int32_t index) {
    if (refused_) return std::move(*refused_);
    if (problem != nullptr) return refuse(Errc::invalid_record, problem, index < h_.records_count ? index : -1);
    if (faults_.any()) return faults_.refuse();
    return max_timestamp_;
  }

 private:
  /// What is wrong, in Kafka's order of rules; nothing with a record that has no time (-1).
  [[gnu::noinline]] bool look_closer(std::int32_t index, std::int64_t timestamp_delta, std::int32_t offset_delta,
                                     bool has_key) {
    if (offset_delta != index) {
      refused_ = refuse(Errc::invalid_record, fmt::format("offset delta {} of record {}", offset_delta, index), index);
      return false;
    }
    if (needs_key_ && !has_key) {
      faults_.add(Errc::invalid_record, index, "a compacted topic needs a key in every record");
      return true;
    }
    WallMillis timestamp = 0;
    if (__builtin_add_overflow(base_, timestamp_delta, &timestamp)) {
      refused_ = refuse(Errc::invalid_timestamp, "timestamp beyond 64 bits", index);
      return false;
    }
    if (timestamp != -1 && (timestamp < earliest_ || timestamp > latest_))
      faults_.add(Errc::invalid_timestamp, index,
                  fmt::format("timestamp {} is too far from {}, the broker's time", timestamp, rules_.now));
    return true;
  }

  const WallMillis base_;
  const WallMillis earliest_;
  const WallMillis latest_;
  const bool needs_key_;
  WallMillis max_timestamp_ = kNever;
  const BatchHeader& h_;
  const BatchRules& rules_;
  Faults faults_;
  std::optional<std::unexpected<BatchRefusal>> refused_;
};

std::expected<WallMillis, BatchRefusal> check_records(ByteView records, const BatchHeader& h, const BatchRules& rules) {
  RecordRules each(h, rules);
  RecordReader in(records, h.records_count);
  Record record;
  while (in.next(record) &&
         each.look(in.index() - 1, record.timestamp_delta, record.offset_delta, record.key.has_value())) {
  }
  return each.end(in.problem(), in.index());
}

std::unexpected<BatchRefusal> not_inflated(const Error& error) {
  return refuse(error.code() == Errc::malformed ? Errc::invalid_record : error.code(), error.detail());
}

/// As check_records, of records that are inflated piece by piece.
std::expected<WallMillis, BatchRefusal> check_in_pieces(Inflater& inflater, ByteView records, const BatchHeader& h,
                                                        const BatchRules& rules) {
  RecordRules each(h, rules);
  RecordScan in(h.records_count);
  auto look = [&](const RecordScan::Seen& record) {
    return each.look(in.index() - 1, record.timestamp_delta, record.offset_delta, record.has_key);
  };
  auto inflated =
      inflater.inflate_pieces(h.codec(), records, rules.inflated_bytes_max, [&](ByteView piece) -> Result<void> {
        if (in.feed(piece, look)) return {};
        return Error(Errc::invalid_record);  // `each` or `in` know why
      });
  if (inflated.ok()) {
    (void)in.finish();
  } else if (!each.refused() && in.problem() == nullptr) {
    return not_inflated(inflated.error());
  }
  return each.end(in.problem(), in.index());
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
  // Contexts and output memory, used again: a cache of this thread, nothing that a result depends on.
  thread_local Inflater inflater;
  const bool in_pieces = header->codec() != Codec::none && rules.inflated_bytes_max > kInflatedWholeMax;
  if (header->codec() != Codec::none && !in_pieces) {
    auto inflated = inflater.inflate(header->codec(), records, rules.inflated_bytes_max);
    if (!inflated.ok()) return not_inflated(inflated.error());
    records = *inflated;
  }
  auto max_timestamp =
      in_pieces ? check_in_pieces(inflater, records, *header, rules) : check_records(records, *header, rules);
  if (!max_timestamp) return std::unexpected(std::move(max_timestamp).error());
  return BatchFacts{.header = *header, .max_timestamp = *max_timestamp};
}

}  // namespace mr
