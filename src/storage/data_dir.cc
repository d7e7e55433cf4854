#include "storage/data_dir.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/log.h"
#include "storage/partition_metadata.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

constexpr std::string_view kLockName = ".lock";
constexpr std::string_view kTrashSuffix = "-delete";
constexpr std::int64_t kIdentityVersion = 1;
constexpr std::int64_t kFormatVersion = 1;  ///< ours: what we lay beside Kafka's files
constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kUniqueDigits = 32;

bool is_known_file(std::string_view name) {
  static const std::set<std::string_view> known = {
      kLockName, kIdentityName, kCleanMarkerName, kRecoveryPointName, kLogStartName, kHighWatermarkName, kCleanerName};
  return known.contains(name) || name.ends_with(".tmp") || is_journal_name(name);
}

/// "topic-0.0123456789abcdef0123456789abcdef-delete"
bool is_trash(std::string_view name) {
  if (!name.ends_with(kTrashSuffix)) return false;
  name.remove_suffix(kTrashSuffix.size());
  if (name.size() < kUniqueDigits + 2 || name[name.size() - kUniqueDigits - 1] != '.') return false;
  return std::ranges::all_of(name.substr(name.size() - kUniqueDigits),
                             [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string trash_name(const TopicPartition& partition, Uuid unique) {
  std::string tail = fmt::format(".{:016x}{:016x}{}", unique.high, unique.low, kTrashSuffix);
  return partition.to_string().substr(0, kNameBytesMax - tail.size()) + tail;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

Result<std::unique_ptr<DataDir>> DataDir::open(FileSystem& files, const std::string& path) {
  std::unique_ptr<DataDir> dir(new DataDir(files, path));
  MR_TRY_VOID(dir->load());
  return dir;
}

Result<void> DataDir::load() {
  MR_TRY_VOID(files_.make_directories(path_));
  auto locked = files_.lock(in(kLockName));
  if (!locked.ok()) {
    if (locked.code() == Errc::in_use)
      return Error(Errc::in_use, fmt::format("data directory {} is in use by another process", path_));
    return std::move(locked).error();
  }
  lock_ = std::move(*locked);
  MR_TRY_VOID(load_identity());
  MR_TRY_VOID(load_checkpoint(kRecoveryPointName, loaded_.recovery_points));
  MR_TRY_VOID(load_checkpoint(kLogStartName, loaded_.log_starts));
  MR_TRY_VOID(load_checkpoint(kHighWatermarkName, loaded_.high_watermarks));
  MR_TRY_VOID(load_checkpoint(kCleanerName, loaded_.cleaned_ends));
  MR_TRY_VOID(take_clean_marker());
  MR_TRY(journals_, JournalEvidence::read(files_, path_));
  return remove_old_trash();
}

std::string DataDir::encode_identity(const Identity& identity) {
  return fmt::format("cluster.id={}\ndirectory.id={}\nmillrace.format.version={}\nnode.id={}\nversion={}\n",
                     identity.cluster_id, identity.directory_id.to_string(), kFormatVersion, identity.node_id,
                     kIdentityVersion);
}

Result<DataDir::Identity> DataDir::decode_identity(std::string_view text) {
  std::map<std::string_view, std::string_view> properties;
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    std::size_t equals = line.find('=');
    if (line.empty() || line[0] == '#' || equals == std::string_view::npos) continue;
    properties[trim(line.substr(0, equals))] = trim(line.substr(equals + 1));
  }
  std::optional<std::int64_t> version = parse_int(properties["version"]);
  if (!version || *version < 0) return Error(Errc::corrupt_data, "no version");
  if (*version > kIdentityVersion) return Error(Errc::newer_format, fmt::format("version {}", *version));
  if (properties.contains("millrace.format.version")) {
    std::optional<std::int64_t> format = parse_int(properties["millrace.format.version"]);
    if (!format) return Error(Errc::corrupt_data, "millrace.format.version is not a number");
    if (*format > kFormatVersion) return Error(Errc::newer_format, fmt::format("millrace.format.version {}", *format));
  }
  Identity identity;
  identity.cluster_id = properties["cluster.id"];
  auto node = parse_int(properties[*version == 0 ? "broker.id" : "node.id"]);
  if (!node) return Error(Errc::corrupt_data, "no node.id");
  identity.node_id = *node;
  identity.directory_id = Uuid::parse(properties["directory.id"]).value_or(Uuid{});
  return identity;
}

Result<void> DataDir::check_identity(std::string_view text) {
  MR_TRY(Identity identity, decode_identity(text));
  if (identity.cluster_id.empty()) return Error(Errc::corrupt_data, "no cluster.id");
  return {};
}

Result<void> DataDir::load_identity() {
  auto text = read_whole_file(files_, in(kIdentityName), 64 << 10);
  if (!text.ok()) {
    if (text.code() == Errc::not_found) return {};
    return std::move(text).error();
  }
  auto identity = decode_identity(as_text(*text));
  if (!identity.ok()) return in_file(in(kIdentityName), std::move(identity).error());
  identity_ = std::move(*identity);
  return {};
}

Result<void> DataDir::claim(std::string cluster_id, BrokerId node, Uuid fresh_directory_id) {
  Identity wanted{std::move(cluster_id), node.v, fresh_directory_id};
  if (identity_) {
    if (!identity_->cluster_id.empty() && identity_->cluster_id != wanted.cluster_id)
      return Error(Errc::conflict, fmt::format("data directory {} belongs to cluster {}, this is cluster {}: take it "
                                               "out of log.dirs, or start it alone",
                                               path_, identity_->cluster_id, wanted.cluster_id));
    if (identity_->node_id != wanted.node_id)
      return Error(Errc::conflict, fmt::format("data directory {} belongs to node {}, this is node {}: start with "
                                               "--set node.id={}, or choose another with --data-dir",
                                               path_, identity_->node_id, wanted.node_id, identity_->node_id));
    if (!identity_->cluster_id.empty() && !identity_->directory_id.is_zero()) return {};
    if (!identity_->directory_id.is_zero()) wanted.directory_id = identity_->directory_id;
  }
  std::string text = encode_identity(wanted);
  MR_TRY_VOID(replace_file(files_, in(kIdentityName), as_bytes(text)));
  MR_TRY_VOID(files_.sync_directory(parent_directory(path_)));
  identity_ = std::move(wanted);
  return {};
}

/// The marker says how the last process ended; it must be gone, durably, before this one changes anything.
Result<void> DataDir::take_clean_marker() {
  auto text = read_whole_file(files_, in(kCleanMarkerName), 64 << 10);
  if (!text.ok()) {
    if (text.code() == Errc::not_found) return {};
    return std::move(text).error();
  }
  // {"version":0,"brokerEpoch":7}; before Kafka 3.8 the file was empty. A version we do not know promises nothing.
  std::string_view json = as_text(*text);
  std::size_t version = json.find("\"version\":");
  was_clean_ =
      trim(json).empty() || (version != std::string_view::npos && trim(json.substr(version + 10)).starts_with('0'));
  MR_TRY_VOID(files_.remove(in(kCleanMarkerName)));
  return files_.sync_directory(path_);
}

Result<void> DataDir::retire_journals(const std::set<JournalEvidence::Key>& opened) {
  std::set<JournalEvidence::Key> keep;
  for (const JournalEvidence::Key& key : journals_->partitions())
    if (!opened.contains(key)) keep.insert(key);
  if (!keep.empty()) {
    MR_TRY(std::vector<PartitionDir> directories, partitions());
    std::erase_if(keep, [&](const JournalEvidence::Key& key) {
      return std::ranges::none_of(directories, [&](const PartitionDir& directory) {
        bool may_be = !directory.topic_id || *directory.topic_id == key.first;
        return may_be && directory.name.partition == key.second;
      });
    });
  }
  return journals_->retire(keep);
}

Result<void> DataDir::mark_clean() {
  MR_TRY_VOID(remove_journals(files_, path_));
  return replace_file(files_, in(kCleanMarkerName), as_bytes("{\"version\":0,\"brokerEpoch\":-1}"));
}

Result<void> DataDir::load_checkpoint(std::string_view name, OffsetCheckpoint& into) {
  auto text = read_whole_file(files_, in(name));
  if (!text.ok()) {
    if (text.code() == Errc::not_found) return {};
    return std::move(text).error();
  }
  auto offsets = decode_offset_checkpoint(as_text(*text));
  if (offsets.ok()) {
    into = std::move(*offsets);
    return {};
  }
  if (offsets.code() == Errc::newer_format) return in_file(in(name), std::move(offsets).error());
  log_warn("storage", "a checkpoint does not read; going on without it",
           {{"file", in(name)}, {"error", offsets.error().message()}});
  return {};
}

Result<void> DataDir::write_checkpoint(std::string_view name, const OffsetCheckpoint& offsets) {
  std::string text = encode_offset_checkpoint(offsets);
  return replace_file(files_, in(name), as_bytes(text));
}

Result<void> DataDir::write_checkpoints(const Checkpoints& checkpoints) {
  MR_TRY_VOID(write_checkpoint(kRecoveryPointName, checkpoints.recovery_points));
  MR_TRY_VOID(write_checkpoint(kLogStartName, checkpoints.log_starts));
  MR_TRY_VOID(write_checkpoint(kHighWatermarkName, checkpoints.high_watermarks));
  if (checkpoints.cleaned_ends != loaded_.cleaned_ends)
    MR_TRY_VOID(write_checkpoint(kCleanerName, checkpoints.cleaned_ends));
  loaded_ = checkpoints;
  return {};
}

Result<void> DataDir::save_log_starts(const OffsetCheckpoint& moved) {
  OffsetCheckpoint starts = loaded_.log_starts;
  bool changed = false;
  for (const auto& [partition, start] : moved) {
    Offset& known = starts[partition];
    if (start <= known) continue;
    known = start;
    changed = true;
  }
  if (!changed) return {};
  MR_TRY_VOID(write_checkpoint(kLogStartName, starts));
  loaded_.log_starts = std::move(starts);
  return {};
}

namespace {
Offset find_offset(const OffsetCheckpoint& offsets, const TopicPartition& partition) {
  auto found = offsets.find(partition);
  return found == offsets.end() ? Offset{0} : found->second;
}
}  // namespace

Offset DataDir::recovery_point(const TopicPartition& p) const { return find_offset(loaded_.recovery_points, p); }
Offset DataDir::log_start(const TopicPartition& p) const { return find_offset(loaded_.log_starts, p); }
Offset DataDir::high_watermark(const TopicPartition& p) const { return find_offset(loaded_.high_watermarks, p); }

Offset DataDir::cleaned_end(const TopicPartition& p) const { return find_offset(loaded_.cleaned_ends, p); }

std::string DataDir::partition_path(const TopicPartition& partition) const {
  MR_CHECK(valid_topic_name(partition.topic) && partition.partition.v >= 0);
  return in(partition.to_string());
}

Result<std::vector<PartitionDir>> DataDir::partitions() {
  MR_TRY(auto entries, files_.list(path_));
  std::vector<PartitionDir> found;
  unknown_.clear();
  for (const DirEntry& entry : entries) {
    auto name = entry.is_directory ? parse_partition_directory(entry.name) : std::nullopt;
    if (!name) {
      bool ours = entry.is_directory ? is_trash(entry.name) : is_known_file(entry.name);
      if (!ours) unknown_.push_back(entry.name);
      continue;
    }
    PartitionDir directory{std::move(*name), std::nullopt, in(entry.name)};
    auto id = read_partition_metadata(files_, directory.path);
    if (id.ok()) {
      directory.topic_id = *id;
    } else if (id.code() == Errc::resource_exhausted) {
      // About this process, not about the directory: who took it for nobody's would begin an empty log elsewhere.
      return std::move(id).error();
    } else if (id.code() != Errc::not_found) {
      log_warn("storage", "a partition's directory does not say whose it is", {{"error", id.error().message()}});
    }
    found.push_back(std::move(directory));
  }
  std::ranges::sort(found, {}, &PartitionDir::name);
  return found;
}

Result<std::string> DataDir::move_to_trash(const TopicPartition& partition, Uuid unique) {
  // A topic made again under this name must not meet the old one's log start, nor what was compacted of it.
  if (find_offset(loaded_.log_starts, partition) > Offset{0}) log_starts_stale_ = true;
  if (loaded_.cleaned_ends.erase(partition) > 0) cleaned_ends_stale_ = true;
  loaded_.recovery_points.erase(partition);
  loaded_.high_watermarks.erase(partition);
  loaded_.log_starts.erase(partition);
  // Before the rename, since after a crash nobody knows whose the line was. On a full disk deleting must go on: then
  // the checkpoint is written when the data has made room.
  (void)settle_stale_lines();
  std::string trash = in(trash_name(partition, unique));
  Result<void> renamed = files_.rename(partition_path(partition), trash);
  if (!renamed.ok()) {
    if (renamed.code() == Errc::not_found) return trash;
    return std::move(renamed).error();
  }
  MR_TRY_VOID(files_.sync_directory(path_));
  return trash;
}

Result<void> DataDir::settle_stale_lines() {
  if (log_starts_stale_) MR_TRY_VOID(write_checkpoint(kLogStartName, loaded_.log_starts));
  log_starts_stale_ = false;
  if (cleaned_ends_stale_) MR_TRY_VOID(write_checkpoint(kCleanerName, loaded_.cleaned_ends));
  cleaned_ends_stale_ = false;
  return {};
}

Result<void> DataDir::remove_trash(const std::string& path) {
  std::string_view name(path);
  name.remove_prefix(std::min(name.size(), path_.size() + 1));
  MR_CHECK(path.starts_with(path_ + "/") && is_trash(name));
  MR_TRY_VOID(files_.remove_all(path));
  return settle_stale_lines();
}

Result<void> DataDir::remove_partition(const TopicPartition& partition, TopicId owner, Uuid unique) {
  const std::string path = partition_path(partition);
  auto id = read_partition_metadata(files_, path);
  if (!id.ok() && id.code() != Errc::not_found) return std::move(id).error();
  bool ours = id.ok() && *id == owner;
  if (!id.ok()) {
    auto entries = files_.list(path);
    if (!entries.ok()) return entries.code() == Errc::not_found ? Result<void>() : std::move(entries).error();
    ours = std::ranges::none_of(*entries, [](const DirEntry& entry) { return entry.name.ends_with(kLogSuffix); });
  }
  if (!ours) {
    log_warn("storage", "a directory that is not the deleted topic's is left alone", {{"directory", path}});
    return {};
  }
  MR_TRY(std::string trash, move_to_trash(partition, unique));
  return remove_trash(trash);
}

/// Being trash is the evidence: the rename came after the decision was durable.
Result<void> DataDir::remove_old_trash() {
  MR_TRY(auto entries, files_.list(path_));
  for (const DirEntry& entry : entries) {
    if (!entry.is_directory || !is_trash(entry.name)) continue;
    log_info("storage", "removing what is left of a deleted partition", {{"directory", in(entry.name)}});
    MR_TRY_VOID(remove_trash(in(entry.name)));
  }
  return {};
}

Result<void> DataDir::remove_topic_data(TopicId id) {
  MR_TRY(std::vector<PartitionDir> directories, partitions());
  for (const PartitionDir& directory : directories) {
    if (directory.topic_id != id) continue;
    // The topic's own id makes the name unique: only one directory was ever this partition of this topic.
    MR_TRY(std::string trash, move_to_trash(directory.name, id.v));
    MR_TRY_VOID(remove_trash(trash));
  }
  MR_TRY(auto entries, files_.list(path_));
  for (const DirEntry& entry : entries) {
    if (!entry.is_directory || !is_trash(entry.name)) continue;
    auto owner = read_partition_metadata(files_, in(entry.name));
    if (owner.ok() && *owner == id) MR_TRY_VOID(remove_trash(in(entry.name)));
  }
  return settle_stale_lines();
}

}  // namespace mr::storage
