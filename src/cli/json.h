#pragma once
#include <string_view>

#include "cli/output.h"

namespace mr::cli {

/// One JSON text (RFC 8259) as a tree; at most 32 levels deep. Numbers without fraction that fit are integers.
/// Errors: invalid_argument (says where and what).
Result<Value> parse_json(std::string_view text);

}  // namespace mr::cli
