// The only file that includes Boost.JSON, and the one that compiles it (its library is not needed at run time).
#include "cli/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/src.hpp>

namespace mr::cli {

namespace {

namespace json = boost::json;
constexpr std::size_t kDepthMax = 32;

Value to_value(const json::value& from) {
  switch (from.kind()) {
    case json::kind::null:
      return nullptr;
    case json::kind::bool_:
      return from.get_bool();
    case json::kind::int64:
      return from.get_int64();
    case json::kind::uint64:
      return static_cast<double>(from.get_uint64());
    case json::kind::double_:
      return from.get_double();
    case json::kind::string:
      return std::string_view(from.get_string().data(), from.get_string().size());
    case json::kind::array: {
      Value::List list;
      for (const json::value& item : from.get_array()) list.push_back(to_value(item));
      return list;
    }
    case json::kind::object: {
      Value::Object object;
      for (const json::key_value_pair& item : from.get_object())
        object.emplace_back(std::string(item.key().data(), item.key().size()), to_value(item.value()));
      return object;
    }
  }
  return nullptr;
}

/// "line:column" behind `text`.
std::string place(std::string_view text) {
  const std::size_t line_start = text.find_last_of('\n') + 1;  // npos + 1 is 0
  return fmt::format("{}:{}", 1 + std::ranges::count(text, '\n'), 1 + text.size() - line_start);
}

}  // namespace

Result<Value> parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::stream_parser parser({}, options);
  json::error_code error;
  const std::size_t used = parser.write_some(text.data(), text.size(), error);
  const bool rest = !error && text.find_first_not_of(" \t\r\n", used) != std::string_view::npos;
  if (!error && !rest) parser.finish(error);
  if (error || rest)
    return Error(Errc::invalid_argument, fmt::format("no JSON at {}: {}", place(text.substr(0, used)),
                                                     rest ? std::string("something follows it") : error.message()));
  return to_value(parser.release());
}

}  // namespace mr::cli
