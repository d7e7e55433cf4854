#include "cli/record_format.h"

#include <fmt/format.h>

#include <chrono>

#include "base/text.h"
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

namespace {

/// As ISO 8601 in UTC; what no calendar has (producers may stamp anything) as the number it is.
void append_time(std::string& out, WallMillis timestamp) {
  constexpr WallMillis kYear10000 = 253'402'300'800'000;
  if (timestamp < 0 || timestamp >= kYear10000) {
    out += std::to_string(timestamp);
    return;
  }
  const std::chrono::sys_time<Millis> when{Millis(timestamp)};
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{when - day};
  out += fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

/// Text as it is, what a terminal would act on or could not show as \n, \t or \x1b.
void append_shown(std::string& out, std::string_view text) {
  const bool utf8 = valid_utf8(text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    // The second set of controls, of two bytes in UTF-8.
    const bool control = byte == 0xc2 && utf8 && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (control) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[++i]));
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8)) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
}

void append_shown(std::string& out, const std::optional<ByteView>& bytes, std::string_view null) {
  if (!bytes) {
    out += null;
  } else {
    append_shown(out, as_text(*bytes));
  }
}

}  // namespace

void append_record_line(std::string& out, std::string_view topic, PartitionIndex partition,
                        const client::Fetched::Item& item) {
  append_time(out, item.timestamp);
  out += fmt::format(" {}-{}@{} ", topic, partition.v, item.offset.v);
  if (item.record->key) {
    append_shown(out, *item.record->key, "");
    out += ": ";
  }
  append_shown(out, item.record->value, "(null)");
  if (item.record->headers_count > 0) {
    out += " [";
    HeaderReader headers(*item.record);
    bool first = true;
    for (RecordHeader header; headers.next(header); first = false) {
      if (!first) out += ", ";
      append_shown(out, header.key);
      out += '=';
      append_shown(out, header.value, "(null)");
    }
    out += ']';
  }
  out += '\n';
}

}  // namespace mr::cli
