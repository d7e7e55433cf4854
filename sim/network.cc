#include "sim/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <utility>

namespace mr::sim {

namespace {
constexpr std::size_t kBacklogMax = 128;
constexpr std::size_t kPacketBytesMax = 16 << 10;
}  // namespace

struct Fabric::Packet {
  enum class Kind { data, finish, reset, window };
  Kind kind = Kind::data;
  std::vector<std::byte> bytes;
};

/// One end of a connection; touched by its own shard and by the world between items.
struct End {
  Process* process = nullptr;
  ShardExecutor* executor = nullptr;
  Address address;
  std::vector<std::byte> received;  ///< from received_head on
  std::size_t received_head = 0;
  std::size_t on_the_way = 0;  ///< bytes sent to this end that have not arrived
  TimePoint last_arrival{};
  bool finished = false;  ///< the peer will send no more
  bool sent_end = false;  ///< we will send no more
  bool broken = false;    ///< reset
  bool closed = false;    ///< by us
  Event readable;
  Event writable;

  std::size_t unread() const { return received.size() - received_head; }
  bool dead() const { return broken || closed; }
  void break_now(bool keep_received) {
    broken = true;
    if (!keep_received) {
      received.clear();
      received_head = 0;
    }
    readable.notify_all();
    writable.notify_all();
  }
};

struct Connection {
  std::array<End, 2> ends;
  std::array<std::deque<Fabric::Packet>, 2> held;  ///< by a partition, for each end
  /// Whether what arrived before a reset may still be read; both are seen in the wild.
  bool reset_keeps_received = false;
};

struct ListenerState {
  Process* process = nullptr;
  ShardExecutor* executor = nullptr;
  Address address;
  std::deque<std::unique_ptr<Stream>> backlog;
  bool closed = false;
  Event arrived;
};

class SimStream final : public Stream {
 public:
  SimStream(Fabric& fabric, std::shared_ptr<Connection> connection, int side)
      : fabric_(fabric), connection_(std::move(connection)), side_(side) {}
  ~SimStream() override { close(); }

  Task<Result<std::size_t>> read_some(MutableBytes into, TimePoint deadline) override {
    MR_CHECK(!into.empty());
    std::shared_ptr<Connection> keep = connection_;
    End& me = keep->ends[side_];
    while (true) {
      if (me.closed) co_return Error(Errc::connection_closed);
      if (me.unread() > 0) co_return take(me, into);
      if (me.broken) co_return Error(Errc::connection_closed, "reset by peer");
      if (me.finished) co_return std::size_t{0};
      MR_CO_TRY_VOID(co_await me.readable.wait(deadline));
    }
  }

  Task<Result<void>> write(std::span<const ByteView> pieces, TimePoint deadline, bool) override {
    std::shared_ptr<Connection> keep = connection_;
    for (ByteView piece : pieces) {
      while (!piece.empty()) {
        End& me = keep->ends[side_];
        if (me.dead() || me.sent_end) co_return Error(Errc::connection_closed);
        std::size_t room = send_room();
        if (room == 0) {
          MR_CO_TRY_VOID(co_await me.writable.wait(deadline));
          continue;
        }
        std::size_t count = std::min({room, piece.size(), some_size()});
        send_data(piece.first(count));
        piece = piece.subspan(count);
      }
    }
    co_return Result<void>{};
  }

  Task<Result<void>> send_file(File& file, std::uint64_t position, std::uint64_t length, TimePoint deadline) override {
    std::vector<std::byte> buffer;
    while (length > 0) {
      buffer.resize(std::min<std::uint64_t>(length, kPacketBytesMax));
      MR_CO_TRY(std::size_t count, file.read_at(buffer, position));
      if (count == 0) co_return Error(Errc::io_error, "file ended inside send_file");
      ByteView piece = ByteView(buffer).first(count);
      MR_CO_TRY_VOID(co_await write(std::span(&piece, 1), deadline, false));
      position += count;
      length -= count;
    }
    co_return Result<void>{};
  }

  void close() override {
    End& me = connection_->ends[side_];
    if (me.closed) return;
    me.closed = true;
    if (!me.broken) {
      // As TCP: closing over unread bytes tells the peer by a reset, else by an orderly end.
      using Kind = Fabric::Packet::Kind;
      if (me.unread() > 0 || !me.sent_end) {
        fabric_.send(connection_, 1 - side_, {.kind = me.unread() > 0 ? Kind::reset : Kind::finish, .bytes = {}});
      }
    }
    me.sent_end = true;
    me.readable.notify_all();
    me.writable.notify_all();
  }

