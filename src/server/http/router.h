#pragma once
#include <functional>
#include <string>
#include <vector>

#include "server/http/message.h"

namespace mr::http {

/// Runs on the connection's shard. `request` lives until the response is sent.
using HttpHandler = std::function<Task<HttpResponse>(HttpRequest& request)>;

/// Which handler answers what. Filled at start-up, then read by every shard: no change once a server uses it.
class HttpRouter {
 public:
  /// `pattern`: "/health", "/topics/{name}", "/console/{rest...}" (the last segment may take all that is left). Of two
  /// that match, plain text beats a value at the first segment where they differ. The same twice is a bug.
  void add(std::string method, std::string_view pattern, HttpHandler handler);

  struct Match {
    /// Null when nothing fits; `allowed` then lists the methods of the path, empty when there is no such path.
    const HttpHandler* handler = nullptr;
    std::vector<std::string> allowed;
    std::vector<std::pair<std::string, std::string>> values;
  };
  /// `raw_path` is not decoded yet, so that "%2F" is no separator. HEAD finds GET. Errors: malformed (bad escapes).
  Result<Match> find(std::string_view method, std::string_view raw_path) const;

 private:
  struct Segment {
    enum class Kind { text, value, rest } kind;
    std::string text;
    friend bool operator==(const Segment&, const Segment&) = default;
  };
  struct Route {
    std::string method;
    std::vector<Segment> segments;
    HttpHandler handler;
  };
  static bool matches(const Route& route, const std::vector<std::string>& path);
  static bool more_specific(const Route& a, const Route& b);

  std::vector<Route> routes_;
};

}  // namespace mr::http
