#pragma once
#include <string_view>

#include "base/result.h"

namespace mr {

/// errno of a failed call as our error: "what: sentence".
Error errno_error(int number, std::string_view what);

}  // namespace mr
