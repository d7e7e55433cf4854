#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mr {

struct MetricLabel {
  std::string_view name;
  std::string_view value;
};
using MetricLabels = std::initializer_list<MetricLabel>;

namespace detail {
/// Numbers of one handle; its owner alone writes, scrapes read.
struct MetricCell;
struct MetricsCore;
}  // namespace detail

/// Where a metric handle keeps its numbers. Dropping a counter's or histogram's handle keeps what it counted; dropping
/// a gauge's takes its share out.
class MetricHandle {
 public:
  MetricHandle() = default;
  MetricHandle(MetricHandle&& other) noexcept { *this = std::move(other); }
  MetricHandle& operator=(MetricHandle&& other) noexcept;
  ~MetricHandle();
  /// Drops the handle, and when it was the series' last one the series leaves the page with all that it counted: what
  /// its labels name is gone.
  void forget();

 protected:
  friend class MetricsRegistry;
  MetricHandle(std::shared_ptr<detail::MetricsCore> core, detail::MetricCell* cell, std::atomic<std::uint64_t>* slots);
  void release(bool keep_counts);
  /// One writer: a load and a store, no locked instruction.
  static void bump(std::atomic<std::uint64_t>& slot, std::uint64_t by) {
    slot.store(slot.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  std::shared_ptr<detail::MetricsCore> core_;
  detail::MetricCell* cell_ = nullptr;
  std::atomic<std::uint64_t>* slots_ = nullptr;
};

/// Only goes up. A handle without a registry counts nothing.
class Counter : public MetricHandle {
 public:
  using MetricHandle::MetricHandle;
  void add(std::uint64_t by = 1) {
    if (slots_ != nullptr) bump(*slots_, by);
  }
};

/// Goes up and down; handles of one series are summed.
class Gauge : public MetricHandle {
 public:
  using MetricHandle::MetricHandle;
  void set(std::int64_t value) {
    if (slots_ != nullptr) slots_->store(static_cast<std::uint64_t>(value), std::memory_order_relaxed);
  }
  void add(std::int64_t by) {
    if (slots_ != nullptr) bump(*slots_, static_cast<std::uint64_t>(by));
  }
};

/// Counts values in buckets "at most bound".
class Histogram : public MetricHandle {
 public:
  using MetricHandle::MetricHandle;
  void observe(double value);
  /// What somebody else has counted: `by_bucket` as the bounds say, one more at the end for what is above them all.
  void add(std::span<const std::uint64_t> by_bucket, double sum);
};

/// All metrics of one broker, in Prometheus' text form. Each call of counter(), gauge(), histogram() gives a handle of
/// its own for one shard (one writer at a time, no lock, a few ns); handles with equal name and labels are one series,
/// summed at scrape. Making and dropping handles takes a short lock; do it per object, not per request.
/// Any thread. Handles may outlive the registry.
class MetricsRegistry {
 public:
  /// A family (one name) holds at most this many label sets; what comes later shares one series whose label values are
  /// "overflow", so that hostile names cannot grow memory. millrace_metrics_overflow_total counts those.
  static constexpr std::size_t kSeriesMax = 2000;

  MetricsRegistry();
  ~MetricsRegistry();
  MetricsRegistry(const MetricsRegistry&) = delete;
  MetricsRegistry& operator=(const MetricsRegistry&) = delete;

  /// `name` as Prometheus has them ("millrace_fetch_bytes_total"), counters ending in _total; a bad or differently used
  /// name is a bug and aborts. Label values are free text. The page shows counts divided by `per_unit`: 1e9 for what is
  /// counted in nanoseconds and called "_seconds".
  Counter counter(std::string_view name, std::string_view help, MetricLabels labels = {}, double per_unit = 1);
  Gauge gauge(std::string_view name, std::string_view help, MetricLabels labels = {}, double per_unit = 1);
  Histogram histogram(std::string_view name, std::string_view help, std::span<const double> bounds,
                      MetricLabels labels = {});

  /// Called at each scrape, on the scraping thread, to set values that something else keeps; before the values are
  /// read. Set handles that the function owns.
  void before_scrape(std::function<void()> fn);

  /// The page. Calls before_scrape functions first.
  std::string text() const;

 private:
  std::shared_ptr<detail::MetricsCore> core_;
};

}  // namespace mr
