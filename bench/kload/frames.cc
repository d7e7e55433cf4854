#include "bench/kload/frames.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>

#include "model/batch_builder.h"

namespace mr::bench {
namespace {

std::uint64_t next(std::uint64_t& state) { return state = state * 6364136223846793005 + 1442695040888963407; }

/// Sixteen letters: codecs find something to do.
void fill_letters(MutableBytes value, std::uint64_t& state) {
  for (std::byte& b : value) b = static_cast<std::byte>('a' + (next(state) >> 60));
}

/// What programs send: the same names again and again, numbers between them.
void fill_text(MutableBytes value, std::uint64_t& state) {
  static constexpr std::array<std::string_view, 8> kWords = {R"({"user":")",
                                                             R"(","event":"page_view","at":)",
                                                             R"(,"session":")",
                                                             R"(","country":"DE","price":)",
                                                             R"(,"items":[)",
                                                             R"(],"agent":"Mozilla/5.0 X11; Linux x86_64","id":)",
                                                             R"(,"ok":true,"path":"/shop/cart/)",
                                                             R"("},)"};
  for (std::size_t at = 0; at < value.size();) {
    std::string piece = std::string(kWords[next(state) >> 61]) + std::to_string(next(state) >> 40);
    std::size_t n = std::min(piece.size(), value.size() - at);
    std::ranges::copy(as_bytes(piece).first(n), value.begin() + static_cast<std::ptrdiff_t>(at));
    at += n;
  }
}

}  // namespace

Bytes build_batch(const Options& options) {
  BatchBuilder builder({.codec = options.codec});
  Bytes value(options.record_bytes);
  Bytes key(options.key_bytes);
  // Of now: a broker with retention throws away what is a week old.
  auto now = static_cast<std::int64_t>(std::time(nullptr)) * 1000;
  std::uint64_t state = 0x9e3779b97f4a7c15;
  for (std::uint32_t i = 0; i < options.records; ++i) {
    options.text ? fill_text(value, state) : fill_letters(value, state);
    fill_letters(key, state);
    auto keyed = key.empty() ? std::nullopt : std::optional<ByteView>(key);
    builder.add({.timestamp = now + i, .key = keyed, .value = value, .headers = {}});
  }
  auto batch = builder.build();
  MR_CHECK(batch.ok());
  return std::move(*batch);
}

