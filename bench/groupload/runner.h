#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "bench/groupload/options.h"
#include "bench/kload/wire.h"

namespace mr::bench {

/// A kind of operation, done again and again by actors: each does one at a time.
class Work {
 public:
  virtual ~Work() = default;
  virtual std::size_t actors() const = 0;
  /// Operations that may be under way at once.
  virtual std::size_t at_once() const { return actors(); }
  /// Queues the operation's first requests; their tags' low 32 bits are `actor`.
  virtual void begin(std::size_t actor) = 0;
  /// True: the operation is over.
  virtual bool answered(std::size_t actor, std::uint32_t part, ByteView answer) = 0;

  std::uint64_t errors = 0;
  std::int16_t first_error = 0;

 protected:
  void note(std::int16_t error) {
    if (error != 0 && errors++ == 0) first_error = error;
  }
};

constexpr std::uint64_t tag_of(std::size_t actor, std::uint32_t part = 0) { return actor | std::uint64_t{part} << 32; }

struct RunLimits {
  double seconds = 0;
  std::uint64_t count = 0;  ///< 0: by time
  double rate = 0;          ///< 0: closed window
  std::size_t window = 1;
};
struct RunFigures {
  std::uint64_t operations = 0;
  std::uint64_t requests = 0;
  double seconds = 0;
  double server_cpu_seconds = 0;
  double own_cpu_seconds = 0;
  std::vector<double> latencies;  ///< seconds, of operations; in the open loop from the intended time
};

/// The connections of this program and the loop that keeps a work going on them.
class Runner {
 public:
  explicit Runner(const GroupOptions& options);

  std::size_t connections() const { return wire_.connections(); }
  void send(std::size_t connection, ByteView frame, std::uint64_t tag);
  /// Ends when the last operation is over.
  RunFigures run(Work& work, const RunLimits& limits);

  using Each = std::function<void(std::uint64_t tag, ByteView answer)>;
  /// Writes what is queued, waits up to `seconds` and gives every answer to `each`.
  void poll(double seconds, const Each& each);
  double server_cpu() const { return cpu_seconds_of(server_pid_); }

 private:
  void flush();

  Wire wire_;
  std::vector<std::size_t> dirty_;  ///< connections with something new
  const Each* each_ = nullptr;
  double last_answer_ = 0;
  int server_pid_;
};

}  // namespace mr::bench
