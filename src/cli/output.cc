#include "cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "runtime/machine.h"
#include "runtime/real_host.h"

namespace mr::cli {

namespace {

std::string indent(int depth) { return std::string(static_cast<std::size_t>(depth) * 2, ' '); }

/// Columns that are as wide as terminals show them, near enough: one per character.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - width(row[i]) + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

}  // namespace

std::string printable(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '.';
  return text;
}

std::string_view codec_name(Codec codec) {
  constexpr std::string_view kNames[] = {"none", "gzip", "snappy", "lz4", "zstd"};
  const auto index = static_cast<std::size_t>(codec);
  return index < std::size(kNames) ? kNames[index] : "?";
}

std::string base64(ByteView bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t word = 0;
    std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j) word = word << 8 | (j < n ? std::to_integer<std::uint32_t>(bytes[i + j]) : 0);
    for (std::size_t j = 0; j < 4; ++j) out += j <= n ? kAlphabet[word >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

const Value* Value::find(std::string_view name) const {
  if (object() == nullptr) return nullptr;
  auto at = std::ranges::find(*object(), name, &std::pair<std::string, Value>::first);
  return at == object()->end() ? nullptr : &at->second;
}

std::string Value::plain() const {
  if (const auto* v = std::get_if<bool>(&data_)) return *v ? "yes" : "no";
  if (const auto* v = std::get_if<std::int64_t>(&data_)) return std::to_string(*v);
  if (const auto* v = std::get_if<double>(&data_)) return fmt::format("{:.6g}", *v);
  if (const auto* v = std::get_if<std::string>(&data_)) return printable(*v);
  if (const List* items = list()) {
    std::string out;
    for (const Value& item : *items) out += (out.empty() ? "" : ",") + item.plain();
    return out;
  }
  if (object() != nullptr) {
    std::string out;
    for (const auto& [name, value] : *object()) out += (out.empty() ? "" : ",") + name + "=" + value.plain();
    return out;
  }
  return "-";
}

void Value::json(std::string& out) const {
  if (const auto* v = std::get_if<bool>(&data_)) {
    out += *v ? "true" : "false";
  } else if (const auto* n = std::get_if<std::int64_t>(&data_)) {
    out += std::to_string(*n);
  } else if (const auto* d = std::get_if<double>(&data_)) {
    out += std::isfinite(*d) ? fmt::format("{}", *d) : "null";
  } else if (const auto* text = std::get_if<std::string>(&data_)) {
    append_json_string(out, *text);
  } else if (const List* items = list()) {
    out += '[';
    for (std::size_t i = 0; i < items->size(); ++i) {
      if (i > 0) out += ',';
      (*items)[i].json(out);
    }
    out += ']';
  } else if (const Object* members = object()) {
    out += '{';
    for (std::size_t i = 0; i < members->size(); ++i) {
      if (i > 0) out += ',';
      append_json_string(out, (*members)[i].first);
      out += ':';
      (*members)[i].second.json(out);
    }
    out += '}';
  } else {
    out += "null";
  }
}

void Value::pretty_json(std::string& out, int depth) const {
  const List* items = list();
  const Object* members = object();
  const bool flat = items != nullptr ? std::ranges::all_of(*items, &Value::scalar) : members == nullptr;
  if (flat) return json(out);
  const std::size_t size = items != nullptr ? items->size() : members->size();
  if (size == 0) return json(out);
  out += items != nullptr ? "[\n" : "{\n";
  for (std::size_t i = 0; i < size; ++i) {
    out += indent(depth + 1);
    if (items != nullptr) {
      (*items)[i].pretty_json(out, depth + 1);
    } else {
      append_json_string(out, (*members)[i].first);
      out += ": ";
      (*members)[i].second.pretty_json(out, depth + 1);
    }
    out += i + 1 < size ? ",\n" : "\n";
  }
  out += indent(depth) + (items != nullptr ? "]" : "}");
}

void Value::yaml(std::string& out, int depth) const {
  // Scalars and flat things are written as JSON, which YAML includes: no rule of YAML can then misread a text.
  const List* items = list();
  const Object* members = object();
  if (items != nullptr) {
    for (const Value& item : *items) {
      out += indent(depth) + "- ";
      std::string text;
      if (item.scalar() || (item.list() != nullptr ? item.list()->empty() : item.object()->empty())) {
        item.json(text);
        out += text + "\n";
      } else {
        item.yaml(text, depth + 1);
        out += text.substr(static_cast<std::size_t>(depth + 1) * 2);
      }
    }
  } else if (members != nullptr) {
    for (const auto& [name, value] : *members) {
      const bool plain_name = !name.empty() && std::ranges::all_of(name, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.';
      });
      out += indent(depth);
      if (plain_name) {
        out += name;
      } else {
        append_json_string(out, name);
      }
      const bool empty =
          (value.list() != nullptr && value.list()->empty()) || (value.object() != nullptr && value.object()->empty());
      if (value.scalar() || empty) {
        out += ": ";
        value.json(out);
        out += '\n';
      } else {
        out += ":\n";
        value.yaml(out, depth + 1);
      }
    }
  } else {
    json(out);
    out += '\n';
  }
}

std::string render_rows(OutputFormat format, const Value::List& rows) {
  std::string out;
  switch (format) {
    case OutputFormat::json:
      Value(rows).pretty_json(out, 0);
      return out + "\n";
    case OutputFormat::yaml:
      if (rows.empty()) return "[]\n";
      Value(rows).yaml(out, 0);
      return out;
    case OutputFormat::ndjson:
      for (const Value& row : rows) {
        row.json(out);
        out += '\n';
      }
      return out;
    case OutputFormat::table: {
      if (rows.empty()) return {};
      std::vector<std::vector<std::string>> cells(1);
      for (const auto& [name, value] : *rows.front().object()) {
        std::string title = name;
        for (char& c : title) c = c == '_' ? ' ' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        cells.front().push_back(title);
      }
      for (const Value& row : rows) {
        cells.emplace_back();
        for (const auto& [name, value] : *row.object()) cells.back().push_back(value.plain());
      }
      return table(cells);
    }
  }
  return out;
}

std::string render_one(OutputFormat format, const Value::Object& object) {
  std::string out;
  switch (format) {
    case OutputFormat::json:
      Value(object).pretty_json(out, 0);
      return out + "\n";
    case OutputFormat::yaml:
      Value(object).yaml(out, 0);
      return out;
    case OutputFormat::ndjson:
      Value(object).json(out);
      return out + "\n";
    case OutputFormat::table: {
      std::vector<std::vector<std::string>> cells;
      for (const auto& [name, value] : object) cells.push_back({name, value.plain()});
      return table(cells);
    }
  }
  return out;
}

bool print(std::string_view text) { return write_descriptor(1, as_bytes(text)).ok(); }

void say(std::string_view text) { (void)write_descriptor(2, as_bytes(std::string(text) + "\n")); }

ProgressBar::ProgressBar(bool enabled, std::string unit)
    : enabled_(enabled && RealLogSink::is_terminal(2)), unit_(std::move(unit)) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::clear() {
  if (drawn_) (void)write_descriptor(2, as_bytes("\r\x1b[K"));
  drawn_ = false;
}

void ProgressBar::update(std::uint64_t done, std::uint64_t total, double now_seconds) {
  if (!enabled_) return;
  if (started_ < 0) started_ = last_ = now_seconds;
  if (now_seconds - last_ < 0.1) return;
  last_ = now_seconds;
  const double elapsed = now_seconds - started_;
  const double rate = static_cast<double>(done) / elapsed;
  auto shown = [&](double n) { return unit_ == "bytes" ? human_bytes(n) : human_count(n) + " " + unit_; };
  std::string line = "\r\x1b[K";
  if (total > 0) {
    constexpr int kWidth = 24;
    const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    const int full = static_cast<int>(part * kWidth);
    line += fmt::format("[{:#<{}}{: <{}}] {:3.0f}%  ", "", full, "", kWidth - full, part * 100);
  }
  line += fmt::format("{}  {}/s", shown(static_cast<double>(done)), shown(rate));
  if (total > done && rate > 0) {
    const auto left = static_cast<std::int64_t>(static_cast<double>(total - done) / rate + 0.5);
    line += fmt::format("  {}:{:02} left", left / 60, left % 60);
  }
  drawn_ = true;
  (void)write_descriptor(2, as_bytes(line));
}

StatusLine::StatusLine(bool enabled) : enabled_(enabled && RealLogSink::is_terminal(2)) {}

void StatusLine::show(std::string_view text) {
  if (!enabled_) return;
  drawn_ = true;
  (void)write_descriptor(2, as_bytes(fmt::format("\r\x1b[K{}", text)));
}

void StatusLine::clear() {
  if (drawn_) (void)write_descriptor(2, as_bytes("\r\x1b[K"));
  drawn_ = false;
}

std::string human_bytes(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string human_count(double n) {
  constexpr const char* kUnits[] = {"", " k", " M", " G"};
  std::size_t unit = 0;
  for (; n >= 10'000 && unit + 1 < std::size(kUnits); ++unit) n /= 1000;
  return unit == 0 ? fmt::format("{:.0f}", n) : fmt::format("{:.1f}{}", n, kUnits[unit]);
}

}  // namespace mr::cli
