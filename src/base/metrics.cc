#include "base/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <deque>
#include <iterator>
#include <map>
#include <mutex>

#include "base/check.h"
#include "base/text.h"

namespace mr {

namespace detail {

enum class MetricKind { counter, gauge, histogram };

struct MetricSeries {
  std::string labels;                  // as on the page, without braces
  std::vector<std::uint64_t> retired;  // sums of dropped handles; a histogram's sum of values is double bits
  std::vector<MetricCell*> cells;
};

struct MetricFamily {
  MetricKind kind;
  std::string help;
  std::vector<double> bounds;
  double per_unit;
  std::map<std::string, MetricSeries> series;

  std::size_t slots() const { return kind == MetricKind::histogram ? bounds.size() + 2 : 1; }
};

/// A cache line, so that shards do not share one.
struct alignas(64) MetricLine {
  std::atomic<std::uint64_t> slots[8];
};

struct MetricCell {
  MetricFamily* family;
  MetricSeries* series;
  std::unique_ptr<MetricLine[]> lines;

  std::atomic<std::uint64_t>& slot(std::size_t i) { return lines[i / 8].slots[i % 8]; }
  std::uint64_t value(std::size_t i) { return slot(i).load(std::memory_order_relaxed); }
};

struct MetricsCore {
  std::mutex mutex;
  std::map<std::string, MetricFamily, std::less<>> families;
  std::vector<std::function<void()>> before;
  std::uint64_t overflowed = 0;

  std::pair<MetricCell*, std::atomic<std::uint64_t>*> make(MetricKind kind, std::string_view name,
                                                           std::string_view help, std::span<const double> bounds,
                                                           MetricLabels labels, double per_unit = 1);
  void drop(MetricCell* cell, bool keep_counts);
};

}  // namespace detail

namespace {

using detail::MetricCell;
using detail::MetricFamily;
using detail::MetricKind;
using detail::MetricSeries;

bool valid_name(std::string_view name, bool label) {
  auto first = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!label && c == ':');
  };
  if (name.empty() || !first(name[0])) return false;
  return std::ranges::all_of(name, [&](char c) { return first(c) || (c >= '0' && c <= '9'); });
}

/// Prometheus takes nothing of a page with a byte that is no UTF-8, and peers choose names of groups: U+FFFD instead.
void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    const char c = text[at];
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (c == '\\' || (quotes && c == '"')) {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += text.substr(at, length);
    }
    at += length == 0 ? 1 : length;
  }
}

std::string render_labels(MetricLabels labels, bool overflow) {
  std::string out;
  for (const MetricLabel& label : labels) {
    if (!out.empty()) out += ',';
    out.append(label.name).append("=\"");
    append_escaped(out, overflow ? "overflow" : label.value, true);
    out += '"';
  }
  return out;
}

/// The sum slot of a histogram holds a double's bits.
void add_slots(const MetricFamily& family, std::vector<std::uint64_t>& into, std::size_t i, std::uint64_t value) {
  bool real = family.kind == MetricKind::histogram && i == family.slots() - 1;
  if (real) {
    into[i] = std::bit_cast<std::uint64_t>(std::bit_cast<double>(into[i]) + std::bit_cast<double>(value));
  } else {
    into[i] += value;
  }
}

std::vector<std::uint64_t> total(const MetricFamily& family, const MetricSeries& series) {
  std::vector<std::uint64_t> sum = series.retired;
  for (MetricCell* cell : series.cells) {
    for (std::size_t i = 0; i < sum.size(); ++i) add_slots(family, sum, i, cell->value(i));
  }
  return sum;
}