ProduceFrame produce_frame(const Options& options, std::int32_t partition, const Bytes& batch) {
  ProduceFrame frame;
  frame.batch_bytes = batch.size() * static_cast<std::size_t>(options.spread);
  FrameWriter w(0, 9, true);
  w.varint(0).put(options.acks).put<std::int32_t>(30'000);
  w.varint(2).compact_text(options.topic).items(static_cast<std::size_t>(options.spread)).put(partition);
  w.varint(static_cast<std::uint32_t>(batch.size()) + 1);
  FrameWriter more;
  more.raw(batch).no_tags();
  for (std::int32_t k = 1; k < options.spread; ++k) {
    more.put(partition + k * (options.partitions / options.spread)).compact_bytes(batch).no_tags();
  }
  frame.body = more.no_tags().no_tags().bytes();  // of topic and request
  frame.head = w.frame(frame.body.size());
  return frame;
}

Bytes fetch_frame(const Options& options, std::int32_t partition) {
  FrameWriter w(1, 12, true);
  w.put<std::int32_t>(-1).put(options.wait_ms).put(options.min_bytes).put(options.fetch_bytes).put<std::int8_t>(0);
  w.put<std::int32_t>(0).put<std::int32_t>(-1);  // no session
  w.varint(2).compact_text(options.topic).varint(2).put(partition).put<std::int32_t>(-1);
  w.put<std::int64_t>(0);  // offset, set per request
  w.put<std::int32_t>(-1).put<std::int64_t>(-1).put(options.fetch_bytes);
  w.varint(0).varint(0).varint(1).varint(1).varint(0);  // tags, tags, nothing forgotten, no rack, tags
  return w.frame();
}

void set_fetch_offset(Bytes& frame, std::int64_t offset) {
  constexpr std::size_t kAfterOffset = 8 + 4 + 8 + 4 + 5;
  store_be(frame.data() + frame.size() - kAfterOffset, offset);
}

Bytes create_frame(const Options& options) {
  FrameWriter w(19, 4, false);
  w.put<std::int32_t>(1).text(options.topic).put(options.partitions).put<std::int16_t>(1).put<std::int32_t>(0);
  w.put(static_cast<std::int32_t>(options.configs.size()));
  for (const auto& [name, value] : options.configs) w.text(name).text(value);
  w.put<std::int32_t>(30'000).put<std::int8_t>(0);
  return w.frame();
}

Bytes delete_frame(const Options& options) {
  FrameWriter w(20, 3, false);
  w.put<std::int32_t>(1).text(options.topic).put<std::int32_t>(30'000);
  return w.frame();
}

Bytes metadata_frame(const Options& options) {
  FrameWriter w(3, 1, false);
  w.put<std::int32_t>(1).text(options.topic);
  return w.frame();
}

Bytes list_offsets_frame(const Options& options, std::int32_t partition, std::int64_t timestamp) {
  FrameWriter w(2, 2, false);
  w.put<std::int32_t>(-1).put<std::int8_t>(0).put<std::int32_t>(1).text(options.topic).put<std::int32_t>(1);
  w.put(partition).put(timestamp);
  return w.frame();
}

Bytes api_versions_frame() { return FrameWriter(18, 0, false).frame(); }

std::int16_t produce_error(ByteView body) {
  Cursor c(body);
  c.skip(4);
  c.tags();
  c.varint();
  c.compact_text();
  for (std::uint32_t partitions = c.varint(); partitions > 1; --partitions) {
    c.skip(4);
    if (auto error = c.take<std::int16_t>(); error != 0) return error;
    c.skip(3 * 8);
    c.varint();  // no record has an error
    c.compact_text();
    c.tags();
  }
  return 0;
}

Fetched read_fetch(ByteView body) {
  Cursor c(body);
  Fetched out;
  c.skip(4);
  c.tags();
  c.skip(4);
  out.error = c.take<std::int16_t>();
  c.skip(4);
  if (c.varint() < 2) return out;  // no topic: error above, or an empty answer
  c.compact_text();
  c.varint();
  c.skip(4);
  if (auto error = c.take<std::int16_t>(); error != 0) out.error = error;
  out.high_watermark = c.take<std::int64_t>();
  c.skip(16);
  if (std::uint32_t aborted = c.varint(); aborted > 1) c.skip((aborted - 1) * 17);
  c.skip(4);
  std::uint32_t size = c.varint();
  if (size < 2) return out;
  for (ByteView records = c.skip(size - 1); records.size() >= BatchHeader::kBytes;) {
    auto length = BatchHeader::kLengthPrefix + load_be<std::uint32_t>(records.data() + BatchHeader::kLengthAt);
    if (length > records.size()) break;
    out.next_offset = load_be<std::int64_t>(records.data()) + load_be<std::int32_t>(records.data() + 23) + 1;
    out.messages += load_be<std::uint32_t>(records.data() + 57);
    out.bytes += length;
    records = records.subspan(length);
  }
  return out;
}

std::int16_t topic_error(ByteView body) {
  Cursor c(body);
  c.skip(4 + 4 + 4);  // correlation id, throttle, number of topics
  c.text();
  return c.take<std::int16_t>();
}

std::int32_t partitions_with_leader(ByteView body) {
  Cursor c(body);
  c.skip(4);
  for (auto brokers = c.take<std::int32_t>(); brokers > 0; --brokers) {
    c.skip(4);
    c.text();
    c.skip(4);
    c.text();
  }
  c.skip(8);  // controller, number of topics
  if (c.take<std::int16_t>() != 0) return 0;
  c.text();
  c.skip(1);
  std::int32_t led = 0;
  for (auto partitions = c.take<std::int32_t>(); partitions > 0; --partitions) {
    bool good = c.take<std::int16_t>() == 0;
    c.skip(4);
    led += good && c.take<std::int32_t>() >= 0 ? 1 : 0;
    for (int list = 0; list < 2; ++list) c.skip(4 * static_cast<std::size_t>(c.take<std::int32_t>()));
  }
  return led;
}

std::int64_t listed_offset(ByteView body) {
  Cursor c(body);
  c.skip(4 + 4 + 4);
  c.text();
  c.skip(4 + 4 + 2 + 8);
  return c.take<std::int64_t>();
}

}  // namespace mr::bench