  void finish_sending() {
    End& me = connection_->ends[side_];
    if (me.sent_end || me.dead()) return;
    me.sent_end = true;
    fabric_.send(connection_, 1 - side_, {.kind = Fabric::Packet::Kind::finish, .bytes = {}});
  }

  const Address& local() const override { return connection_->ends[side_].address; }
  const Address& remote() const override { return connection_->ends[1 - side_].address; }

 private:
  Random& rng() { return fabric_.world_.rng(); }

  std::size_t take(End& me, MutableBytes into) {
    std::size_t count = std::min(me.unread(), into.size());
    switch (rng().below(8)) {
      case 0:
        count = 1;
        break;
      case 1:
      case 2:
        count = rng().between(1, count);
        break;
      default:
        break;
    }
    std::memcpy(into.data(), me.received.data() + me.received_head, count);
    me.received_head += count;
    if (me.received_head == me.received.size()) {
      me.received.clear();
      me.received_head = 0;
    }
    if (!me.broken) fabric_.send(connection_, 1 - side_, {.kind = Fabric::Packet::Kind::window, .bytes = {}});
    return count;
  }

  std::size_t send_room() const {
    const End& peer = connection_->ends[1 - side_];
    std::size_t used = peer.on_the_way + peer.unread();
    return used < fabric_.buffer_bytes ? fabric_.buffer_bytes - used : 0;
  }

  std::size_t some_size() {
    if (rng().one_in(8)) return rng().between(1, 64);
    return rng().between(1, kPacketBytesMax);
  }

  void send_data(ByteView bytes) {
    connection_->ends[1 - side_].on_the_way += bytes.size();
    if (rng().one_in(fabric_.reset_one_in)) {
      ++fabric_.resets_;
      fabric_.send(connection_, 1 - side_, {.kind = Fabric::Packet::Kind::reset, .bytes = {}});
      fabric_.send(connection_, side_, {.kind = Fabric::Packet::Kind::reset, .bytes = {}});
      return;
    }
    std::vector<std::byte> copy(bytes.begin(), bytes.end());
    fabric_.send(connection_, 1 - side_, {.kind = Fabric::Packet::Kind::data, .bytes = std::move(copy)});
  }

  Fabric& fabric_;
  std::shared_ptr<Connection> connection_;
  int side_;
};

void finish_sending(Stream& stream) { static_cast<SimStream&>(stream).finish_sending(); }

class SimListener final : public Listener {
 public:
  SimListener(Fabric& fabric, std::shared_ptr<ListenerState> state) : fabric_(fabric), state_(std::move(state)) {}
  ~SimListener() override { close(); }

  Task<Result<std::unique_ptr<Stream>>> accept() override {
    std::shared_ptr<ListenerState> state = state_;
    while (state->backlog.empty()) {
      if (state->closed) co_return Error(Errc::cancelled);
      MR_CO_TRY_VOID(co_await state->arrived.wait());
    }
    if (state->closed) co_return Error(Errc::cancelled);
    auto failures = fabric_.accept_failures_.find(state->process->host().name());
    if (failures != fabric_.accept_failures_.end() && failures->second > 0) {
      --failures->second;
      co_return Error(Errc::resource_exhausted, "too many open files");
    }
    std::unique_ptr<Stream> stream = std::move(state->backlog.front());
    state->backlog.pop_front();
    co_return std::move(stream);
  }

  const Address& local() const override { return state_->address; }

  void close() override {
    if (state_->closed) return;
    state_->closed = true;
    state_->backlog.clear();  // closes them
    state_->arrived.notify_all();
    for (auto& [at, group] : fabric_.listeners_) std::erase(group, state_);
  }

