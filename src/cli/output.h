#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "cli/commands.h"

namespace mr::cli {

/// What a command prints: a small tree that each format can show.
class Value {
 public:
  using List = std::vector<Value>;
  using Object = std::vector<std::pair<std::string, Value>>;  ///< in order

  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool v) : data_(v) {}
  template <std::integral T>
  Value(T v) : data_(static_cast<std::int64_t>(v)) {}
  Value(double v) : data_(v) {}
  Value(std::string v) : data_(std::move(v)) {}
  Value(std::string_view v) : data_(std::string(v)) {}
  Value(const char* v) : data_(std::string(v)) {}
  Value(List v) : data_(std::move(v)) {}
  Value(Object v) : data_(std::move(v)) {}

  const List* list() const { return std::get_if<List>(&data_); }
  const Object* object() const { return std::get_if<Object>(&data_); }
  bool scalar() const { return list() == nullptr && object() == nullptr; }
  bool null() const { return std::holds_alternative<std::monostate>(data_); }
  const std::string* text() const { return std::get_if<std::string>(&data_); }
  /// The member of an object, or null.
  const Value* find(std::string_view name) const;
  const std::int64_t* integer() const { return std::get_if<std::int64_t>(&data_); }
  /// A scalar as people read it; "-" for null.
  std::string plain() const;
  void json(std::string& out) const;
  void pretty_json(std::string& out, int depth) const;
  void yaml(std::string& out, int depth) const;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Object> data_;
};

/// What a terminal must not act on as dots.
std::string printable(std::string text);
std::string base64(ByteView bytes);
/// As --compression has it; "?" for what a batch must not name.
std::string_view codec_name(Codec codec);

/// Rows of the same shape, as the format has them: a table with a header, a JSON array, a YAML list, or one JSON object
/// per line.
std::string render_rows(OutputFormat format, const Value::List& rows);
/// One thing: name and value lines, a JSON object, YAML, or one line of JSON.
std::string render_one(OutputFormat format, const Value::Object& object);

/// To standard output. False when nobody reads it any more.
bool print(std::string_view text);
/// A line for people, to standard error.
void say(std::string_view text);

/// Done, total, rate and time left on one line that is drawn over, only when standard error is a terminal. Draws at
/// most ten times a second; `now_seconds` is a monotonic clock.
class ProgressBar {
 public:
  ProgressBar(bool enabled, std::string unit);
  ~ProgressBar();
  /// total 0: not known.
  void update(std::uint64_t done, std::uint64_t total, double now_seconds);
  void clear();

 private:
  bool enabled_;
  bool drawn_ = false;
  std::string unit_;
  double started_ = -1;
  double last_ = -1;
};

/// A word about what takes a while, on one line that is drawn over, only when standard error is a terminal.
class StatusLine {
 public:
  explicit StatusLine(bool enabled);
  ~StatusLine() { clear(); }
  StatusLine(const StatusLine&) = delete;
  void show(std::string_view text);
  void clear();

 private:
  bool enabled_;
  bool drawn_ = false;
};

/// "1.5 MiB"
std::string human_bytes(double bytes);
/// "1.2 M"
std::string human_count(double n);

}  // namespace mr::cli
