#include "server/kafka/frame_reader.h"

#include <fmt/format.h>

#include "runtime/wait.h"

namespace mr::server::kafka {

Task<Result<std::size_t>> FrameReader::receive(std::byte* into, std::size_t bytes, Duration idle) {
  auto received = co_await stream_.read_some(MutableBytes(into, bytes), env_.now() + idle);
  if (received.ok()) bytes_received_ += *received;
  co_return received;
}

Task<Result<BufferPool::Buffer>> FrameReader::borrow(std::size_t bytes, Duration idle) {
  TimePoint give_up = env_.now() + idle;
  for (;;) {
    BufferPool::Buffer buffer = pool_.take(bytes);
    if (buffer) co_return std::move(buffer);
    // Over the memory budget: not reading is the back pressure the peer feels (design decision 12).
    env_.probe.hit("receive_budget_full");
    if (env_.now() >= give_up) co_return Error(Errc::resource_exhausted, "memory budget for requests is used up");
    MR_CO_TRY_VOID(co_await sleep_until(env_.now() + Millis(5)));
  }
}

Task<Result<std::size_t>> FrameReader::receive_rest(std::size_t have, std::size_t bytes, Duration idle) {
  const TimePoint began = env_.now();
  TimePoint heard = began;
  TimePoint look = began + kSlowLook;
  std::uint64_t refused = pool_.refused();
  while (have < bytes) {
    TimePoint until = std::min(look, heard + idle);
    auto received = co_await stream_.read_some(MutableBytes(lent_.data() + have, bytes + kLookahead - have), until);
    if (received.ok()) {
      if (*received == 0) co_return Error(Errc::connection_closed, "peer closed within a frame");
      have += *received;
      bytes_received_ += *received;
      heard = until = env_.now();
    } else if (received.code() != Errc::timed_out || until >= heard + idle) {
      co_return received.error();
    }
    if (until < look) continue;
    const auto seconds =
        static_cast<std::size_t>(std::chrono::duration_cast<std::chrono::seconds>(until - began).count());
    if (pool_.refused() != refused && have < bytes && have < seconds * kSlowBytes) {
      env_.probe.hit("slow_sender_dropped");
      co_return Error(Errc::resource_exhausted, "a slow request, and others wait for memory");
    }
    refused = pool_.refused();
    look = until + kSlowLook;
  }
  co_return have;
}

/// What the last read brought beyond the lent frame moves to the head; the buffer goes back.
void FrameReader::put_away_lent() {
  if (!lent_) return;
  std::size_t extra = lent_extra_to_ - lent_extra_from_;
  MR_CHECK(extra <= kHeadBytes && head_from_ == head_to_);
  std::memcpy(head_.data(), lent_.data() + lent_extra_from_, extra);
  head_from_ = 0;
  head_to_ = extra;
  lent_ = {};
}

Task<Result<std::optional<MutableBytes>>> FrameReader::next(Duration idle) {
  using Frame = std::optional<MutableBytes>;
  put_away_lent();
  // Make room for at least a size field at the end of the head.
  if (head_from_ == head_to_) head_from_ = head_to_ = 0;
  if (kHeadBytes - head_from_ < 4) {
    std::memmove(head_.data(), head_.data() + head_from_, head_to_ - head_from_);
    head_to_ -= head_from_;
    head_from_ = 0;
  }
  while (head_to_ - head_from_ < 4) {
    MR_CO_TRY(std::size_t n, co_await receive(head_.data() + head_to_, kHeadBytes - head_to_, idle));
    if (n == 0) {
      if (head_from_ == head_to_) co_return Frame();
      co_return Error(Errc::connection_closed, "peer closed within a frame");
    }
    head_to_ += n;
  }
  auto size = load_be<std::int32_t>(head_.data() + head_from_);
  if (size < 0) co_return Error(Errc::malformed, fmt::format("frame size {} is negative", size));
  if (static_cast<std::uint32_t>(size) > frame_bytes_max_)
    co_return Error(Errc::too_large, fmt::format("frame of {} bytes is over the limit of {}", size, frame_bytes_max_));
  std::size_t frame_bytes = static_cast<std::size_t>(size);
  std::size_t have = head_to_ - head_from_ - 4;
  if (have >= frame_bytes) {
    MutableBytes frame(head_.data() + head_from_ + 4, frame_bytes);
    head_from_ += 4 + frame_bytes;
    co_return Frame(frame);
  }
  MR_CO_TRY(lent_, co_await borrow(frame_bytes + kLookahead, idle));
  std::memcpy(lent_.data(), head_.data() + head_from_ + 4, have);
  head_from_ = head_to_ = 0;
  lent_extra_from_ = lent_extra_to_ = 0;  // should the rest not come
  MR_CO_TRY(have, co_await receive_rest(have, frame_bytes, idle));
  lent_extra_from_ = frame_bytes;
  lent_extra_to_ = have;
  co_return Frame(MutableBytes(lent_.data(), frame_bytes));
}

}  // namespace mr::server::kafka