 private:
  Fabric& fabric_;
  std::shared_ptr<ListenerState> state_;
};

// Fabric

Fabric::Fabric(World& world) : world_(world) {}
Fabric::~Fabric() = default;

bool Fabric::blocked(const Host& a, const Host& b) const {
  return partitions_.contains({a.name(), b.name()}) || partitions_.contains({b.name(), a.name()});
}

Duration Fabric::latency() { return latency_min + world_.random_delay(latency_max - latency_min); }

void Fabric::partition(const Host& a, const Host& b) { partitions_.insert({a.name(), b.name()}); }

void Fabric::heal() {
  partitions_.clear();
  release_held();
}

void Fabric::release_held() {
  for (auto& weak : connections_) {
    std::shared_ptr<Connection> connection = weak.lock();
    if (!connection) continue;
    for (int to = 0; to < 2; ++to) {
      // At once: what is on its way now was sent later and must stay behind.
      for (Packet& packet : std::exchange(connection->held[to], {})) arrive(connection, to, std::move(packet));
    }
  }
}

void Fabric::send(std::shared_ptr<Connection> connection, int to, Packet packet) {
  End& end = connection->ends[to];
  end.last_arrival = std::max(end.last_arrival + Duration(1), world_.now() + latency());
  TimePoint when = end.last_arrival;
  world_.at(when, [this, connection = std::move(connection), to, packet = std::move(packet)]() mutable {
    arrive(std::move(connection), to, std::move(packet));
  });
}

void Fabric::arrive(std::shared_ptr<Connection> connection, int to, Packet packet) {
  End& end = connection->ends[to];
  if (blocked(end.process->host(), connection->ends[1 - to].process->host()) || !connection->held[to].empty()) {
    connection->held[to].push_back(std::move(packet));
    return;
  }
  world_.trace(0x6e00 + static_cast<std::uint64_t>(packet.kind) + packet.bytes.size() * 16);
  if (end.broken) return;
  switch (packet.kind) {
    case Packet::Kind::data:
      end.on_the_way -= std::min(end.on_the_way, packet.bytes.size());
      if (end.closed) {  // nobody will read this: the sender hears of it
        send(connection, 1 - to, {.kind = Packet::Kind::reset, .bytes = {}});
        return;
      }
      bytes_delivered_ += packet.bytes.size();
      end.received.insert(end.received.end(), packet.bytes.begin(), packet.bytes.end());
      end.readable.notify_all();
      break;
    case Packet::Kind::finish:
      end.finished = true;
      end.readable.notify_all();
      break;
    case Packet::Kind::reset:
      end.break_now(connection->reset_keeps_received);
      break;
    case Packet::Kind::window:
      end.writable.notify_all();
      break;
  }
}

std::size_t Fabric::reset_connections(const Host& host) {
  std::size_t count = 0;
  std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
  for (auto& weak : connections_) {
    std::shared_ptr<Connection> connection = weak.lock();
    if (!connection || connection->ends[0].dead() || connection->ends[1].dead()) continue;
    if (&connection->ends[0].process->host() != &host && &connection->ends[1].process->host() != &host) continue;
    ++count;
    ++resets_;
    send(connection, 0, {.kind = Packet::Kind::reset, .bytes = {}});
    send(connection, 1, {.kind = Packet::Kind::reset, .bytes = {}});
  }
  return count;
}

void Fabric::fail_accepts(const Host& host, std::uint64_t count) { accept_failures_[host.name()] = count; }

std::size_t Fabric::open_connections() const {
  std::size_t count = 0;
  for (const auto& weak : connections_) {
    std::shared_ptr<Connection> connection = weak.lock();
    if (connection && !connection->ends[0].dead() && !connection->ends[1].dead()) ++count;
  }
  return count;
}

void Fabric::process_died(Process& process) {
  for (auto& [at, group] : listeners_) {
    std::erase_if(group, [&](const auto& state) { return state->process == &process; });
  }
  for (auto& weak : connections_) {
    std::shared_ptr<Connection> connection = weak.lock();
    if (!connection) continue;
    for (int side = 0; side < 2; ++side) {
      End& end = connection->ends[side];
      if (end.process != &process || end.dead()) continue;
      end.break_now(false);
      send(connection, 1 - side, {.kind = Packet::Kind::reset, .bytes = {}});
    }
  }
}

std::string Fabric::describe() const {
  std::string text;
  for (const auto& [at, group] : listeners_) {
    for (const auto& state : group) {
      text += fmt::format("listener {}:{} shard {}: backlog {}{}\n", at.first->name(), at.second,
                          state->executor->shard().v, state->backlog.size(),
                          state->arrived.has_waiters() ? ", accept waits" : "");
    }
  }
  for (const auto& weak : connections_) {
    std::shared_ptr<Connection> connection = weak.lock();
    if (!connection) continue;
    for (const End& end : connection->ends) {
      text += fmt::format("end {} of {}: unread {} on the way {}{}{}{}{}\n", end.address.to_string(),
                          end.process->host().name(), end.unread(), end.on_the_way,
                          end.readable.has_waiters() ? ", read waits" : "",
                          end.writable.has_waiters() ? ", write waits" : "", end.broken ? ", broken" : "",
                          end.closed ? ", closed" : "");
    }
  }
  return text;
}

// SimNetwork

Result<std::unique_ptr<Listener>> SimNetwork::listen(const Address& address, const SocketBuffers&) {
  Host& host = process_.host();
  if (!process_.alive()) return Error(Errc::io_error, "ghost");
  bool ours = address.host.empty() || address.host == "0.0.0.0" || address.host == "::" ||
              address.host == "127.0.0.1" || address.host == "localhost" ||
              fabric_.world_.find_host(address.host) == &host;
  if (!ours) return Error(Errc::invalid_argument, address.host + " is not an address of " + host.name());
  auto state = std::make_shared<ListenerState>();
  state->process = &process_;
  state->executor = &executor_;
  state->address = address;
  if (address.port == 0) state->address.port = fabric_.port_next_++;
  auto& group = fabric_.listeners_[{&host, state->address.port}];
  for (const auto& other : group) {
    if (other->process != &process_) return Error(Errc::in_use, state->address.to_string());
  }
  group.push_back(state);
  return std::make_unique<SimListener>(fabric_, std::move(state));
}

Task<Result<std::unique_ptr<Stream>>> SimNetwork::connect(Address address, TimePoint deadline) {
  World& world = fabric_.world_;
  Host& from = process_.host();
  if (address.port == 0) co_return Error(Errc::invalid_argument, "port 0");
  bool local = address.host == "127.0.0.1" || address.host == "localhost";
  Host* to = local ? &from : world.find_host(address.host);
  if (to == nullptr) co_return Error(Errc::not_found, address.host);
  deadline = std::min(deadline, executor_.now() + std::chrono::seconds(120));
  while (true) {
    TimePoint next = executor_.now() + fabric_.latency() + fabric_.latency();
    MR_CO_TRY_VOID(co_await sleep_until(std::min(next, deadline)));
    if (!process_.alive()) co_return Error(Errc::connection_refused, "ghost");
    if (executor_.now() >= deadline) co_return Error(Errc::timed_out, address.to_string());
    if (!fabric_.blocked(from, *to)) break;
    MR_CO_TRY_VOID(co_await sleep_until(std::min(executor_.now() + Millis(20), deadline)));
  }
  auto& group = fabric_.listeners_[{to, address.port}];
  if (group.empty()) co_return Error(Errc::connection_refused, address.to_string());
  std::shared_ptr<ListenerState> listener = group[world.rng().below(group.size())];
  if (listener->backlog.size() >= kBacklogMax) co_return Error(Errc::connection_refused, "backlog full");

  auto connection = std::make_shared<Connection>();
  connection->reset_keeps_received = world.rng().one_in(2);
  End& client = connection->ends[0];
  client.process = &process_;
  client.executor = &executor_;
  client.address = {.host = local ? "127.0.0.1" : from.address(), .port = fabric_.port_next_++};
  End& server = connection->ends[1];
  server.process = listener->process;
  server.executor = listener->executor;
  server.address = {.host = local ? "127.0.0.1" : to->address(), .port = address.port};
  if (fabric_.connections_.size() > 64) {
    std::erase_if(fabric_.connections_, [](const auto& weak) { return weak.expired(); });
  }
  fabric_.connections_.push_back(connection);
  // The far shard hears of it between two of its items, never inside ours.
  auto stream = std::make_unique<SimStream>(fabric_, connection, 1);
  world.after(fabric_.latency_min, [listener, stream = std::move(stream)]() mutable {
    if (listener->closed) return;  // the stream closes, the client hears of it
    listener->backlog.push_back(std::move(stream));
    listener->arrived.notify_all();
  });
  co_return std::make_unique<SimStream>(fabric_, std::move(connection), 0);
}

}  // namespace mr::sim
