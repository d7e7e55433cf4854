#pragma once
#include <string>
#include <string_view>

#include "runtime/env.h"

/// Why a start failed, as a sentence that says what to do. Pure; the code stays.
namespace mr::app {

/// A directory of log.dirs. `user`: who runs this.
Error directory_error(const std::string& path, const std::string& user, const Error& error);
/// metadata.db in the first directory.
Error metadata_error(const std::string& directory, const std::string& user, const Error& error);
/// `option` is "listeners" or "http.listeners".
Error door_error(const Error& error, std::string_view option, const Address& address);

}  // namespace mr::app
