#include "bench/kload/e2e.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace mr::bench {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;
constexpr double kStalledSeconds = 30;

}  // namespace

EndToEnd::EndToEnd(const Options& options)
    : options_(options),
      producers_(options.connections),
      fetchers_(options.fetchers),
      wire_(options.host, options.port, options.connections + options.fetchers, kReadBytes,
            [this](std::size_t c, const Sent& sent, ByteView body) { answered(c, sent, body); }) {
  Bytes batch = build_batch(options);
  Socket control(options.host, options.port);
  for (std::int32_t p = 0; p < options.partitions; ++p) {
    partitions_.push_back({.produce = produce_frame(options, p, batch),
                           .fetch = fetch_frame(options, p),
                           .start = listed_offset(control.call(list_offsets_frame(options, p, -1))),
                           .sent = {}});
  }
  std::iota(producers_.begin(), producers_.end(), 0);
  for (std::size_t i = 0; i < fetchers_.size(); ++i) {
    fetchers_[i].partition = i % partitions_.size();
    fetchers_[i].offset = partitions_[fetchers_[i].partition].start;
    fetch_on(i);
  }
}

Figures EndToEnd::run(double seconds, std::uint64_t count) {
  figures_ = {};
  figures_.latencies.reserve(1 << 18);
  figures_.arrivals.reserve(1 << 20);
  count_ = count;
  issued_ = 0;
  double own = cpu_seconds_of(getpid());
  double server = cpu_seconds_of(options_.server_pid);
  started_ = moved_ = now_seconds();
  until_ = count != 0 ? 1e300 : started_ + seconds;
  while (true) {
    double now = now_seconds();
    produce_what_is_due(now);
    if (!may_send(now) && unanswered_ == 0 && (figures_.errors != 0 || all_received())) break;
    wire_.wait(pause(now));
    if (now - moved_ > kStalledSeconds) {
      fmt::print(stderr, "kload: nothing has arrived for {} s\n", kStalledSeconds);
      std::exit(1);
    }
  }
  figures_.seconds = now_seconds() - started_;
  figures_.server_cpu_seconds = cpu_seconds_of(options_.server_pid) - server;
  figures_.own_cpu_seconds = cpu_seconds_of(getpid()) - own;
  return std::move(figures_);
}

bool EndToEnd::may_send(double now) const {
  if (options_.bytes_max != 0 && issued_ * partitions_.front().produce.batch_bytes >= options_.bytes_max) return false;
  return count_ != 0 ? issued_ < count_ : now < until_;
}

bool EndToEnd::all_received() const {
  return std::ranges::all_of(fetchers_, [this](const Fetcher& f) {
    const Partition& p = partitions_[f.partition];
    return f.offset >= p.start + static_cast<std::int64_t>(p.sent.size() * options_.records);
  });
}

/// Open loop: request k at start + k / rate. Otherwise each producer keeps its window full.
void EndToEnd::produce_what_is_due(double now) {
  if (options_.rate > 0) {
    while (may_send(now)) {
      double at = started_ + static_cast<double>(issued_) / options_.rate;
      if (at > now || at >= until_) break;
      issue(issued_ % producers_.size(), at);
    }
  } else {
    for (std::size_t i = 0; i < producers_.size(); ++i) {
      while (may_send(now) && wire_.unanswered(i) < options_.in_flight) issue(i, now);
    }
  }
  for (std::size_t i = 0; i < producers_.size(); ++i) {
    if (wire_.unsent(i) != 0 && !wire_.blocked(i)) wire_.flush(i);
  }
}

void EndToEnd::issue(std::size_t i, double at) {
  std::int32_t& partition = producers_[i];
  Partition& p = partitions_[static_cast<std::size_t>(partition)];
  ++issued_;
  ++unanswered_;
  p.sent.push_back(at);
  wire_.queue(i, p.produce.head, &p.produce.body, {.at = at});
  // The remainder of partition / connections stays: a partition keeps its producer.
  partition = (partition + static_cast<std::int32_t>(producers_.size())) % options_.partitions;
}

void EndToEnd::fetch_on(std::size_t fetcher) {
  const Fetcher& f = fetchers_[fetcher];
  Bytes& frame = partitions_[f.partition].fetch;
  set_fetch_offset(frame, f.offset);
  wire_.queue(producers_.size() + fetcher, frame, nullptr, {.at = now_seconds()});
  wire_.flush(producers_.size() + fetcher);
}

void EndToEnd::answered(std::size_t connection, const Sent& sent, ByteView body) {
  if (connection >= producers_.size()) {
    std::size_t i = connection - producers_.size();
    Fetched got = read_fetch(body);
    if (got.error != 0) figures_.note_error(got.error);
    if (got.error == 0 && got.next_offset >= 0) received(fetchers_[i], got);
    return fetch_on(i);
  }
  --unanswered_;
  moved_ = now_seconds();
  figures_.latencies.push_back(moved_ - sent.at);
  ++figures_.requests;
  if (auto error = produce_error(body); error != 0) return figures_.note_error(error);
  figures_.messages += options_.records;
  figures_.bytes += partitions_.front().produce.batch_bytes;
}

void EndToEnd::received(Fetcher& f, const Fetched& got) {
  const Partition& p = partitions_[f.partition];
  moved_ = now_seconds();
  const std::int64_t each = options_.records;
  for (; f.offset + each <= got.next_offset; f.offset += each) {
    figures_.arrivals.push_back(moved_ - p.sent[static_cast<std::size_t>((f.offset - p.start) / each)]);
  }
  figures_.received += got.messages;
}

double EndToEnd::pause(double now) const {
  if (options_.rate <= 0 || !may_send(now)) return 0.05;
  double left = started_ + static_cast<double>(issued_) / options_.rate - now_seconds();
  return std::clamp(left - 20e-6, 0.0, 0.05);
}

}  // namespace mr::bench
