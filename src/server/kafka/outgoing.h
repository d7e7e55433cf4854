#pragma once
#include <vector>

#include "runtime/env.h"

namespace mr::server::kafka {

/// The answers of one connection on their way out: bytes from memory are lined up until flush(), or until a range of a
/// file goes out behind them. After a failed call nothing is lined up any more, and nothing of it counts as sent; the
/// stream must be closed. One coroutine at a time.
class Outgoing {
 public:
  explicit Outgoing(Stream& stream) : stream_(stream) {}

  /// Lines `piece` up; it stays until flush().
  void add(ByteView piece) {
    lined_up_.push_back(piece);
    bytes_ += piece.size();
  }
  /// Sends what is lined up, and the range behind it.
  Task<Result<void>> send_file(File& file, std::uint64_t position, std::uint64_t length, TimePoint deadline);
  /// Sends what is lined up. Brings how many bytes have left since the flush before, those of files included.
  Task<Result<std::uint64_t>> flush(TimePoint deadline);
  /// The peer did not take something in time.
  bool unread() const { return unread_; }

 private:
  void note_unsent(const Error& why);

  Stream& stream_;
  std::vector<ByteView> lined_up_;
  std::uint64_t bytes_ = 0;  ///< lined up or sent since the last flush
  bool unread_ = false;
};

}  // namespace mr::server::kafka
