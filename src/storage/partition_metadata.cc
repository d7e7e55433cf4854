#include "storage/partition_metadata.h"

#include <fmt/format.h>

#include "base/log.h"
#include "storage/small_file.h"
#include "storage/text_checkpoint.h"

namespace mr::storage {

std::string encode_partition_metadata(TopicId id) {
  return fmt::format("version: 0\ntopic_id: {}\n", id.v.to_string());
}

Result<TopicId> decode_partition_metadata(std::string_view text) {
  std::optional<std::int64_t> version;
  std::optional<Uuid> id;
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    std::vector<std::string_view> fields = split_fields(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (fields.size() != 2) continue;
    if (fields[0] == "version:") version = parse_int(fields[1]);
    if (fields[0] == "topic_id:") id = Uuid::parse(fields[1]);
  }
  if (!version || *version < 0) return Error(Errc::corrupt_data, "no version");
  if (*version > 0) return Error(Errc::newer_format, fmt::format("version {}", *version));
  if (!id || id->is_zero()) return Error(Errc::corrupt_data, "no topic id");
  return TopicId{*id};
}

Result<TopicId> read_partition_metadata(FileSystem& files, const std::string& directory) {
  std::string path = fmt::format("{}/{}", directory, kPartitionMetadataName);
  MR_TRY(auto text, read_whole_file(files, path, 4096));
  auto id = decode_partition_metadata(as_text(text));
  if (!id.ok()) return in_file(path, std::move(id).error());
  return id;
}

Result<MetadataCheck> check_partition_metadata(FileSystem& files, const std::string& directory, TopicId id) {
  if (id.v.is_zero()) return MetadataCheck::fits;
  auto found = read_partition_metadata(files, directory);
  bool damaged = !found.ok() && (found.code() == Errc::corrupt_data || found.code() == Errc::too_large);
  if (damaged)
    log_error("storage", "whose partition this is cannot be read; by its name it is the topic's, and noted so again",
              {{"directory", directory}, {"found", found.error().message()}});
  if (!found.ok() && (found.code() == Errc::not_found || damaged)) {
    std::string text = encode_partition_metadata(id);
    MR_TRY_VOID(replace_file(files, fmt::format("{}/{}", directory, kPartitionMetadataName), as_bytes(text), false));
    return damaged ? MetadataCheck::replaced : MetadataCheck::written;
  }
  if (!found.ok()) return std::move(found).error();
  if (*found != id)
    return Error(Errc::inconsistent_topic_id,
                 fmt::format("{} holds topic id {}, expected {}", directory, found->v.to_string(), id.v.to_string()));
  return MetadataCheck::fits;
}

}  // namespace mr::storage
