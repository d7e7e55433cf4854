#include "base/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <mutex>

#include "base/text.h"

namespace mr {

std::atomic<int> g_log_level{static_cast<int>(LogLevel::info)};

namespace {

std::mutex g_mutex;
std::shared_ptr<LogSink> g_sink;

/// What a terminal or a reader of lines would act on, and bytes that are no text, as \xNN: peers choose ids and names.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[at];
    } else if (byte == '\n') {
      out += "\\n";
    } else if (length == 0 || byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += text.substr(at, length);
    }
    at += length == 0 ? 1 : length;
  }
  out += '"';
}

bool plain(std::string_view text) {
  auto harmless = [](char c) { return c > ' ' && c != '=' && c != '"' && c != 0x7f; };
  return !text.empty() && std::ranges::all_of(text, harmless);
}

void append_value(std::string& out, const LogField& field) {
  std::visit(
      [&](const auto& v) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(v)>, std::string_view>) {
          out += fmt::format("{}", v);
        } else if (plain(v)) {
          out += v;
        } else {
          append_quoted(out, v);
        }
      },
      field.value);
}

}  // namespace

std::string format_text(std::string_view room, std::string_view message, LogFields fields) {
  std::string out;
  out.reserve(message.size() + 32 * fields.size() + room.size() + 2);
  out.append(room).append(": ").append(message);
  for (const LogField& field : fields) {
    out.append(" ").append(field.key).append("=");
    append_value(out, field);
  }
  return out;
}

void set_log_sink(LogSink sink) {
  std::lock_guard lock(g_mutex);
  g_sink = sink ? std::make_shared<LogSink>(std::move(sink)) : nullptr;
}

void set_log_level(LogLevel level) { g_log_level.store(static_cast<int>(level), std::memory_order_relaxed); }

void log(LogLevel level, std::string_view room, std::string_view message, LogFields fields) {
  if (!log_enabled(level)) return;
  std::shared_ptr<LogSink> sink;
  {
    std::lock_guard lock(g_mutex);
    sink = g_sink;
  }
  if (sink) {
    (*sink)(level, room, message, fields);
  } else if (level >= LogLevel::warn) {
    std::string line = format_text(room, message, fields) + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
  }
}

}  // namespace mr
