#include "app/start_errors.h"

#include <fmt/format.h>

namespace mr::app {

namespace {

std::string why(const Error& error) { return error.detail().empty() ? error.message() : error.detail(); }

constexpr std::string_view kMoreFiles = "raise the limit of open files (ulimit -n, LimitNOFILE=, --ulimit nofile=)";

}  // namespace

Error directory_error(const std::string& path, const std::string& user, const Error& error) {
  auto say = [&](std::string text) { return Error(error.code(), std::move(text)); };
  switch (error.code()) {
    case Errc::in_use:
      return say(
          fmt::format("{} is used by another Millrace: stop that one, or choose another directory with "
                      "--data-dir",
                      path));
    case Errc::permission_denied:
      return say(
          fmt::format("{}: user {} may not use it: choose a directory of yours with --data-dir, or: sudo mkdir -p "
                      "{} && sudo chown -R {} {}",
                      why(error), user, path, user, path));
    case Errc::newer_format:
      return say(
          fmt::format("{} was written by a newer version ({}): start that one, or choose another directory with "
                      "--data-dir",
                      path, why(error)));
    case Errc::corrupt_data:
      return say(
          fmt::format("{}: it says whose the directory is: put it back from a copy, or choose another directory "
                      "with --data-dir",
                      why(error)));
    case Errc::already_exists:
      return say(
          fmt::format("data directory {}: {}, and is no directory: choose another with --data-dir", path, why(error)));
    case Errc::disk_full:
      return say(fmt::format("data directory {}: {}: make room", path, why(error)));
    case Errc::disk_failed:
      return say(fmt::format("data directory {}: {}: the disk fails or is read-only; dmesg | tail says more", path,
                             why(error)));
    case Errc::resource_exhausted:
      return say(fmt::format("data directory {}: {}: {}", path, why(error), kMoreFiles));
    default:
      return say(fmt::format("data directory {}: {}; millrace doctor --data-dir {} looks closer", path, error.message(),
                             path));
  }
}

Error metadata_error(const std::string& directory, const std::string& user, const Error& error) {
  auto say = [&](std::string text) { return Error(error.code(), std::move(text)); };
  switch (error.code()) {
    case Errc::corrupt_data:
      return say(
          fmt::format("{}; it knows the topics: put it back from a copy. Without one move it away and start once "
                      "with --adopt-topics true, which takes the topics from their directories, without their "
                      "settings",
                      why(error)));
    case Errc::newer_format:
      return say(fmt::format("{}: written by a newer version: start that one", why(error)));
    case Errc::disk_full:
      return say(fmt::format("{}: make room", why(error)));
    default:
      // SQLite tells neither permissions nor limits.
      return say(
          fmt::format("{}: may user {} read and write it (sudo chown -R {} {}), and may this process open files? "
                      "millrace doctor --data-dir {} looks closer",
                      why(error), user, user, directory, directory));
  }
}

Error door_error(const Error& error, std::string_view option, const Address& address) {
  const std::string_view flag = option == "http.listeners" ? "--http" : "--kafka";
  auto say = [&](std::string_view text) {
    return Error(error.code(), fmt::format("{} {}{}", option, address.to_string(), text));
  };
  switch (error.code()) {
    case Errc::in_use:
      return say(fmt::format(" is taken: stop what listens there, or choose another port with {}", flag));
    case Errc::permission_denied:
      return say(": not allowed to listen there; ports below 1024 need privileges");
    case Errc::invalid_argument:
      return say(
          fmt::format(": no address of this machine: {} 0.0.0.0:{} listens on all of them, and "
                      "advertised.listeners is what clients are told",
                      flag, address.port));
    case Errc::not_found:
      return say(fmt::format(": {}: choose an address of this machine with {}", why(error), flag));
    default:
      return say(fmt::format(": cannot listen: {}", error.message()));
  }
}

}  // namespace mr::app
