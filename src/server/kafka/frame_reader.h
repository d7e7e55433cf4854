#pragma once
#include <array>
#include <optional>

#include "runtime/env.h"
#include "server/kafka/buffer_pool.h"

namespace mr::server::kafka {

/// Cuts a byte stream into Kafka frames (int32 size, then the bytes), each in one piece of memory that is lent until
/// the next call: a produce appends straight from it. An idle connection holds kHeadBytes only; larger frames borrow a
/// buffer from the shard's pool. One coroutine at a time.
class FrameReader {
 public:
  FrameReader(Stream& stream, BufferPool& pool, Env& env, std::uint32_t frame_bytes_max)
      : stream_(stream), pool_(pool), env_(env), frame_bytes_max_(frame_bytes_max) {}

  /// The next frame without its size. Empty when the peer closed between frames. `idle`: how long the peer may stay
  /// silent. Errors: too_large and malformed (size beyond the limit or negative: the connection must be closed,
  /// traps.md 1), connection_closed (in the middle of a frame), timed_out, cancelled, resource_exhausted (over the
  /// memory budget for the whole of `idle`, or slower than kSlowBytes a second while others wait for memory).
  Task<Result<std::optional<MutableBytes>>> next(Duration idle);

  std::uint64_t bytes_received() const { return bytes_received_; }

 private:
  static constexpr std::size_t kHeadBytes = 2048;
  /// Bytes beyond the frame that one read may bring along: saves a call for the next size, costs a small copy.
  static constexpr std::size_t kLookahead = kHeadBytes;
  /// A peer that announces much and sends little holds memory that others may need.
  static constexpr std::size_t kSlowBytes = 64 << 10;
  static constexpr Duration kSlowLook = std::chrono::seconds(1);

  Task<Result<std::size_t>> receive(std::byte* into, std::size_t bytes, Duration idle);
  Task<Result<BufferPool::Buffer>> borrow(std::size_t bytes, Duration idle);
  void put_away_lent();
  /// Into lent_, which has `have` bytes of a frame of `bytes`. Brings how many there are then.
  Task<Result<std::size_t>> receive_rest(std::size_t have, std::size_t bytes, Duration idle);

  Stream& stream_;
  BufferPool& pool_;
  Env& env_;
  std::uint32_t frame_bytes_max_;
  std::array<std::byte, kHeadBytes> head_;
  std::size_t head_from_ = 0;  ///< head_[head_from_, head_to_) is received and not lent yet
  std::size_t head_to_ = 0;
  BufferPool::Buffer lent_;  ///< holds the frame lent last when it did not fit head_
  std::size_t lent_extra_from_ = 0;
  std::size_t lent_extra_to_ = 0;
  std::uint64_t bytes_received_ = 0;
};

}  // namespace mr::server::kafka
