#include "cli/bench_pace.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace mr::cli {

Pacer::Pacer(const Options& options)
    : options_(options), records_max_(options.records_max), apart_ns_(options.rate > 0 ? 1e9 / options.rate : 0) {
  MR_CHECK(options.batch_records_max > 0);
  if (options.rate > 0)
    while (due(warm_up_) < options.counts_from)
      warm_up_ = std::max(
          warm_up_ + 1,
          static_cast<std::uint64_t>(static_cast<double>((options.counts_from - options.start).count()) / apart_ns_));
}

TimePoint Pacer::due(std::uint64_t record) const {
  return options_.start + Duration(static_cast<std::int64_t>(apart_ns_ * static_cast<double>(record)));
}

std::uint64_t Pacer::due_by(TimePoint now) const {
  now = std::min(now, options_.ends - Duration(1));
  if (now < options_.start) return 0;
  auto n = static_cast<std::uint64_t>(static_cast<double>((now - options_.start).count()) / apart_ns_);
  while (due(n) <= now) ++n;  // the division rounds either way
  while (n > 0 && due(n - 1) > now) --n;
  return std::min(n, last());
}

std::uint64_t Pacer::owed(TimePoint now) const {
  if (options_.rate <= 0) return 0;
  const std::uint64_t due = due_by(now);
  return due > taken_ ? due - taken_ : 0;
}

std::optional<TimePoint> Pacer::ready(TimePoint now) const {
  if (taken_ >= last()) return std::nullopt;
  if (options_.rate <= 0) return now < options_.ends ? std::optional(std::max(now, options_.start)) : std::nullopt;
  if (options_.ends != kForever && (due(taken_) >= options_.ends || now >= options_.ends + kLateMax))
    return std::nullopt;
  const std::uint64_t full = std::min(taken_ + options_.batch_records_max, last()) - 1;
  return std::min({due(full), due(taken_) + options_.linger, options_.ends});
}

DueRecords Pacer::take(TimePoint now) {
  DueRecords records{.start = options_.rate > 0 ? options_.start : now, .apart_ns = apart_ns_, .first = taken_};
  std::uint64_t count = options_.batch_records_max;
  if (options_.rate > 0) count = std::min<std::uint64_t>(count, owed(now));
  count = std::min(count, last() - taken_);
  MR_CHECK(count > 0);
  records.count = static_cast<std::uint32_t>(count);
  taken_ += count;
  if (options_.rate <= 0 && now < options_.counts_from) warm_up_ = taken_;
  return records;
}

}  // namespace mr::cli
