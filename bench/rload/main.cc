// rload: see bench/README.md.
#include <errno.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/kload/latency.h"
#include "bench/kload/socket.h"
#include "bench/rload/peer.h"

namespace {

using namespace mr::bench;

constexpr std::size_t kReadBytes = 64 << 10;

struct Settings {
  std::string rival, host = "127.0.0.1", stream = "rload";
  std::uint16_t port = 0;
  std::size_t bytes = 1024, connections = 4, in_flight = 250, batch = 1;
  double seconds = 1, warmup = 0;
  int server_pid = 0;
};

[[noreturn]] void refuse(std::string_view why) {
  fmt::print(stderr,
             "rload: {}\nrload redis|nats|rabbitmq --port PORT [--stream NAME] [--size BYTES] [--connections N] "
             "[--in-flight N]\n"
             "      [--batch N] [--seconds S] [--warmup S] [--server-pid PID]\n",
             why);
  std::exit(2);
}

Settings parse(int argc, char** argv) {
  Settings s;
  if (argc < 2 || argc % 2 != 0) refuse("a rival, then options with values");
  s.rival = argv[1];
  for (int i = 2; i < argc; i += 2) {
    std::string_view name = argv[i];
    const char* value = argv[i + 1];
    auto whole = [&] { return static_cast<std::size_t>(std::strtoull(value, nullptr, 10)); };
    if (name == "--port") {
      s.port = static_cast<std::uint16_t>(whole());
    } else if (name == "--stream") {
      s.stream = value;
    } else if (name == "--size") {
      s.bytes = whole();
    } else if (name == "--connections") {
      s.connections = whole();
    } else if (name == "--in-flight") {
      s.in_flight = whole();
    } else if (name == "--batch") {
      s.batch = whole();
    } else if (name == "--seconds") {
      s.seconds = std::strtod(value, nullptr);
    } else if (name == "--warmup") {
      s.warmup = std::strtod(value, nullptr);
    } else if (name == "--server-pid") {
      s.server_pid = static_cast<int>(whole());
    } else {
      refuse(fmt::format("unknown option '{}'", name));
    }
  }
  if (s.port == 0 || s.connections == 0 || s.in_flight == 0) refuse("port, connections, in-flight must be above 0");
  if (s.batch == 0 || s.batch > s.in_flight) refuse("a batch is of 1 to in-flight messages");
  return s;
}

struct Connection {
  std::unique_ptr<Socket> socket;
  std::string publish;  ///< as it goes out
  std::string out;      ///< not yet taken by the socket
  std::size_t out_sent = 0;
  std::string in;
  std::size_t in_bytes = 0;
  std::deque<double> sent;  ///< of messages without an answer
  bool greeting = false;    ///< a step of hello is without its answer
};

class Publisher {
 public:
  Publisher(const Settings& s, const Peer& peer) : settings_(s), peer_(peer), connections_(s.connections) {
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      Connection& c = connections_[i];
      c.socket = std::make_unique<Socket>(s.host, s.port);
      c.socket->set_nonblocking();
      c.publish = peer.publish(i);
      for (std::string& step : peer.hello(i)) {
        c.out = std::move(step);
        c.greeting = true;
        while (c.greeting) greet(c);
      }
    }
  }

  void run(double seconds) {
    messages_ = 0;
    latencies_.clear();
    double server = cpu_seconds_of(settings_.server_pid);
    double began = now_seconds();
    bool sending = true;
    while (true) {
      sending = sending && now_seconds() - began < seconds;
      std::vector<pollfd> wanted;
      for (Connection& c : connections_) {
        if (sending) fill(c);
        push(c);
        auto events = static_cast<short>(POLLIN | (c.out.size() > c.out_sent ? POLLOUT : 0));
        wanted.push_back({.fd = c.socket->fd(), .events = events, .revents = 0});
      }
      if (!sending && std::ranges::all_of(connections_, [](const Connection& c) { return c.sent.empty(); })) break;
      ::poll(wanted.data(), wanted.size(), 50);
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        if ((wanted[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) receive(connections_[i]);
      }
    }
    seconds_ = now_seconds() - began;
    server_cpu_ = cpu_seconds_of(settings_.server_pid) - server;
  }

  void print() {
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
  void fill(Connection& c) {
    double now = now_seconds();
    for (std::size_t each = peer_.messages_each(); c.sent.size() + each <= settings_.in_flight;) {
      c.sent.insert(c.sent.end(), each, now);
      c.out += c.publish;
    }
  }

  static void push(Connection& c) {
    if (c.out_sent == c.out.size()) return;
    iovec piece{c.out.data() + c.out_sent, c.out.size() - c.out_sent};
    c.out_sent += c.socket->write({&piece, 1});
    if (c.out_sent == c.out.size()) {
      c.out.clear();
      c.out_sent = 0;
    }
  }

  void receive(Connection& c) {
    c.in.resize(c.in_bytes + kReadBytes);
    c.in_bytes += c.socket->read(std::as_writable_bytes(std::span(c.in)).subspan(c.in_bytes));
    std::string_view left(c.in.data(), c.in_bytes);
    double now = now_seconds();
    while (!left.empty()) {
      Peer::Taken taken = peer_.take(left);
      if (taken.bytes == 0) break;
      if (!taken.refusal.empty()) fail(taken.refusal);
      if (taken.answered != 0) answered(c, taken.answered, now);
      left.remove_prefix(taken.bytes);
    }
    c.in.erase(0, c.in_bytes - left.size());
    c.in_bytes = left.size();
  }

  [[noreturn]] void fail(std::string_view why) const {
    fmt::print(stderr, "rload: {} says: {}\n", settings_.rival, why);
    std::exit(1);
  }

  void answered(Connection& c, std::size_t messages, double now) {
    if (c.greeting) {
      c.greeting = false;
      return;
    }
    if (messages > c.sent.size()) fail(fmt::format("{} answers to {} messages", messages, c.sent.size()));
    messages_ += messages;
    auto end = c.sent.begin() + static_cast<std::ptrdiff_t>(messages);
    for (auto sent = c.sent.begin(); sent != end; ++sent) latencies_.push_back(now - *sent);
    c.sent.erase(c.sent.begin(), end);
  }

  void greet(Connection& c) {
    push(c);
    pollfd wanted{.fd = c.socket->fd(), .events = POLLIN, .revents = 0};
    ::poll(&wanted, 1, 50);
    if (wanted.revents != 0) receive(c);
  }

  const Settings& settings_;
  const Peer& peer_;
  std::vector<Connection> connections_;
  std::uint64_t messages_ = 0;
  double seconds_ = 0;
  double server_cpu_ = 0;
  std::vector<double> latencies_;
};

}  // namespace

int main(int argc, char** argv) {
  Settings settings = parse(argc, argv);
  std::unique_ptr<Peer> peer;
  if (settings.rival == "redis") peer = redis_peer(settings.stream, settings.bytes);
  if (settings.rival == "nats") peer = nats_peer(settings.stream, settings.bytes);
  if (settings.rival == "rabbitmq") peer = rabbit_peer(settings.stream, settings.bytes, settings.batch);
  if (!peer) refuse("unknown rival");
  if (settings.batch != peer->messages_each()) refuse("this rival takes messages one by one");
  Publisher publisher(settings, *peer);
  if (settings.warmup > 0) publisher.run(settings.warmup);
  publisher.run(settings.seconds);
  publisher.print();
}
