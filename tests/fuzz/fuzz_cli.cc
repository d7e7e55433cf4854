// What the command line reads: records as lines of JSON, JSON as such, formats, filters, places, offset files, answers
// over HTTP. JSON that is read can be written and read again (numbers
// with a fraction not to the last digit).
#include "cli/http_get.h"
#include "cli/json.h"
#include "cli/offsets_file.h"
#include "cli/record_filter.h"
#include "cli/record_format.h"
#include "cli/record_line.h"
#include "cli/redact.h"
#include "cli/where.h"
#include "tests/fuzz/input.h"

namespace {

using namespace mr;
using namespace mr::cli;

void json(std::string_view text) {
  auto tree = parse_json(text);
  if (!tree.ok()) return;
  std::string written;
  tree->json(written);
  auto again = parse_json(written);
  MR_CHECK(again.ok());
  std::string other;
  tree->pretty_json(other, 0);
  tree->yaml(other, 0);
}

void record(std::string_view text) {
  auto outgoing = parse_record_line(text);
  if (!outgoing.ok()) return;
  auto bytes = [](const std::optional<std::string>& s) { return s ? std::optional(as_bytes(*s)) : std::nullopt; };
  Record made{.key = bytes(outgoing->key), .value = bytes(outgoing->value)};
  client::Fetched::Item item{.offset = Offset{1}, .timestamp = outgoing->timestamp.value_or(0), .record = &made};
  std::string line;
  append_record_json(line, "t", PartitionIndex{0}, item);
  auto again = parse_record_line(line);
  MR_CHECK(again.ok() && again->key == outgoing->key && again->value == outgoing->value);
  append_record_line(line, "t", PartitionIndex{0}, item);
}

void format(std::string_view text) {
  auto compiled = RecordFormat::compile(text);
  if (!compiled.ok()) return;
  Record made{.key = std::nullopt, .value = as_bytes(text)};
  std::string out;
  compiled->append(out, "t", PartitionIndex{0}, {.offset = Offset{1}, .timestamp = 1, .record = &made});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input{ByteView(reinterpret_cast<const std::byte*>(data), size)};
  const std::uint8_t kind = input.byte() % 8;
  const std::string_view text = as_text(input.left);
  switch (kind) {
    case 0:
      json(text);
      break;
    case 1:
      record(text);
      break;
    case 2:
      format(text);
      break;
    case 3:
      static_cast<void>(parse_where(text));
      break;
    case 4:
      static_cast<void>(parse_offsets_file(text, "g"));
      break;
    case 5:
      static_cast<void>(RecordFilter::parse({std::string(text)}));
      break;
    case 6:
      static_cast<void>(parse_http_answer(text));
      break;
    case 7:
      static_cast<void>(redact(text));
      break;
  }
  return 0;
}
