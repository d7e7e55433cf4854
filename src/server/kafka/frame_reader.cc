#include "server/kafka/frame_reader.h"

#include <fmt/format.h>

#include "runtime/wait.h"

namespace mr::server::kafka {

Result<std::optional<std::size_t>> FrameReader::frame_bytes() const {
  if (have() < kSizeBytes) return std::optional<std::size_t>();
  const auto size = load_be<std::int32_t>(memory() + from_);
  if (size < 0) return Error(Errc::malformed, fmt::format("frame size {} is negative", size));
  if (static_cast<std::uint32_t>(size) > frame_bytes_max_)
    return Error(Errc::too_large, fmt::format("frame of {} bytes is over the limit of {}", size, frame_bytes_max_));
  return std::optional(static_cast<std::size_t>(size));
}

bool FrameReader::ready() const {
  const auto frame = frame_bytes();
  return !frame.ok() || (*frame && have() >= kSizeBytes + **frame);
}

/// To the front of `place`, which may be where it is.
void FrameReader::move_to(std::byte* place) {
  const std::size_t bytes = have();
  std::memmove(place, memory() + from_, bytes);
  from_ = 0;
  to_ = bytes;
}

/// What is there has to fit the head.
void FrameReader::leave_buffer() {
  move_to(head_.data());
  buffer_ = {};
  is_window_ = false;
}

/// The frame lent last is gone. A buffer of its own goes back with it; so does the window when memory is scarce.
void FrameReader::put_away_lent() {
  if (buffer_ && have() <= kHeadBytes && (!is_window_ || (have() == 0 && !pool_.roomy()))) leave_buffer();
  if (have() == 0) from_ = to_ = 0;
}

/// Room for `bytes` from from_ on.
Task<Result<void>> FrameReader::make_room(std::size_t bytes, Duration idle) {
  if (memory_bytes() - from_ >= bytes) co_return Result<void>{};
  const TimePoint now = env_.now();
  const bool again = now - std::exchange(cramped_, now) < kWindowStay;
  const bool many = again && !is_window_ && bytes <= kSizeBytes + kWindowFrameMax && pool_.roomy();
  BufferPool::Buffer buffer;
  if (many) buffer = pool_.take(kWindowBytes);
  const bool window = static_cast<bool>(buffer);
  if (!window && memory_bytes() >= bytes) {
    move_to(memory());
    co_return Result<void>{};
  }
  const TimePoint give_up = now + idle;
  while (!buffer) {
    buffer = pool_.take(bytes + kLookahead);
    if (buffer) break;
    // Over the memory budget: not reading is the back pressure the peer feels (design decision 12).
    env_.probe.hit("receive_budget_full");
    if (env_.now() >= give_up) co_return Error(Errc::resource_exhausted, "memory budget for requests is used up");
    MR_CO_TRY_VOID(co_await sleep_until(env_.now() + Millis(5)));
  }
  move_to(buffer.data());
  buffer_ = std::move(buffer);
  is_window_ = window;
  co_return Result<void>{};
}

/// Until a size is there; 0 when the peer closed. Whoever stays silent gives the window back.
Task<Result<std::size_t>> FrameReader::wait_for_first(Duration idle) {
  const TimePoint silent = env_.now() + idle;
  for (;;) {
    const bool may_leave = is_window_ && have() <= kHeadBytes;
    const TimePoint until = may_leave ? std::min(silent, env_.now() + kWindowStay) : silent;
    auto received = co_await stream_.read_some(MutableBytes(memory() + to_, memory_bytes() - to_), until);
    if (!received.ok() && received.code() == Errc::timed_out && until < silent) {
      leave_buffer();
      continue;
    }
    if (received.ok()) {
      to_ += *received;
      bytes_received_ += *received;
    }
    co_return received;
  }
}

/// Until `bytes` are there, for which there is room.
Task<Result<void>> FrameReader::receive_rest(std::size_t bytes, Duration idle) {
  const TimePoint began = env_.now();
  TimePoint heard = began;
  TimePoint look = began + kSlowLook;
  std::uint64_t refused = pool_.refused();
  while (have() < bytes) {
    TimePoint until = std::min(look, heard + idle);
    const std::size_t room = memory_bytes() - to_;
    const std::size_t wanted = buffer_ && !is_window_ ? std::min(room, bytes + kLookahead - have()) : room;
    auto received = co_await stream_.read_some(MutableBytes(memory() + to_, wanted), until);
    if (received.ok()) {
      if (*received == 0) co_return Error(Errc::connection_closed, "peer closed within a frame");
      to_ += *received;
      bytes_received_ += *received;
      heard = until = env_.now();
    } else if (received.code() != Errc::timed_out || until >= heard + idle) {
      co_return received.error();
    }
    if (until < look) continue;
    const auto seconds =
        static_cast<std::size_t>(std::chrono::duration_cast<std::chrono::seconds>(until - began).count());
    if (pool_.refused() != refused && have() < bytes && have() < seconds * kSlowBytes) {
      env_.probe.hit("slow_sender_dropped");
      co_return Error(Errc::resource_exhausted, "a slow request, and others wait for memory");
    }
    refused = pool_.refused();
    look = until + kSlowLook;
  }
  co_return Result<void>{};
}

Task<Result<std::optional<MutableBytes>>> FrameReader::next(Duration idle) {
  using Frame = std::optional<MutableBytes>;
  put_away_lent();
  if (memory_bytes() - from_ < kSizeBytes) move_to(memory());
  MR_CO_TRY(auto frame, frame_bytes());
  while (!frame) {
    MR_CO_TRY(std::size_t n, co_await wait_for_first(idle));
    if (n == 0) {
      if (have() == 0) co_return Frame();
      co_return Error(Errc::connection_closed, "peer closed within a frame");
    }
    MR_CO_TRY(frame, frame_bytes());
  }
  const std::size_t bytes = kSizeBytes + *frame;
  if (have() < bytes) {
    MR_CO_TRY_VOID(co_await make_room(bytes, idle));
    MR_CO_TRY_VOID(co_await receive_rest(bytes, idle));
  }
  MutableBytes lent(memory() + from_ + kSizeBytes, *frame);
  from_ += bytes;
  co_return Frame(lent);
}

}  // namespace mr::server::kafka
