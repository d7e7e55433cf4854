#include "storage/recovery_estimate.h"

#include <algorithm>
#include <vector>

#include "storage/segment_names.h"

namespace mr::storage {

Result<std::uint64_t> bytes_to_recover(FileSystem& files, const std::string& directory) {
  auto entries = files.list(directory);
  if (!entries.ok()) return entries.code() == Errc::not_found ? Result<std::uint64_t>(0) : std::move(entries).error();
  std::vector<Offset> bases;
  Offset snapshot{0};
  for (const DirEntry& entry : *entries) {
    auto name = parse_segment_file_name(entry.name);
    if (!name || name->deleted) continue;
    if (name->suffix == kLogSuffix) bases.push_back(name->base);
    if (name->suffix == kSnapshotSuffix) snapshot = std::max(snapshot, name->base);
  }
  std::ranges::sort(bases);
  auto first = std::ranges::upper_bound(bases, snapshot);
  if (first != bases.begin()) --first;
  std::uint64_t bytes = 0;
  for (; first != bases.end(); ++first) {
    MR_TRY(auto file, files.open(segment_path(directory, *first, kLogSuffix), OpenMode::read));
    MR_TRY(std::uint64_t size, file->size());
    bytes += size;
  }
  return bytes;
}

}  // namespace mr::storage
