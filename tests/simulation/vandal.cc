#include "tests/simulation/vandal.h"

#include "sim/network.h"
#include "wire/api/fetch.h"

namespace mr::sim {

namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
  ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

/// A fetch that would wait for long.
std::vector<std::byte> long_poll(std::int32_t max_wait_ms) {
  wire::fetch::FetchPartition part{
      .partition = PartitionIndex{0}, .fetch_offset = Offset{0}, .partition_max_bytes = 1 << 20};
  wire::fetch::FetchTopic topic{
      .topic = "t0", .topic_id = {}, .partitions = wire::List<wire::fetch::FetchPartition>(&part, 1)};
  wire::fetch::Request request{
      .max_wait_ms = max_wait_ms, .min_bytes = 1 << 20, .topics = wire::List<wire::fetch::FetchTopic>(&topic, 1)};
  wire::Writer writer;
  MR_CHECK(wire::encode_request(writer, request, 11, 1, "vandal").ok());
  ByteView flat = writer.flat();
  return {flat.begin(), flat.end()};
}

}  // namespace

std::vector<std::byte> Vandal::something_bad() {
  Rng& rng = seat_.env.rng;
  std::vector<std::byte> bytes;
  switch (rng.below(8)) {
    case 0:
      bytes.resize(1 + rng.below(2'000));
      for (std::byte& b : bytes) b = std::byte(rng.below(256));
      return bytes;
    case 1:
      return bytes_of("GET / HTTP/1.1\r\nHost: broker\r\n\r\n");
    case 2:
      return bytes_of(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
    case 3:  // a size beyond every limit, and one below zero
      bytes.resize(8);
      store_be<std::int32_t>(bytes.data(), rng.below(2) == 0 ? 0x7fffffff : -5);
      return bytes;
    case 4: {  // a sound size around noise
      bytes.resize(4 + 10 + rng.below(300));
      for (std::byte& b : bytes) b = std::byte(rng.below(256));
      store_be<std::int32_t>(bytes.data(), static_cast<std::int32_t>(bytes.size() - 4));
      store_be<std::int16_t>(bytes.data() + 4, static_cast<std::int16_t>(rng.below(70)));
      store_be<std::int16_t>(bytes.data() + 6, static_cast<std::int16_t>(rng.below(14)));
      return bytes;
    }
    case 5:  // half a request
      bytes = long_poll(100);
      bytes.resize(1 + rng.below(bytes.size() - 1));
      return bytes;
    case 6:  // a size that takes much memory, and little of what was announced
      bytes.resize(4 + 14 + rng.below(2'000));
      store_be<std::int32_t>(bytes.data(), static_cast<std::int32_t>(10'000 + rng.below(100'000)));
      return bytes;
    default:
      return long_poll(static_cast<std::int32_t>(rng.below(60'000)));
  }
}

Task<void> Vandal::knock(Stream& stream) {
  std::vector<std::byte> bytes = something_bad();
  ByteView piece = bytes;
  TimePoint deadline = seat_.env.now() + Millis(seat_.env.rng.below(4) == 0 ? 5'000 : 500);
  (void)co_await stream.write(std::span(&piece, 1), deadline);
  if (seat_.env.rng.below(3) == 0) finish_sending(stream);
  std::array<std::byte, 4096> into;
  while (seat_.env.rng.below(3) != 0) {
    auto count = co_await stream.read_some(into, deadline);
    if (!count.ok() || *count == 0) break;
  }
  seat_.stage.hit("client.vandal");
}

Task<void> Vandal::run() {
  while (!seat_.stage.stop_all) {
    auto stream = co_await seat_.env.network.connect(seat_.stage.bootstrap, seat_.env.now() + std::chrono::seconds(5));
    if (stream.ok()) {
      co_await knock(**stream);
      (*stream)->close();
    }
    if (!co_await pause(seat_, Millis(300))) break;
  }
  ended_ = true;
}

}  // namespace mr::sim