void append_series(std::string& out, const std::string& name, const MetricFamily& family, const std::string& labels,
                   const std::vector<std::uint64_t>& values) {
  auto back = std::back_inserter(out);
  if (family.kind != MetricKind::histogram) {
    std::string braced = labels.empty() ? "" : "{" + labels + "}";
    if (family.per_unit != 1) {
      auto value = family.kind == MetricKind::gauge ? static_cast<double>(static_cast<std::int64_t>(values[0]))
                                                    : static_cast<double>(values[0]);
      fmt::format_to(back, "{}{} {}\n", name, braced, value / family.per_unit);
    } else if (family.kind == MetricKind::gauge) {
      fmt::format_to(back, "{}{} {}\n", name, braced, static_cast<std::int64_t>(values[0]));
    } else {
      fmt::format_to(back, "{}{} {}\n", name, braced, values[0]);
    }
    return;
  }
  std::string comma = labels.empty() ? "" : labels + ",";
  std::string braced = labels.empty() ? "" : "{" + labels + "}";
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < family.bounds.size(); ++i) {
    below += values[i];
    fmt::format_to(back, "{}_bucket{{{}le=\"{}\"}} {}\n", name, comma, family.bounds[i], below);
  }
  below += values[family.bounds.size()];
  fmt::format_to(back, "{}_bucket{{{}le=\"+Inf\"}} {}\n", name, comma, below);
  fmt::format_to(back, "{}_sum{} {}\n", name, braced, std::bit_cast<double>(values.back()));
  fmt::format_to(back, "{}_count{} {}\n", name, braced, below);
}

std::string_view kind_name(MetricKind kind) {
  switch (kind) {
    case MetricKind::counter:
      return "counter";
    case MetricKind::gauge:
      return "gauge";
    case MetricKind::histogram:
      return "histogram";
  }
  return "untyped";
}

}  // namespace

std::pair<MetricCell*, std::atomic<std::uint64_t>*> detail::MetricsCore::make(MetricKind kind, std::string_view name,
                                                                              std::string_view help,
                                                                              std::span<const double> bounds,
                                                                              MetricLabels labels, double per_unit) {
  MR_CHECK(valid_name(name, false));
  MR_CHECK((kind == MetricKind::counter) == name.ends_with("_total"));
  MR_CHECK(std::ranges::is_sorted(bounds));
  for (const MetricLabel& label : labels) {
    MR_CHECK(valid_name(label.name, true) && !label.name.starts_with("__"));
    MR_CHECK(kind != MetricKind::histogram || label.name != "le");
  }
  std::lock_guard lock(mutex);
  auto found = families.find(name);
  if (found == families.end()) {
    MetricFamily family{.kind = kind,
                        .help = std::string(help),
                        .bounds = {bounds.begin(), bounds.end()},
                        .per_unit = per_unit,
                        .series = {}};
    found = families.emplace(std::string(name), std::move(family)).first;
  }
  MetricFamily& family = found->second;
  MR_CHECK(family.kind == kind && std::ranges::equal(family.bounds, bounds) && family.per_unit == per_unit);
  std::string key = render_labels(labels, false);
  if (!family.series.contains(key) && family.series.size() >= MetricsRegistry::kSeriesMax) {
    ++overflowed;
    key = render_labels(labels, true);
  }
  MetricSeries& series = family.series[key];
  if (series.retired.empty()) {
    series.labels = key;
    series.retired.resize(family.slots());
  }
  auto* cell = new MetricCell{
      .family = &family, .series = &series, .lines = std::make_unique<MetricLine[]>((family.slots() + 7) / 8)};
  series.cells.push_back(cell);
  return {cell, &cell->slot(0)};
}

void detail::MetricsCore::drop(MetricCell* cell, bool keep_counts) {
  std::lock_guard lock(mutex);
  MetricSeries& series = *cell->series;
  std::erase(series.cells, cell);
  if (cell->family->kind == MetricKind::gauge || (!keep_counts && series.cells.empty())) {
    // A gauge of something that is gone leaves the page with it.
    if (series.cells.empty()) cell->family->series.erase(std::string(series.labels));
  } else {
    for (std::size_t i = 0; i < series.retired.size(); ++i) {
      add_slots(*cell->family, series.retired, i, cell->value(i));
    }
  }
  delete cell;
}

MetricHandle::MetricHandle(std::shared_ptr<detail::MetricsCore> core, detail::MetricCell* cell,
                           std::atomic<std::uint64_t>* slots)
    : core_(std::move(core)), cell_(cell), slots_(slots) {}

MetricHandle::~MetricHandle() { release(true); }

void MetricHandle::forget() { release(false); }

MetricHandle& MetricHandle::operator=(MetricHandle&& other) noexcept {
  if (this == &other) return *this;
  release(true);
  core_ = std::move(other.core_);
  cell_ = std::exchange(other.cell_, nullptr);
  slots_ = std::exchange(other.slots_, nullptr);
  return *this;
}

