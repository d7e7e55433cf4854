#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "bench/kload/latency.h"
#include "bench/rload/load.h"

namespace mr::bench {
namespace {

struct Window {
  Connection io;
  std::string publish;      ///< as it goes out
  std::deque<double> sent;  ///< of messages without an answer
};

class Publisher : public Load {
 public:
  Publisher(const Settings& s, const Peer& peer) : settings_(s), peer_(peer) {
    for (std::size_t i = 0; i < s.connections; ++i) windows_.push_back({Connection(s, peer, i), peer.publish(i), {}});
  }

  void run(double seconds) override {
    sent_ = messages_ = 0;
    latencies_.clear();
    double server = cpu_seconds_of(settings_.server_pid);
    double began = now_seconds();
    bool sending = true;
    while (true) {
      sending = sending && (settings_.count != 0 ? sent_ < settings_.count : now_seconds() - began < seconds);
      for (Window& w : windows_) {
        if (sending) fill(w);
        w.io.push();
      }
      if (!sending && std::ranges::all_of(windows_, [](const Window& w) { return w.sent.empty(); })) break;
      wait_for_any(windows_, [this](std::size_t i) { receive(windows_[i]); });
    }
    seconds_ = now_seconds() - began;
    server_cpu_ = cpu_seconds_of(settings_.server_pid) - server;
  }

  void print() override {
    std::ranges::sort(latencies_);
    auto ms = [&](double p) { return percentile(latencies_, p) * 1e3; };
    fmt::print(
        "{{\"mode\":\"{}\",\"size\":{},\"connections\":{},\"in_flight\":{},\"messages\":{},\"bytes\":{},\"seconds\":{:."
        "6f},"
        "\"errors\":0,\"messages_per_s\":{:.0f},\"server_cpu_s\":{:.6f},\"p50_ms\":{:.4f},\"p99_ms\":{:.4f},\"p999_"
        "ms\":{:.4f}}}\n",
        settings_.rival, settings_.bytes, settings_.connections, settings_.in_flight, messages_,
        messages_ * settings_.bytes, seconds_, static_cast<double>(messages_) / seconds_, server_cpu_, ms(0.5),
        ms(0.99), ms(0.999));
  }

 private:
  bool wants_more() const { return settings_.count == 0 || sent_ < settings_.count; }

  void fill(Window& w) {
    double now = now_seconds();
    for (std::size_t each = peer_.messages_each(); wants_more() && w.sent.size() + each <= settings_.in_flight;) {
      w.sent.insert(w.sent.end(), each, now);
      w.io.send(w.publish);
      sent_ += each;
    }
  }

  void receive(Window& w) {
    double now = now_seconds();
    w.io.receive([&](std::string_view left) {
      Peer::Taken taken = peer_.take(left);
      if (!taken.refusal.empty()) fail(settings_.rival, taken.refusal);
      answered(w, taken.answered, now);
      return taken.bytes;
    });
  }

  void answered(Window& w, std::size_t messages, double now) {
    if (messages > w.sent.size())
      fail(settings_.rival, fmt::format("{} answers to {} messages", messages, w.sent.size()));
    messages_ += messages;
    auto end = w.sent.begin() + static_cast<std::ptrdiff_t>(messages);
    for (auto sent = w.sent.begin(); sent != end; ++sent) latencies_.push_back(now - *sent);
    w.sent.erase(w.sent.begin(), end);
  }

  const Settings& settings_;
  const Peer& peer_;
  std::vector<Window> windows_;
  std::uint64_t sent_ = 0, messages_ = 0;
  double seconds_ = 0;
  double server_cpu_ = 0;
  std::vector<double> latencies_;
};

}  // namespace

std::unique_ptr<Load> publishing(const Settings& settings, const Peer& peer) {
  return std::make_unique<Publisher>(settings, peer);
}

}  // namespace mr::bench
