#include <fmt/format.h>

#include <vector>

#include "bench/rload/load.h"

namespace mr::bench {
namespace {

struct Pass {
  Connection io;
  std::unique_ptr<Reader> reader;
};

class Reading : public Load {
 public:
  Reading(const Settings& s, const Peer& peer) : settings_(s) {
    for (std::size_t i = 0; i < s.connections; ++i) {
      passes_.push_back({Connection(s, peer, i), peer.reader(i, s.read)});
      passes_.back().io.send(passes_.back().reader->begin());
    }
  }

  void run(double seconds) override {
    messages_ = 0;
    double server = cpu_seconds_of(settings_.server_pid);
    double began = now_seconds();
    while (now_seconds() - began < seconds) {
      for (Pass& p : passes_) p.io.push();
      wait_for_any(passes_, [this](std::size_t i) { receive(passes_[i]); });
    }
    seconds_ = now_seconds() - began;
    server_cpu_ = cpu_seconds_of(settings_.server_pid) - server;
  }

  void print() override {
    fmt::print(
        "{{\"mode\":\"{}\",\"size\":{},\"connections\":{},\"messages\":{},\"bytes\":{},\"seconds\":{:.6f},\"errors\":0,"
        "\"messages_per_s\":{:.0f},\"server_cpu_s\":{:.6f}}}\n",
        settings_.rival, settings_.bytes, settings_.connections, messages_, messages_ * settings_.bytes, seconds_,
        static_cast<double>(messages_) / seconds_, server_cpu_);
  }

 private:
  void receive(Pass& p) {
    p.io.receive([&](std::string_view left) {
      std::string ask;
      Reader::Got got = p.reader->take(left, ask);
      if (!got.refusal.empty()) fail(settings_.rival, got.refusal);
      messages_ += got.messages;
      p.io.send(ask);
      return got.bytes;
    });
  }

  const Settings& settings_;
  std::vector<Pass> passes_;
  std::uint64_t messages_ = 0;
  double seconds_ = 0, server_cpu_ = 0;
};

}  // namespace

std::unique_ptr<Load> reading(const Settings& settings, const Peer& peer) {
  return std::make_unique<Reading>(settings, peer);
}

}  // namespace mr::bench
