#include "tests/simulation/link.h"

namespace mr::sim {

namespace {
constexpr std::size_t kFrameBytesMax = 64 << 20;
constexpr Duration kSendLimit = std::chrono::seconds(60);
}  // namespace

Task<Result<std::unique_ptr<Link>>> Link::open(Env& env, Address address, std::string client_id) {
  MR_CO_TRY(auto stream, co_await env.network.connect(address, env.now() + std::chrono::seconds(10)));
  co_return std::make_unique<Link>(env, std::move(stream), std::move(client_id));
}

Task<Result<void>> Link::send_pieces(wire::Writer& writer) {
  std::vector<ByteView> views;
  for (const wire::Piece& piece : writer.pieces()) {
    MR_CHECK(!piece.is_external);
    views.push_back(piece.bytes);
  }
  co_return co_await stream_->write(views, env_.now() + kSendLimit);
}

Task<Result<void>> Link::read_exactly(MutableBytes into, TimePoint deadline) {
  while (!into.empty()) {
    MR_CO_TRY(std::size_t count, co_await stream_->read_some(into, deadline));
    if (count == 0) co_return Error(Errc::connection_closed);
    into = into.subspan(count);
  }
  co_return Result<void>{};
}

Task<Result<std::vector<std::byte>>> Link::read_frame(TimePoint deadline) {
  std::vector<std::byte> frame(wire::kFrameSizeBytes);
  MR_CO_TRY_VOID(co_await read_exactly(frame, deadline));
  MR_CO_TRY(std::size_t bytes, wire::frame_size(frame, kFrameBytesMax));
  frame.resize(bytes);
  MR_CO_TRY_VOID(co_await read_exactly(frame, deadline));
  co_return frame;
}

}  // namespace mr::sim
