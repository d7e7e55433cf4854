#include "cli/redact.h"

#include <algorithm>
#include <array>

namespace mr::cli {

namespace {

constexpr std::string_view kInstead = "[redacted]";
constexpr std::array<std::string_view, 10> kSecretWords = {"password",   "passwd",     "passphrase", "secret",
                                                           "token",      "credential", "apikey",     "api.key",
                                                           "privatekey", "private.key"};
/// What follows these is several words long.
constexpr std::array<std::string_view, 2> kSecretLines = {"jaas", "authorization"};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_name_char(char c) {
  const char l = lower(c);
  return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}
/// "MILLRACE_API_KEY" and "api-key" read as "api.key".
std::string plain(std::string_view name) {
  std::string out(name);
  std::ranges::transform(out, out.begin(), [](char c) { return c == '_' || c == '-' ? '.' : lower(c); });
  return out;
}
template <class Words>
bool has_word(const std::string& name, const Words& words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return name.find(word) != std::string::npos; });
}

/// Where the value that begins at `at` ends: at its closing quote, or where the next thing begins.
std::size_t end_of_value(std::string_view line, std::size_t at) {
  if (at < line.size() && (line[at] == '"' || line[at] == '\'')) {
    const char quote = line[at];
    for (std::size_t i = at + 1; i < line.size(); ++i) {
      if (line[i] == '\\') {
        ++i;
      } else if (line[i] == quote) {
        return i;
      }
    }
    return line.size();
  }
  return std::min(line.find_first_of(" \t,;&}\"'", at), line.size());
}

/// "scheme://user:password@host" without the password.
std::string without_url_passwords(std::string_view line) {
  std::string out;
  for (;;) {
    const std::size_t scheme = line.find("://");
    if (scheme == std::string_view::npos) break;
    const std::size_t from = scheme + 3;
    const std::size_t end = std::min(line.find_first_of(" \t/\"',", from), line.size());
    const std::string_view authority = line.substr(from, end - from);
    const std::size_t at = authority.rfind('@');
    const std::size_t colon = authority.find(':');
    if (at != std::string_view::npos && colon < at) {
      out.append(line.substr(0, from + colon + 1)).append(kInstead).append(authority.substr(at));
    } else {
      out.append(line.substr(0, end));
    }
    line.remove_prefix(end);
  }
  return out.append(line);
}

std::string redact_line(std::string_view line) {
  std::string out;
  std::size_t at = 0;
  while (at < line.size()) {
    if (!is_name_char(line[at])) {
      out.push_back(line[at++]);
      continue;
    }
    std::size_t end = at;
    while (end < line.size() && is_name_char(line[end])) ++end;
    const std::string name = plain(line.substr(at, end - at));
    const bool whole_line = has_word(name, kSecretLines);
    std::size_t value = end;
    if (value < line.size() && (line[value] == '"' || line[value] == '\'')) ++value;
    value = std::min(line.find_first_not_of(" \t", value), line.size());
    const bool assigned = value < line.size() && (line[value] == ':' || line[value] == '=');
    if (!assigned || !(whole_line || is_secret_name(name))) {
      out.append(line.substr(at, end - at));
      at = end;
      continue;
    }
    value = std::min(line.find_first_not_of(" \t", value + 1), line.size());
    out.append(line.substr(at, value - at));
    if (value == line.size()) return out;
    const bool quoted = line[value] == '"' || line[value] == '\'';
    if (quoted) out.push_back(line[value]);
    out.append(kInstead);
    at = whole_line && !quoted ? line.size() : end_of_value(line, value);
  }
  return without_url_passwords(out);
}

}  // namespace

bool is_secret_name(std::string_view name) {
  const std::string text = plain(name);
  return has_word(text, kSecretWords) || has_word(text, kSecretLines) || text.ends_with("keystore.key");
}

std::string redact_value(std::string_view name, std::string_view value) {
  if (is_secret_name(name)) return std::string(kInstead);
  return redact(value);
}

std::string redact(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    out += redact_line(text.substr(0, end));
    if (end == std::string_view::npos) break;
    out.push_back('\n');
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace mr::cli
