#include "server/kafka/outgoing.h"

namespace mr::server::kafka {

Task<Result<void>> Outgoing::send_file(File& file, std::uint64_t position, std::uint64_t length, TimePoint deadline) {
  Result<void> sent;
  if (!lined_up_.empty()) sent = co_await stream_.write(lined_up_, deadline, true);
  lined_up_.clear();
  if (sent.ok()) sent = co_await stream_.send_file(file, position, length, deadline);
  if (sent.ok()) {
    bytes_ += length;
  } else {
    note_unsent(sent.error());
  }
  co_return sent;
}

Task<Result<std::uint64_t>> Outgoing::flush(TimePoint deadline) {
  Result<void> sent;
  if (!lined_up_.empty()) sent = co_await stream_.write(lined_up_, deadline);
  lined_up_.clear();
  if (!sent.ok()) {
    note_unsent(sent.error());
    co_return sent.error();
  }
  co_return std::exchange(bytes_, 0);
}

void Outgoing::note_unsent(const Error& why) {
  bytes_ = 0;
  unread_ = why.code() == Errc::timed_out;
}

}  // namespace mr::server::kafka
