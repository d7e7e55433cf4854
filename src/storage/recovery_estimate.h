#pragma once
#include <cstdint>
#include <string>

#include "runtime/env.h"

namespace mr::storage {

/// About how many bytes recovery will look through in a partition's directory after a crash: the segments from that of
/// the newest producer snapshot on. By names and sizes alone. Pool. 0 when the directory is not there.
Result<std::uint64_t> bytes_to_recover(FileSystem& files, const std::string& directory);

}  // namespace mr::storage
