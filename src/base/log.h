#pragma once
#include <atomic>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace mr {

enum class LogLevel : int { debug, info, warn, error, off };

/// One key and value of a structured line: log_info("storage", "segment rolled", {{"topic", t}, {"base", 12}}).
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double, bool> value;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  template <std::integral T>
  LogField(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
};
using LogFields = std::initializer_list<LogField>;

/// Where lines go. The runtime installs one that formats (text or JSON) and writes off the shard; until then, and in
/// tests, warnings and errors go to standard error. Process-wide: logging is the one thing that is global.
using LogSink = std::function<void(LogLevel, std::string_view room, std::string_view message, LogFields)>;
void set_log_sink(LogSink sink);
void set_log_level(LogLevel level);
extern std::atomic<int> g_log_level;
inline bool log_enabled(LogLevel level) {
  return static_cast<int>(level) >= g_log_level.load(std::memory_order_relaxed);
}

/// One line per lifecycle event, none per request. `room` is the src/ directory; `message` is constant text; what
/// varies goes into fields. Never a secret.
void log(LogLevel level, std::string_view room, std::string_view message, LogFields fields = {});
inline void log_debug(std::string_view room, std::string_view message, LogFields fields = {}) {
  log(LogLevel::debug, room, message, fields);
}
inline void log_info(std::string_view room, std::string_view message, LogFields fields = {}) {
  log(LogLevel::info, room, message, fields);
}
inline void log_warn(std::string_view room, std::string_view message, LogFields fields = {}) {
  log(LogLevel::warn, room, message, fields);
}
inline void log_error(std::string_view room, std::string_view message, LogFields fields = {}) {
  log(LogLevel::error, room, message, fields);
}

/// "message key=value key="with space"": the text form, shared by sinks.
std::string format_text(std::string_view room, std::string_view message, LogFields fields);

}  // namespace mr
