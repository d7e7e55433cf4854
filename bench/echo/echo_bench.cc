// What the runtime costs over bare system calls: 128-byte echo over loopback, the server in a process of its own on
// core 0, the load on core 1, bare epoll loop (A) and RealHost (B) in turns A B B A. Prints CPU microseconds of the
// server per request and the medians of the paired ratios.
//   echo_bench [CONNECTIONS] [MILLISECONDS A TURN] [ROUNDS]
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "base/check.h"
#include "runtime/real_host.h"

namespace {

constexpr std::size_t kBytes = 128;

void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(core), &set);
  (void)sched_setaffinity(0, sizeof set, &set);
}

double seconds(clockid_t clock) {
  timespec t;
  MR_CHECK(clock_gettime(clock, &t) == 0);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void no_delay(int fd) {
  int on = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// A: level-triggered, recv and send, as limits.md 1.3 has it.
[[noreturn]] void bare_server(int port_pipe) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  MR_CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0 && listen(listener, 1024) == 0);
  MR_CHECK(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  std::uint16_t port = ntohs(address.sin_port);
  MR_CHECK(write(port_pipe, &port, sizeof port) == sizeof port);
  int epoll = epoll_create1(0);
  epoll_event add{.events = EPOLLIN, .data = {.fd = listener}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &add);
  epoll_event events[256];
  char buffer[4096];
  for (;;) {
    int n = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < n; ++i) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
        if (accepted < 0) continue;
        no_delay(accepted);
        epoll_event event{.events = EPOLLIN, .data = {.fd = accepted}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, accepted, &event);
        continue;
      }
      ssize_t got = recv(fd, buffer, sizeof buffer, 0);
      if (got > 0) {
        (void)!send(fd, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL);
      } else if (got == 0) {
        close(fd);
      }
    }
  }
}

mr::Task<void> echo(std::unique_ptr<mr::Stream> stream) {
  std::vector<std::byte> buffer(4096);
  for (;;) {
    auto n = co_await stream->read_some(buffer);
    if (!n.ok() || *n == 0) co_return;
    mr::ByteView piece(buffer.data(), *n);
    if (!(co_await stream->write(std::span<const mr::ByteView>(&piece, 1))).ok()) co_return;
  }
}
mr::Task<int> serve(mr::RealHost& host, int port_pipe) {
  mr::Env& env = host.env({});
  mr::Scope connections(env.executor);
  auto listener = env.network.listen({.host = "127.0.0.1", .port = 0});
  MR_CHECK(listener.ok());
  std::uint16_t port = (*listener)->local().port;
  MR_CHECK(write(port_pipe, &port, sizeof port) == sizeof port);
  for (;;) {
    auto stream = co_await (*listener)->accept();
    if (stream.ok()) connections.spawn("echo", echo(std::move(*stream)));
  }
}
/// B.
[[noreturn]] void host_server(int port_pipe) {
  mr::RealHost host({.shards = 1, .cores = {0}, .pool_threads = 1});
  std::_Exit(host.run([port_pipe](mr::RealHost& h) { return serve(h, port_pipe); }));
}

struct Server {
  pid_t pid;
  std::vector<int> connections;
};

Server start(void (*run)(int), int connections) {
  int ends[2];
  MR_CHECK(pipe(ends) == 0);
  pid_t pid = fork();
  if (pid == 0) {
    if (run == bare_server) pin(0);
    run(ends[1]);
  }
  std::uint16_t port = 0;
  MR_CHECK(read(ends[0], &port, sizeof port) == sizeof port);
  Server server{.pid = pid, .connections = {}};
  for (int i = 0; i < connections; ++i) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    MR_CHECK(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    no_delay(fd);
    server.connections.push_back(fd);
  }
  return server;
}

/// One request in flight per connection for `ms`; CPU microseconds of the server per request.
double turn(const Server& server, int ms) {
  clockid_t cpu;
  MR_CHECK(clock_getcpuclockid(server.pid, &cpu) == 0);
  int epoll = epoll_create1(0);
  char buffer[kBytes] = {};
  double before = seconds(cpu);
  double until = seconds(CLOCK_MONOTONIC) + ms * 1e-3;
  for (int fd : server.connections) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    MR_CHECK(send(fd, buffer, kBytes, 0) == kBytes);
  }
  long done = 0;
  std::size_t in_flight = server.connections.size();
  bool more = true;
  while (in_flight > 0) {
    epoll_event events[256];
    int n = epoll_wait(epoll, events, 256, -1);
    more = more && seconds(CLOCK_MONOTONIC) < until;
    for (int i = 0; i < n; ++i) {
      MR_CHECK(recv(events[i].data.fd, buffer, kBytes, MSG_WAITALL) == kBytes);
      ++done;
      if (more) {
        MR_CHECK(send(events[i].data.fd, buffer, kBytes, 0) == kBytes);
      } else {
        --in_flight;
      }
    }
  }
  close(epoll);
  return (seconds(cpu) - before) * 1e6 / static_cast<double>(done);
}

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v[v.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  int connections = argc > 1 ? std::atoi(argv[1]) : 64;
  int ms = argc > 2 ? std::atoi(argv[2]) : 250;
  int rounds = argc > 3 ? std::atoi(argv[3]) : 12;
  // Before this process is pinned, so that the servers may go where they like.
  Server bare = start(bare_server, connections);
  Server host = start(host_server, connections);
  pin(1);
  std::vector<double> a, b, ratios;
  for (int i = 0; i < rounds; ++i) {
    bool swapped = i % 2 == 1;
    double first = turn(swapped ? host : bare, ms);
    double second = turn(swapped ? bare : host, ms);
    a.push_back(swapped ? second : first);
    b.push_back(swapped ? first : second);
    ratios.push_back(b.back() / a.back());
  }
  for (const Server& server : {bare, host}) {
    kill(server.pid, SIGKILL);
    waitpid(server.pid, nullptr, 0);
  }
  fmt::print(
      "{} connections, CPU us per request: bare epoll best {:.2f} median {:.2f}; RealHost best {:.2f} median {:.2f}; "
      "ratio median {:.3f}\n",
      connections, std::ranges::min(a), median(a), std::ranges::min(b), median(b), median(ratios));
  return 0;
}
