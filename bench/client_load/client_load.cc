// client_load: load by librdkafka as Debian ships it; see bench/README.md. ClientLoad.java does the same with Java.
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "bench/kload/latency.h"
#include "bench/kload/socket.h"

namespace {

using namespace mr::bench;
using Clock = std::chrono::steady_clock;

constexpr auto kLimit = std::chrono::seconds(150);
constexpr auto kLook = std::chrono::milliseconds(200);
constexpr int kKeys = 1'000'000;
constexpr int kFlushMs = 150'000;

/// What a value begins with.
struct Head {
  std::int64_t due_ns;  ///< when it was to be sent
  std::int64_t phase;
};

struct Options {
  std::string bootstrap, topic;
  std::size_t producers = 1, groups = 0, records = 0, warmup = 1, size = 0, key_bytes = 0;
  double rate = 0;  ///< records a second of all producers; 0: as fast as it goes
  int server_pid = 0;
  std::vector<std::pair<std::string, std::string>> client;  ///< settings of producers
};

[[noreturn]] void refuse(std::string_view why) {
  fmt::print(
      stderr,
      "client_load: {}\nclient_load --bootstrap HOST:PORT --topic NAME --records N --size BYTES [--key-bytes N]\n"
      "            [--producers N] [--groups N] [--rate N] [--warmup RECORDS] [--client NAME=VALUE]... "
      "[--server-pid PID]\n",
      why);
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options o;
  if (argc % 2 != 1) refuse("options with values");
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string value = argv[i + 1];
    auto whole = [&] { return static_cast<std::size_t>(std::strtoull(value.c_str(), nullptr, 10)); };
    if (name == "--bootstrap") {
      o.bootstrap = value;
    } else if (name == "--topic") {
      o.topic = value;
    } else if (name == "--records") {
      o.records = whole();
    } else if (name == "--warmup") {
      o.warmup = std::max<std::size_t>(whole(), 1);
    } else if (name == "--size") {
      o.size = whole();
    } else if (name == "--key-bytes") {
      o.key_bytes = whole();
    } else if (name == "--producers") {
      o.producers = whole();
    } else if (name == "--groups") {
      o.groups = whole();
    } else if (name == "--rate") {
      o.rate = std::strtod(value.c_str(), nullptr);
    } else if (name == "--server-pid") {
      o.server_pid = static_cast<int>(whole());
    } else if (auto equals = value.find('='); name == "--client" && equals != std::string::npos) {
      o.client.emplace_back(value.substr(0, equals), value.substr(equals + 1));
    } else {
      refuse(fmt::format("unknown option '{} {}'", name, value));
    }
  }
  if (o.bootstrap.empty() || o.topic.empty() || o.records == 0 || o.producers == 0) {
    refuse("bootstrap, topic, records and a producer are needed");
  }
  o.size = std::max(o.size, sizeof(Head));
  return o;
}

struct Destroy {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
  void operator()(rd_kafka_topic_partition_list_t* list) const { rd_kafka_topic_partition_list_destroy(list); }
};
using Client = std::unique_ptr<rd_kafka_t, Destroy>;
using Message = std::unique_ptr<rd_kafka_message_t, Destroy>;

/// The first failure, which ends everything.
class Failure {
 public:
  void set(std::string why) {
    std::scoped_lock lock(mutex_);
    if (why_.empty()) why_ = std::move(why);
    there_ = true;
  }
  bool there() const { return there_; }
  std::string why() {
    std::scoped_lock lock(mutex_);
    return why_;
  }

 private:
  std::mutex mutex_;
  std::string why_;
  std::atomic<bool> there_ = false;
};

void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    static_cast<Failure*>(opaque)->set(fmt::format("delivery: {}", rd_kafka_err2str(message->err)));
  }
}

Client make(rd_kafka_type_t type, const Options& o, std::vector<std::pair<std::string, std::string>> settings,
            Failure& failure) {
  char why[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  settings.emplace_back("bootstrap.servers", o.bootstrap);
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why, sizeof why) != RD_KAFKA_CONF_OK) refuse(why);
  }
  rd_kafka_conf_set_opaque(conf, &failure);
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  Client client(rd_kafka_new(type, conf, why, sizeof why));
  if (!client) throw std::runtime_error(why);
  return client;
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

/// A consumer group of one member on a thread of its own, with the client's defaults but for where it begins.
class Reader {
 public:
  Reader(const Options& o, std::size_t group, Failure& failure)
      : options_(o),
        failure_(failure),
        client_(make(RD_KAFKA_CONSUMER, o,
                     {{"group.id", fmt::format("{}-{}", o.topic, group)}, {"auto.offset.reset", "earliest"}},
                     failure)) {
    rd_kafka_poll_set_consumer(client_.get());
    std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy> topics(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(topics.get(), o.topic.c_str(), RD_KAFKA_PARTITION_UA);
    if (auto error = rd_kafka_subscribe(client_.get(), topics.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      throw std::runtime_error(rd_kafka_err2str(error));
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { read(stop); });
  }

  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  ~Reader() {
    thread_ = {};
    rd_kafka_consumer_close(client_.get());
  }

  void expect(std::int64_t phase, std::size_t records) {
    std::scoped_lock lock(mutex_);
    phase_ = phase;
    records_ = records;
    seconds_.clear();
    seconds_.reserve(records);
  }

  /// Whether all that were expected came in time.
  bool wait() {
    std::unique_lock lock(mutex_);
    for (auto until = Clock::now() + kLimit; Clock::now() < until;) {  // nobody tells of a failure
      if (all_.wait_for(lock, kLook, [&] { return seconds_.size() >= records_; }) || failure_.there()) return true;
    }
    return false;
  }

  const std::vector<double>& seconds() const { return seconds_; }

 private:
  void read(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const Message message(rd_kafka_consumer_poll(client_.get(), 200));
      if (!message) continue;
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        failure_.set(fmt::format("consumer: {}", rd_kafka_message_errstr(message.get())));
        return;
      }
      if (message->len == options_.size) take(*message);  // others: what the topic was tried with
    }
  }

