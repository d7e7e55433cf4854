#pragma once
#include <string>
#include <string_view>

/// Takes secrets out of what leaves this machine. Rather too much than too little.
namespace mr::cli {

/// Does the name of a setting say that its value is a secret? "ssl.key.password", "MILLRACE_API_TOKEN", ...
bool is_secret_name(std::string_view name);

/// The value of a setting as it may be shown: "[redacted]" for secrets, else the value without what redact() takes.
std::string redact_value(std::string_view name, std::string_view value);

/// Any text, line by line: what follows the name of a secret and ':' or '=', and passwords in URLs.
std::string redact(std::string_view text);

}  // namespace mr::cli
