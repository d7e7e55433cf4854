#pragma once
#include <string>

#include "bench/groupload/options.h"

namespace mr::bench {

/// Does one work of GroupOptions::works and prints one JSON object per run of it. Returns whether all went well: no
/// error in any answer.
bool do_work(const GroupOptions& options, const std::string& work);

}  // namespace mr::bench
