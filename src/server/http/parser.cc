#include "server/http/parser.h"

#include <algorithm>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

namespace mr::http {

namespace beast = boost::beast;

namespace {

/// The end of a chunked body has at least so many bytes. Beast 1.81 asserts that it is shown no fewer once it has seen
/// the size of the last chunk, which ends the process.
constexpr std::size_t kChunkedEndBytes = std::string_view("0\r\n\r\n").size();

}  // namespace

struct RequestParser::Impl {
  beast::http::request_parser<beast::http::string_body> parser;
};

RequestParser::RequestParser(ParseLimits limits) : impl_(std::make_unique<Impl>()) {
  impl_->parser.header_limit(limits.header_bytes_max);
  impl_->parser.body_limit(limits.body_bytes_max);
  impl_->parser.eager(true);
}
RequestParser::~RequestParser() = default;

bool RequestParser::header_done() const { return impl_->parser.is_header_done(); }
bool RequestParser::done() const { return impl_->parser.is_done(); }

bool RequestParser::expects_continue() const {
  const auto& message = impl_->parser.get();
  return header_done() && !done() && message.version() >= 11 &&
         beast::iequals(message[beast::http::field::expect], "100-continue");
}

Result<std::size_t> RequestParser::feed(ByteView bytes) {
  if (done() || bytes.empty()) return std::size_t{0};
  if (header_done() && impl_->parser.chunked() && bytes.size() < kChunkedEndBytes) return std::size_t{0};
  beast::error_code error;
  std::size_t taken = impl_->parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  using Problem = beast::http::error;
  if (error == Problem::need_more) return taken;
  if (error == Problem::header_limit) return Error(Errc::too_large, "header");
  if (error == Problem::body_limit) return Error(Errc::too_large, "body");
  if (error == Problem::bad_version) return Error(Errc::unsupported_version, "this speaks HTTP/1.0 and HTTP/1.1");
  if (error) return Error(Errc::malformed, error.message());
  if (header_done()) {
    const auto& message = impl_->parser.get();
    // Two ways to find the end of the body: the classic way to smuggle a request past a proxy.
    if (message.count(beast::http::field::content_length) > 0 &&
        message.count(beast::http::field::transfer_encoding) > 0) {
      return Error(Errc::malformed, "both Content-Length and Transfer-Encoding");
    }
  }
  return taken;
}

RawRequest RequestParser::take() {
  auto& message = impl_->parser.get();
  auto text = [](auto view) { return std::string(view.data(), view.size()); };
  RawRequest out{.method = text(message.method_string()),
                 .target = text(message.target()),
                 .minor_version = static_cast<int>(message.version() % 10),
                 .keep_alive = message.keep_alive(),
                 .headers = {},
                 .body = std::move(message.body())};
  for (const auto& field : message) {
    std::string name = text(field.name_string());
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    out.headers.emplace_back(std::move(name), text(field.value()));
  }
  return out;
}

std::string_view reason_of(int status) {
  auto reason = beast::http::obsolete_reason(static_cast<beast::http::status>(status));
  return {reason.data(), reason.size()};
}

}  // namespace mr::http
