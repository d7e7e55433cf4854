#pragma once
#include <array>
#include <optional>

#include "runtime/env.h"
#include "server/kafka/buffer_pool.h"

namespace mr::server::kafka {

/// Cuts a byte stream into Kafka frames (int32 size, then the bytes), each in one piece of memory that is lent until
/// the next call: a produce appends straight from it. One coroutine at a time.
/// An idle connection holds kHeadBytes only. One that sends more reads into a window from the shard's pool, which takes
/// several frames with one call, and keeps it for kWindowStay; a large frame has a buffer of its own size.
class FrameReader {
 public:
  FrameReader(Stream& stream, BufferPool& pool, Env& env, std::uint32_t frame_bytes_max)
      : stream_(stream), pool_(pool), env_(env), frame_bytes_max_(frame_bytes_max) {}

  /// The next frame without its size. Empty when the peer closed between frames. `idle`: how long the peer may stay
  /// silent. Errors: too_large and malformed (size beyond the limit or negative: the connection must be closed,
  /// traps.md 1), connection_closed (in the middle of a frame), timed_out, cancelled, resource_exhausted (over the
  /// memory budget for the whole of `idle`, or slower than kSlowBytes a second while others wait for memory).
  Task<Result<std::optional<MutableBytes>>> next(Duration idle);

  /// Whether next() would bring a frame, or its error, without asking the peer.
  bool ready() const;

  std::uint64_t bytes_received() const { return bytes_received_; }

 private:
  static constexpr std::size_t kSizeBytes = 4;
  static constexpr std::size_t kHeadBytes = 2048;
  static constexpr std::size_t kWindowBytes = 64 << 10;
  /// Of larger frames a window would mostly hold a part that has to move.
  static constexpr std::size_t kWindowFrameMax = 16 << 10;
  static constexpr Duration kWindowStay = std::chrono::milliseconds(100);
  /// Bytes beyond a large frame that one read may bring along: saves a call for the next size, costs a small copy.
  static constexpr std::size_t kLookahead = kHeadBytes;
  /// A peer that announces much and sends little holds memory that others may need.
  static constexpr std::size_t kSlowBytes = 64 << 10;
  static constexpr Duration kSlowLook = std::chrono::seconds(1);

  std::byte* memory() { return buffer_ ? buffer_.data() : head_.data(); }
  const std::byte* memory() const { return buffer_ ? buffer_.data() : head_.data(); }
  std::size_t memory_bytes() const { return buffer_ ? buffer_.size() : kHeadBytes; }
  std::size_t have() const { return to_ - from_; }
  /// The size in front of what is there, checked; empty when that is not there yet.
  Result<std::optional<std::size_t>> frame_bytes() const;
  void put_away_lent();
  void move_to(std::byte* place);
  void leave_buffer();
  Task<Result<std::size_t>> wait_for_first(Duration idle);
  Task<Result<void>> make_room(std::size_t bytes, Duration idle);
  Task<Result<void>> receive_rest(std::size_t bytes, Duration idle);

  Stream& stream_;
  BufferPool& pool_;
  Env& env_;
  std::uint32_t frame_bytes_max_;
  std::array<std::byte, kHeadBytes> head_;
  BufferPool::Buffer buffer_;  ///< in place of the head
  bool is_window_ = false;     ///< buffer_ is; otherwise it is for one frame
  TimePoint cramped_{};        ///< when a frame last wanted more room than there was
  std::size_t from_ = 0;       ///< memory()[from_, to_) is received and not lent yet
  std::size_t to_ = 0;
  std::uint64_t bytes_received_ = 0;
};

}  // namespace mr::server::kafka
