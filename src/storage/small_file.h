#pragma once
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/env.h"

/// Checkpoints and other small files: read whole, replaced whole.
namespace mr::storage {

/// All of `path`. Errors: not_found, too_large (over `bytes_max`), those of File.
Result<std::vector<std::byte>> read_whole_file(FileSystem& files, const std::string& path,
                                               std::uint64_t bytes_max = 64u << 20);

/// Replaces `path` so that a crash leaves the old or the new content: temporary file beside it, sync, rename, sync of
/// the directory. Pool. One writer per path at a time. With `sync_name` false the caller syncs the directory.
Result<void> replace_file(FileSystem& files, const std::string& path, ByteView content, bool sync_name = true);

/// The file of an error, for messages: prefixes "PATH: " to the detail.
Error in_file(const std::string& path, Error error);

}  // namespace mr::storage
