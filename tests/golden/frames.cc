#include "tests/golden/frames.h"

#include <fmt/format.h>

#include <charconv>

#include "model/batch_builder.h"
#include "model/compression.h"
#include "model/validate_batch.h"
#include "wire/debug/messages.h"
#include "wire/debug/support.h"

namespace mr::golden {
namespace {

using wire::debug::Message;

std::string hex(ByteView bytes) {
  std::string text;
  for (std::byte b : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(b));
  return text;
}

std::vector<std::byte> unhex(std::string_view text) {
  std::vector<std::byte> bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    unsigned value = 0;
    std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, value, 16);
    bytes[i] = static_cast<std::byte>(value);
  }
  return bytes;
}

int number(std::string_view text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<std::string_view> columns(std::string_view line) {
  std::vector<std::string_view> parts;
  while (true) {
    std::size_t tab = line.find('\t');
    parts.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return parts;
    line.remove_prefix(tab + 1);
  }
}

/// `bytes`, or "null", with the printer that the messages use.
std::string shown(const std::optional<ByteView>& bytes) {
  if (!bytes) return "null";
  wire::debug::Text to;
  to.value(*bytes);
  return to.take();
}

Result<std::string> batch_text(ByteView bytes) {
  auto facts = validate_batch(bytes, {.now = 1'700'000'000'000});
  if (!facts) return std::move(facts).error().error;
  const BatchHeader& h = facts->header;
  if (facts->max_timestamp != h.max_timestamp) return Error(Errc::invalid_timestamp, "max timestamp");
  Inflater inflater;
  MR_TRY(ByteView records, inflater.inflate(h.codec(), bytes.subspan(BatchHeader::kBytes), 1 << 24));
  std::string text = fmt::format(
      "{{base_offset={},leader_epoch={},codec={},last_offset={},max_timestamp={},producer_id={},producer_epoch={},"
      "base_sequence={},transactional={},control={},records=[",
      h.base_offset, h.leader_epoch, static_cast<int>(h.codec()), h.last_offset().v, h.max_timestamp, h.producer_id,
      h.producer_epoch, h.base_sequence, h.transactional(), h.control());
  RecordReader in(records, h.records_count);
  Record r;
  while (in.next(r)) {
    if (in.index() > 1) text += ',';
    text += fmt::format("{{offset={},timestamp={},key={},value={},headers=[", h.base_offset + r.offset_delta,
                        h.base_timestamp + r.timestamp_delta, shown(r.key), shown(r.value));
    HeaderReader headers(r);
    RecordHeader header;
    for (bool first = true; headers.next(header); first = false) {
      wire::debug::Text name;
      name.value(header.key);
      text += fmt::format("{}{}={}", first ? "" : ",", name.take(), shown(header.value));
    }
    text += "]}";
  }
  return text + "]}";
}

std::optional<std::string> batch_problem(ByteView bytes, std::string_view text) {
  auto read = batch_text(bytes);
  if (!read.ok()) return read.error().message();
  if (*read != text) return fmt::format("reads as {} instead of {}", *read, text);
  for (std::size_t n = 0; n < bytes.size(); ++n)
    if (validate_batch(bytes.first(n), {.now = 1'700'000'000'000})) return fmt::format("accepted when cut at {}", n);
  return std::nullopt;
}

std::string batch_line(Codec codec, std::uint64_t seed, bool idempotent) {
  std::mt19937_64 random(seed * 5 + static_cast<std::uint64_t>(codec));
  wire::Arena arena;
  wire::debug::Random values(random(), arena);
  BatchBuilder builder({.codec = codec,
                        .producer_id = idempotent ? ProducerId{4711} : kNoProducerId,
                        .producer_epoch = ProducerEpoch{static_cast<std::int16_t>(idempotent ? 3 : -1)},
                        .base_sequence = Sequence{idempotent ? 99 : -1},
                        .transactional = idempotent && random() % 2 == 0});
  for (std::uint64_t i = 0; i < 1 + random() % 5; ++i) {
    std::vector<RecordHeader> headers(random() % 3);
    for (RecordHeader& header : headers) {
      values.value(header.key);
      if (!values.null()) values.value(header.value.emplace());
    }
    NewRecord record{.timestamp = 1'700'000'000'000 + static_cast<WallMillis>(random() % 1000) - 500,
                     .headers = headers};
    if (!values.null()) values.value(record.key.emplace());
    if (!values.null()) values.value(record.value.emplace());
    builder.add(record);
  }
  auto batch = builder.build();
  MR_CHECK(batch.ok());
  auto text = batch_text(*batch);
  MR_CHECK(text.ok());
  return fmt::format("{}\tbatch\t2\texact\t{}\t{}", static_cast<int>(codec), hex(*batch), *text);
}

}  // namespace

std::optional<std::string> problem_of(std::string_view line) {
  std::vector<std::string_view> column = columns(line);
  if (column.size() != 6) return "not six columns";
  std::vector<std::byte> bytes = unhex(column[4]);
  if (column[1] == "batch") return batch_problem(bytes, column[5]);
  const Message* message =
      wire::debug::find_message(static_cast<std::int16_t>(number(column[0])),
                                column[1] == "request" ? Message::Kind::request : Message::Kind::response);
  if (message == nullptr) return "no such message";
  auto version = static_cast<wire::Version>(number(column[2]));

  auto text = message->text(bytes, version);
  if (!text.ok()) return text.error().message();
  if (*text != column[5]) return fmt::format("reads as {} instead of {}", *text, column[5]);
  if (column[3] == "exact") {
    wire::Writer out;
    auto again = message->transcode(bytes, version, out);
    if (!again.ok()) return again.error().message();
    std::vector<std::byte> joined;
    for (const wire::Piece& p : out.pieces()) joined.insert(joined.end(), p.bytes.begin(), p.bytes.end());
    if (joined != bytes) return fmt::format("encodes to {}", hex(joined));
  }
  for (std::size_t n = 0; n < bytes.size(); n += 1 + n / 200) {
    std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    if (message->text(cut, version).ok()) return fmt::format("accepted when cut at {}", n);
  }
  return std::nullopt;
}

std::vector<std::string> make_lines(std::uint64_t seed, int per_version) {
  std::vector<std::string> lines;
  for (const Message* m : wire::debug::all_messages()) {
    if (m->kind == Message::Kind::data) continue;
    for (wire::Version v = m->min; v <= m->max; ++v) {
      for (int i = 0; i < per_version; ++i) {
        wire::Writer out;
        MR_CHECK(m->random(seed * 1000 + static_cast<std::uint64_t>(i), v, out).ok());
        auto text = m->text(out.flat(), v);
        MR_CHECK(text.ok());
        lines.push_back(fmt::format("{}\t{}\t{}\texact\t{}\t{}", m->key,
                                    m->kind == Message::Kind::request ? "request" : "response", v, hex(out.flat()),
                                    *text));
      }
    }
  }
  for (int codec = 0; codec <= 4; ++codec)
    for (int i = 0; i < per_version; ++i)
      lines.push_back(batch_line(static_cast<Codec>(codec), seed + static_cast<std::uint64_t>(i), i % 2 == 1));
  return lines;
}

}  // namespace mr::golden