  void take(const rd_kafka_message_t& message) {
    Head head;
    std::memcpy(&head, message.payload, sizeof head);
    std::scoped_lock lock(mutex_);
    if (head.phase != phase_) return;
    if (seconds_.size() == records_) failure_.set("more records came than were sent");
    seconds_.push_back(static_cast<double>(now_ns() - head.due_ns) / 1e9);
    if (seconds_.size() == records_) all_.notify_all();
  }

  const Options& options_;
  Failure& failure_;
  Client client_;
  std::mutex mutex_;
  std::condition_variable all_;
  std::int64_t phase_ = 0;
  std::size_t records_ = 0;
  std::vector<double> seconds_;  ///< from the intended sending to the receipt
  std::jthread thread_;
};

class Load {
 public:
  explicit Load(const Options& o) : options_(o) {
    for (std::size_t i = 0; i < o.producers; ++i) producers_.push_back(make(RD_KAFKA_PRODUCER, o, o.client, failure_));
    for (std::size_t i = 0; i < o.groups; ++i) readers_.push_back(std::make_unique<Reader>(o, i, failure_));
  }

  /// Sends so many records; returns when all are acknowledged and each group has all. Seconds.
  double phase(std::int64_t number, std::size_t records) {
    for (auto& reader : readers_) reader->expect(number, records);
    const std::int64_t began = now_ns();
    {
      std::vector<std::jthread> threads;
      for (std::size_t p = 0; p < producers_.size(); ++p)
        threads.emplace_back([=, this] { send(p, number, records, began); });
    }
    for (auto& reader : readers_) {
      if (!reader->wait()) failure_.set("a group did not receive all");
    }
    if (failure_.there()) throw std::runtime_error(failure_.why());
    return static_cast<double>(now_ns() - began) / 1e9;
  }

  std::vector<double> arrivals() const {
    std::vector<double> all;
    for (const auto& reader : readers_) all.insert(all.end(), reader->seconds().begin(), reader->seconds().end());
    std::ranges::sort(all);
    return all;
  }

 private:
  void send(std::size_t producer, std::int64_t phase, std::size_t records, std::int64_t began) {
    rd_kafka_t* client = producers_[producer].get();
    std::minstd_rand random(static_cast<unsigned>((static_cast<std::size_t>(phase) * 1000) + producer + 1));
    std::string value(options_.size, 'x');
    for (std::size_t i = producer; i < records && !failure_.there(); i += producers_.size()) {
      Head head{.due_ns = now_ns(), .phase = phase};
      if (options_.rate > 0) head.due_ns = due(client, began, i);
      std::memcpy(value.data(), &head, sizeof head);
      const std::string key =
          options_.key_bytes == 0 ? "" : fmt::format("{:0{}}", random() % kKeys, options_.key_bytes);
      if (!enqueue(client, key, value)) return;
    }
    if (rd_kafka_flush(client, kFlushMs) != RD_KAFKA_RESP_ERR_NO_ERROR) failure_.set("not all was acknowledged");
  }

  /// Waits until record `i` is due. Nanoseconds of now_ns().
  std::int64_t due(rd_kafka_t* client, std::int64_t began, std::size_t i) const {
    const auto at = began + static_cast<std::int64_t>(static_cast<double>(i) * 1e9 / options_.rate);
    if (auto wait = at - now_ns(); wait > 0) {
      rd_kafka_poll(client, 0);
      std::this_thread::sleep_for(std::chrono::nanoseconds(wait));
    }
    return at;
  }

  bool enqueue(rd_kafka_t* client, const std::string& key, std::string& value) {
    for (;;) {
      const auto error =
          rd_kafka_producev(client, RD_KAFKA_V_TOPIC(options_.topic.c_str()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                            RD_KAFKA_V_KEY(key.empty() ? nullptr : key.data(), key.size()),
                            RD_KAFKA_V_VALUE(value.data(), value.size()), RD_KAFKA_V_END);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL || failure_.there()) {
        failure_.set(fmt::format("produce: {}", rd_kafka_err2str(error)));
        return false;
      }
      rd_kafka_poll(client, 10);
    }
  }

  const Options& options_;
  Failure failure_;
  std::vector<Client> producers_;
  std::vector<std::unique_ptr<Reader>> readers_;
};

void measure(const Options& o) {
  Load load(o);
  load.phase(1, o.warmup);
  const double cpu = cpu_seconds_of(o.server_pid);
  const double seconds = load.phase(2, o.records);
  fmt::print(R"({{"messages":{},"bytes":{},"seconds":{:.6f},"server_cpu_s":{:.6f})", o.records,
             o.records * (o.size + o.key_bytes), seconds, cpu_seconds_of(o.server_pid) - cpu);
  if (o.groups > 0) {
    const std::vector<double> all = load.arrivals();
    auto ms = [&](double share) { return percentile(all, share) * 1e3; };
    fmt::print(R"(,"p50_ms":{:.4f},"p90_ms":{:.4f},"p99_ms":{:.4f},"p999_ms":{:.4f})", ms(0.5), ms(0.9), ms(0.99),
               ms(0.999));
  }
  fmt::print("}}\n");
}

}  // namespace

int main(int argc, char** argv) try {
  measure(parse(argc, argv));
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "client_load: {}\n", e.what());
  return 1;
}
