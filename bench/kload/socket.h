#pragma once
#include <sys/uio.h>

#include <cstdint>
#include <string>

#include "bench/kload/frames.h"

namespace mr::bench {

/// A TCP connection, without delay; blocking until set_nonblocking(). Failures end the program with a sentence.
class Socket {
 public:
  Socket(const std::string& host, std::uint16_t port);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  void set_nonblocking();
  /// One request and its answer, blocking; the answer begins at the correlation id.
  Bytes call(Bytes request);
  /// Bytes taken; 0 when it would block.
  std::size_t write(std::span<const iovec> pieces);
  std::size_t read(MutableBytes into);

 private:
  int fd_ = -1;
};

/// CPU time that process `pid` has used so far, all threads, also ended ones; 0 when `pid` is 0.
/// The scheduler's own nanoseconds: what /proc/PID/task/*/schedstat adds up to, but exact for running threads too.
double cpu_seconds_of(int pid);
/// Memory of process `pid` that is resident, in MB (1e6); 0 when `pid` is 0.
double rss_mb_of(int pid);
double now_seconds();

}  // namespace mr::bench