void MetricHandle::release(bool keep_counts) {
  if (core_) core_->drop(std::exchange(cell_, nullptr), keep_counts);
  core_ = nullptr;
  slots_ = nullptr;
}

void Histogram::observe(double value) {
  if (slots_ == nullptr) return;
  const std::vector<double>& bounds = cell_->family->bounds;
  auto bucket = static_cast<std::size_t>(std::ranges::lower_bound(bounds, value) - bounds.begin());
  bump(slots_[bucket], 1);
  std::atomic<std::uint64_t>& sum = slots_[bounds.size() + 1];
  double now = std::bit_cast<double>(sum.load(std::memory_order_relaxed)) + value;
  sum.store(std::bit_cast<std::uint64_t>(now), std::memory_order_relaxed);
}

void Histogram::add(std::span<const std::uint64_t> by_bucket, double sum) {
  if (slots_ == nullptr) return;
  MR_CHECK(by_bucket.size() == cell_->family->bounds.size() + 1);
  for (std::size_t i = 0; i < by_bucket.size(); ++i) bump(slots_[i], by_bucket[i]);
  std::atomic<std::uint64_t>& total = slots_[by_bucket.size()];
  double now = std::bit_cast<double>(total.load(std::memory_order_relaxed)) + sum;
  total.store(std::bit_cast<std::uint64_t>(now), std::memory_order_relaxed);
}

MetricsRegistry::MetricsRegistry() : core_(std::make_shared<detail::MetricsCore>()) {}
MetricsRegistry::~MetricsRegistry() {
  // They may hold handles, which hold the core.
  std::vector<std::function<void()>> before;
  std::lock_guard lock(core_->mutex);
  before.swap(core_->before);
}

Counter MetricsRegistry::counter(std::string_view name, std::string_view help, MetricLabels labels, double per_unit) {
  auto [cell, slots] = core_->make(MetricKind::counter, name, help, {}, labels, per_unit);
  return {core_, cell, slots};
}
Gauge MetricsRegistry::gauge(std::string_view name, std::string_view help, MetricLabels labels, double per_unit) {
  auto [cell, slots] = core_->make(MetricKind::gauge, name, help, {}, labels, per_unit);
  return {core_, cell, slots};
}
Histogram MetricsRegistry::histogram(std::string_view name, std::string_view help, std::span<const double> bounds,
                                     MetricLabels labels) {
  auto [cell, slots] = core_->make(MetricKind::histogram, name, help, bounds, labels);
  return {core_, cell, slots};
}

void MetricsRegistry::before_scrape(std::function<void()> fn) {
  std::lock_guard lock(core_->mutex);
  core_->before.push_back(std::move(fn));
}

std::string MetricsRegistry::text() const {
  std::vector<std::function<void()>> before;
  {
    std::lock_guard lock(core_->mutex);
    before = core_->before;
  }
  for (auto& fn : before) fn();
  // Values under the lock, text after it: whoever makes a handle meanwhile does not wait for the formatting. Families
  // stay for ever, and but for their series do not change.
  struct Values {
    std::string labels;
    std::vector<std::uint64_t> values;
  };
  std::vector<std::pair<const std::pair<const std::string, MetricFamily>*, std::vector<Values>>> snapshot;
  std::uint64_t overflowed;
  {
    std::lock_guard lock(core_->mutex);
    overflowed = core_->overflowed;
    for (const auto& entry : core_->families) {
      std::vector<Values> values;
      for (const auto& [labels, series] : entry.second.series) values.push_back({labels, total(entry.second, series)});
      if (!values.empty()) snapshot.emplace_back(&entry, std::move(values));
    }
  }
  std::string out;
  for (const auto& [entry, values] : snapshot) {
    const auto& [name, family] = *entry;
    fmt::format_to(std::back_inserter(out), "# HELP {} ", name);
    append_escaped(out, family.help, false);
    fmt::format_to(std::back_inserter(out), "\n# TYPE {} {}\n", name, kind_name(family.kind));
    for (const Values& v : values) append_series(out, name, family, v.labels, v.values);
  }
  fmt::format_to(std::back_inserter(out),
                 "# HELP millrace_metrics_overflow_total Label sets beyond a family's limit, counted as one series\n"
                 "# TYPE millrace_metrics_overflow_total counter\nmillrace_metrics_overflow_total {}\n",
                 overflowed);
  return out;
}

}  // namespace mr
