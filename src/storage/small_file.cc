#include "storage/small_file.h"

#include <fmt/format.h>

#include "storage/segment_names.h"

namespace mr::storage {

Result<std::vector<std::byte>> read_whole_file(FileSystem& files, const std::string& path, std::uint64_t bytes_max) {
  MR_TRY(auto file, files.open(path, OpenMode::read));
  MR_TRY(std::uint64_t size, file->size());
  if (size > bytes_max) return Error(Errc::too_large, fmt::format("{}: {} bytes, at most {}", path, size, bytes_max));
  std::vector<std::byte> content(size);
  MR_TRY(std::size_t got, file->read_at(content, 0));
  content.resize(got);
  return content;
}

Result<void> replace_file(FileSystem& files, const std::string& path, ByteView content, bool sync_name) {
  std::string temporary = path + ".tmp";
  {
    MR_TRY(auto file, files.open(temporary, OpenMode::create));
    MR_TRY_VOID(file->truncate(0));
    MR_TRY_VOID(file->write_at(content, 0));
    MR_TRY_VOID(file->sync());
  }
  MR_TRY_VOID(files.rename(temporary, path));
  if (!sync_name) return {};
  return files.sync_directory(parent_directory(path));
}

Error in_file(const std::string& path, Error error) {
  return Error(error.code(), error.detail().empty() ? path : fmt::format("{}: {}", path, error.detail()));
}

}  // namespace mr::storage
