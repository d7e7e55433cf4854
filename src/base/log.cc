#include "base/log.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <mutex>

namespace mr {

std::atomic<int> g_log_level{static_cast<int>(LogLevel::info)};

namespace {

std::mutex g_mutex;
std::shared_ptr<LogSink> g_sink;

void append_value(std::string& out, const LogField& field) {
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          if (!v.empty() && v.find_first_of(" =\"\n\t") == std::string_view::npos) {
            out += v;
            return;
          }
          out += '"';
          for (char c : v) {
            if (c == '"' || c == '\\') out += '\\';
            if (c == '\n') {
              out += "\\n";
            } else {
              out += c;
            }
          }
          out += '"';
        } else {
          out += fmt::format("{}", v);
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
