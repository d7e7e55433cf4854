#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/units.h"
#include "runtime/executor.h"
#include "runtime/task.h"

/// The seams. Everything the world does to us comes through these interfaces: production ones are in this room
/// (real_*.h), seeded fakes in sim/. No other room reads a clock, draws a random number or opens a file or a socket.
namespace mr {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint mono() const = 0;
  /// Milliseconds since the Unix epoch; may jump in both directions.
  virtual WallMillis wall() const = 0;
};

/// Uniform 64-bit numbers. One shard each.
class Rng {
 public:
  virtual ~Rng() = default;
  virtual std::uint64_t next() = 0;
  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
};

/// Marks a rare path as taken; simulation counts them and fails when a probe never fires. Costs nothing in production.
class Probe {
 public:
  virtual ~Probe() = default;
  virtual void hit(std::string_view name) = 0;
};

/// An open file. Calls block. read_at, write_at on the page cache may be made on a shard (design section 4); sync,
/// truncate and allocate only on the offload pool. Concurrent calls on different ranges are fine; sync may overlap
/// anything. Errors: disk_full, disk_failed (EIO), io_error.
class File {
 public:
  virtual ~File() = default;
  /// Reads up to into.size() bytes; fewer only at the end of the file.
  virtual Result<std::size_t> read_at(MutableBytes into, std::uint64_t position) = 0;
  /// Writes all pieces one after the other from `position`. On an error any prefix may have been written.
  virtual Result<void> write_at(std::span<const ByteView> pieces, std::uint64_t position) = 0;
  Result<void> write_at(ByteView piece, std::uint64_t position) {
    return write_at(std::span<const ByteView>(&piece, 1), position);
  }
  /// fdatasync: on return everything written before the call is on disk, and the size that reaches it. A failure is
  /// final (design section 5 rule 3): never call again on this file.
  virtual Result<void> sync() = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() = 0;
  /// Reserves blocks for [from, to) without changing the size. Best effort.
  virtual Result<void> allocate(std::uint64_t from, std::uint64_t to) = 0;
  /// Asks the kernel to drop what lies wholly within the range from the page cache, so that the next read of it comes
  /// from the device. What is not on the device yet stays, and begins to be written: on the offload pool.
  virtual void drop_cache(std::uint64_t position, std::uint64_t bytes) = 0;
  /// All of it.
  void drop_cache() { drop_cache(0, INT64_MAX); }
  /// For sendfile; -1 in simulation.
  virtual int native_handle() const = 0;
};

enum class OpenMode {
  read,        ///< must exist
  read_write,  ///< must exist
  create,      ///< read and write; made when missing
  create_new,  ///< read and write; already_exists when there
};

struct DirEntry {
  std::string name;
  bool is_directory = false;
};

struct SpaceInfo {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;
};

/// Held until destroyed; the kernel drops it when the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

/// Paths are plain strings with '/'. Calls block: on the offload pool, or at start-up before serving.
/// Errors: not_found, already_exists, permission_denied, disk_full, disk_failed, resource_exhausted (EMFILE), io_error;
/// the detail names the path.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<void> make_directories(const std::string& path) = 0;
  virtual Result<std::vector<DirEntry>> list(const std::string& path) = 0;
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& path) = 0;
  /// A directory and everything in it; missing is fine.
  virtual Result<void> remove_all(const std::string& path) = 0;
  /// Makes creations, renames and removals inside `path` durable.
  virtual Result<void> sync_directory(const std::string& path) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<SpaceInfo> space(const std::string& path) = 0;
  /// Makes and locks `path` for this process. Errors: in_use.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
};

/// Numeric or named host and a port. Port 0 asks for any.
struct Address {
  std::string host;
  std::uint16_t port = 0;

  /// "host:port", "[v6]:port".
  std::string to_string() const;
  /// Errors: invalid_argument with a sentence that says what is wrong.
  static Result<Address> parse(std::string_view text);
  friend bool operator==(const Address&, const Address&) = default;
};

/// A connected byte stream (TCP, later TLS). One reader and one writer coroutine at a time, both on the stream's shard.
/// Waiting calls end with cancelled when their coroutine is cancelled and with timed_out at the deadline; after a
/// failed or cut-short write the stream must be closed. Errors: connection_closed, io_error.
class Stream {
 public:
  virtual ~Stream() = default;
  /// At least one byte, or 0 when the peer has finished sending.
  virtual Task<Result<std::size_t>> read_some(MutableBytes into, TimePoint deadline = kForever) = 0;
  /// All of all pieces, gathered. `pieces` and what they point at stay until it returns. `more`: the caller writes on
  /// at once, so the last bytes may wait for the next ones (MSG_MORE) instead of waking the peer for themselves.
  virtual Task<Result<void>> write(std::span<const ByteView> pieces, TimePoint deadline = kForever,
                                   bool more = false) = 0;
  /// All of [position, position + length) of `file` (sendfile in production on plaintext).
  virtual Task<Result<void>> send_file(File& file, std::uint64_t position, std::uint64_t length,
                                       TimePoint deadline = kForever) = 0;
  /// Ends both directions at once; waiting calls return connection_closed. Idempotent.
  virtual void close() = 0;
  virtual const Address& local() const = 0;
  virtual const Address& remote() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  /// Errors: cancelled, resource_exhausted (out of descriptors: wait a little and call again), io_error.
  virtual Task<Result<std::unique_ptr<Stream>>> accept() = 0;
  /// With the real port.
  virtual const Address& local() const = 0;
  virtual void close() = 0;
};

/// What the kernel holds for a connection, in bytes each way; -1: what it thinks best at the time. It allows what
/// net.core.wmem_max and rmem_max do, and counts its own bookkeeping on top.
struct SocketBuffers {
  std::int32_t send = -1;
  std::int32_t receive = -1;
};

class Network {
 public:
  virtual ~Network() = default;
  /// Several shards may listen on one address (SO_REUSEPORT). Connections accepted there have `buffers`. Errors:
  /// in_use, permission_denied, invalid_argument.
  virtual Result<std::unique_ptr<Listener>> listen(const Address& address, const SocketBuffers& buffers = {}) = 0;
  /// Names are resolved off the shard. Errors: connection_refused, timed_out, not_found (name), cancelled.
  virtual Task<Result<std::unique_ptr<Stream>>> connect(Address address, TimePoint deadline) = 0;
};

/// Who waits for a blocking call.
enum class Urgency : std::uint8_t {
  now,    ///< a client, or somebody it waits for
  later,  ///< nobody: housekeeping. It has threads of its own, which give way on a busy core.
};

/// A few threads for calls that block. Bounded queue; work runs in any order.
class OffloadPool {
 public:
  virtual ~OffloadPool() = default;
  /// Runs `work` on the pool, then `done` on `back`. Any thread.
  virtual void run(Callback work, Executor& back, Callback done, Urgency urgency) = 0;
};

/// One shard's view of the world. Lives as long as the shard.
struct Env {
  ShardId shard;
  Executor& executor;
  Clock& clock;
  Rng& rng;
  FileSystem& files;
  Network& network;
  OffloadPool& pool;
  Probe& probe;

  TimePoint now() const { return executor.now(); }
};

}  // namespace mr
