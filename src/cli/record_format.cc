#include "cli/record_format.h"

#include <fmt/format.h>

#include "cli/output.h"

namespace mr::cli {

Result<RecordFormat> RecordFormat::compile(std::string_view text) {
  constexpr std::string_view kLetters = "tpokKsSTh";
  RecordFormat format;
  std::string plain;
  auto flush = [&] {
    if (!plain.empty()) format.pieces_.push_back({0, std::exchange(plain, {})});
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (c == '\\' && next != '\0') {
      plain += next == 'n' ? '\n' : next == 't' ? '\t' : next == 'r' ? '\r' : next == '0' ? '\0' : next;
      ++i;
    } else if (c == '%' && next == '%') {
      plain += '%';
      ++i;
    } else if (c == '%') {
      if (kLetters.find(next) == std::string_view::npos || next == '\0')
        return Error(
            Errc::invalid_argument,
            fmt::format("--format: %{} is not known; there are %t topic, %p partition, %o offset, %k key, %K key "
                        "size, %s value, %S value size, %T time, %h headers, %%",
                        next == '\0' ? ' ' : next));
      flush();
      format.pieces_.push_back({next, {}});
      ++i;
    } else {
      plain += c;
    }
  }
  flush();
  return format;
}

void RecordFormat::append(std::string& out, std::string_view topic, PartitionIndex partition,
                          const client::Fetched::Item& item) const {
  auto sized = [](const std::optional<ByteView>& bytes) {
    return bytes ? std::to_string(bytes->size()) : std::string("-1");
  };
  for (const Piece& piece : pieces_) {
    switch (piece.letter) {
      case 't':
        out += topic;
        break;
      case 'p':
        out += std::to_string(partition.v);
        break;
      case 'o':
        out += std::to_string(item.offset.v);
        break;
      case 'k':
        if (item.record->key) out += as_text(*item.record->key);
        break;
      case 'K':
        out += sized(item.record->key);
        break;
      case 's':
        if (item.record->value) out += as_text(*item.record->value);
        break;
      case 'S':
        out += sized(item.record->value);
        break;
      case 'T':
        out += std::to_string(item.timestamp);
        break;
      case 'h': {
        HeaderReader headers(*item.record);
        bool first = true;
        for (RecordHeader header; headers.next(header); first = false) {
          if (!first) out += ',';
          out += header.key;
          out += '=';
          if (header.value) out += as_text(*header.value);
        }
        break;
      }
      default:
        out += piece.text;
    }
  }
}

namespace {

void append_bytes(std::string& out, std::string_view name, const std::optional<ByteView>& bytes) {
  const bool text = !bytes || valid_utf8(as_text(*bytes));
  out += fmt::format("\"{}{}\":", name, text ? "" : "_base64");
  if (!bytes) {
    out += "null";
  } else if (text) {
    append_json_string(out, as_text(*bytes));
  } else {
    out += '"' + base64(*bytes) + '"';
  }
}

}  // namespace

void append_record_json(std::string& out, std::string_view topic, PartitionIndex partition,
                        const client::Fetched::Item& item) {
  out += "{\"topic\":";
  append_json_string(out, topic);
  out += fmt::format(",\"partition\":{},\"offset\":{},\"timestamp\":{},", partition.v, item.offset.v, item.timestamp);
  append_bytes(out, "key", item.record->key);
  out += ',';
  append_bytes(out, "value", item.record->value);
  if (item.record->headers_count > 0) {
    out += ",\"headers\":[";
    HeaderReader headers(*item.record);
    bool first = true;
    for (RecordHeader header; headers.next(header); first = false) {
      out += first ? "{\"name\":" : ",{\"name\":";
      append_json_string(out, header.key);
      out += ',';
      append_bytes(out, "value", header.value);
      out += '}';
    }
    out += ']';
  }
  out += "}\n";
}

}  // namespace mr::cli
