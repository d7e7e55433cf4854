// HTTP requests as they come from a socket, in pieces of any size: the parser says the same however they are cut, never
// takes more than it was given, keeps to its limits; what it makes of them is routed.
#include "server/http/parser.h"
#include "server/http/router.h"
#include "tests/fuzz/input.h"

namespace {

using namespace mr;

struct Outcome {
  Errc error = Errc::internal;
  bool done = false;
  std::size_t taken = 0;
  http::RawRequest request;
};

constexpr http::ParseLimits kLimits{.header_bytes_max = 512, .body_bytes_max = 1024};

Outcome parse(ByteView whole, std::size_t piece) {
  http::RequestParser parser(kLimits);
  Outcome out;
  std::size_t shown = 0;
  while (!parser.done()) {
    if (shown == whole.size()) return out;
    shown = std::min(whole.size(), std::max(shown, out.taken) + piece);
    for (;;) {
      auto taken = parser.feed(whole.subspan(out.taken, shown - out.taken));
      if (!taken.ok()) {
        out.error = taken.code();
        return out;
      }
      MR_CHECK(*taken <= shown - out.taken);
      out.taken += *taken;
      if (*taken == 0 || parser.done()) break;
    }
  }
  out.done = true;
  out.request = parser.take();
  MR_CHECK(out.request.body.size() <= kLimits.body_bytes_max);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input{ByteView(reinterpret_cast<const std::byte*>(data), size)};
  const std::size_t piece = 1 + input.byte() % 64;
  const Outcome at_once = parse(input.left, std::max<std::size_t>(input.left.size(), 1));
  const Outcome cut = parse(input.left, piece);
  // One that is refused may be refused with another reason when less of it is there.
  // A head as long as its limit may pass, or not, by how much of it is there when it is looked at.
  if (at_once.done != cut.done) MR_CHECK((at_once.done ? cut : at_once).error == Errc::too_large);
  if (!at_once.done || !cut.done) return 0;
  MR_CHECK(at_once.taken == cut.taken && at_once.request.target == cut.request.target);
  MR_CHECK(at_once.request.headers == cut.request.headers && at_once.request.body == cut.request.body);
  static const http::HttpRouter router = [] {
    http::HttpRouter made;
    for (const char* pattern : {"/health", "/topics/{name}", "/topics/health", "/console/{rest...}"})
      made.add("GET", pattern, [](http::HttpRequest&) -> Task<http::HttpResponse> { co_return http::HttpResponse{}; });
    return made;
  }();
  const std::string& target = at_once.request.target;
  static_cast<void>(router.find(at_once.request.method, std::string_view(target).substr(0, target.find('?'))));
  static_cast<void>(http::json_string(target));
  static_cast<void>(http::url_decode(target, true));
  return 0;
}
