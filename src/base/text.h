#pragma once
#include <string>
#include <string_view>

namespace mr {

/// Bytes of the UTF-8 character at `at`, 0 when there is none: what peers call text need not be it.
std::size_t utf8_length(std::string_view text, std::size_t at);
bool valid_utf8(std::string_view text);

/// `text` as a JSON string, quotes included; bytes that are no UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace mr
