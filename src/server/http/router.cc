#include "server/http/router.h"

#include <algorithm>

namespace mr::http {

namespace {
std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> out;
  if (path.starts_with('/')) path.remove_prefix(1);
  for (;;) {
    std::size_t slash = path.find('/');
    out.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    path.remove_prefix(slash + 1);
  }
}
}  // namespace

void HttpRouter::add(std::string method, std::string_view pattern, HttpHandler handler) {
  MR_CHECK(pattern.starts_with('/'));
  Route route{.method = std::move(method), .segments = {}, .handler = std::move(handler)};
  for (std::string_view text : split(pattern)) {
    Segment segment{.kind = Segment::Kind::text, .text = std::string(text)};
    if (text.starts_with('{') && text.ends_with("...}")) {
      segment = {.kind = Segment::Kind::rest, .text = std::string(text.substr(1, text.size() - 5))};
    } else if (text.starts_with('{') && text.ends_with('}')) {
      segment = {.kind = Segment::Kind::value, .text = std::string(text.substr(1, text.size() - 2))};
    }
    MR_CHECK(route.segments.empty() || route.segments.back().kind != Segment::Kind::rest);
    route.segments.push_back(std::move(segment));
  }
  for (const Route& other : routes_) {
    MR_CHECK(other.method != route.method || other.segments != route.segments);
  }
  routes_.push_back(std::move(route));
}

bool HttpRouter::matches(const Route& route, const std::vector<std::string>& path) {
  for (std::size_t i = 0; i < route.segments.size(); ++i) {
    const Segment& segment = route.segments[i];
    if (segment.kind == Segment::Kind::rest) return i < path.size();
    if (i >= path.size()) return false;
    if (segment.kind == Segment::Kind::text ? segment.text != path[i] : path[i].empty()) return false;
  }
  return path.size() == route.segments.size();
}

bool HttpRouter::more_specific(const Route& a, const Route& b) {
  for (std::size_t i = 0; i < std::min(a.segments.size(), b.segments.size()); ++i) {
    if (a.segments[i].kind != b.segments[i].kind) return a.segments[i].kind < b.segments[i].kind;
  }
  return a.segments.size() > b.segments.size();
}

Result<HttpRouter::Match> HttpRouter::find(std::string_view method, std::string_view raw_path) const {
  std::vector<std::string> path;
  for (std::string_view raw : split(raw_path)) {
    std::optional<std::string> segment = url_decode(raw, false);
    if (!segment) return Error(Errc::malformed, "a '%' in the path is not followed by two hex digits");
    path.push_back(std::move(*segment));
  }
  if (method == "HEAD") method = "GET";
  const Route* best = nullptr;
  Match match;
  for (const Route& route : routes_) {
    if (!matches(route, path)) continue;
    if (route.method != method) {
      match.allowed.push_back(route.method);
    } else if (best == nullptr || more_specific(route, *best)) {
      best = &route;
    }
  }
  if (best == nullptr) return match;
  match.handler = &best->handler;
  match.allowed.clear();
  for (std::size_t i = 0; i < best->segments.size(); ++i) {
    const Segment& segment = best->segments[i];
    if (segment.kind == Segment::Kind::value) match.values.emplace_back(segment.text, path[i]);
    if (segment.kind == Segment::Kind::rest) {
      std::string rest = path[i];
      for (std::size_t j = i + 1; j < path.size(); ++j) rest += "/" + path[j];
      match.values.emplace_back(segment.text, std::move(rest));
    }
  }
  return match;
}

}  // namespace mr::http
