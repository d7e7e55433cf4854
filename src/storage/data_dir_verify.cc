// What the files beside the partitions say, and whether they read.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "storage/data_dir.h"
#include "storage/journal_reader.h"
#include "storage/log_verify.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

using Kind = VerifyProblem::Kind;

void add_problem(DataDirReport& report, Kind kind, std::string file, std::string what,
                 std::optional<Offset> next = {}) {
  report.problems.push_back({.kind = kind,
                             .file = std::move(file),
                             .offset = next ? std::optional(Offset{0}) : std::nullopt,
                             .what = std::move(what),
                             .next = next});
}

/// A checkpoint, when it is there and reads. Only a clean stop promises that it is there.
Result<std::optional<OffsetCheckpoint>> load(FileSystem& files, const std::string& path, bool must_exist,
                                             DataDirReport& report) {
  auto text = read_whole_file(files, path);
  if (!text.ok() && text.code() != Errc::not_found) return std::move(text).error();
  if (!text.ok()) {
    if (must_exist) add_problem(report, Kind::side_file, path, "missing");
    return std::optional<OffsetCheckpoint>();
  }
  auto offsets = decode_offset_checkpoint(as_text(*text));
  if (offsets.ok()) return std::optional(std::move(*offsets));
  add_problem(report, Kind::side_file, path, offsets.error().message());
  return std::optional<OffsetCheckpoint>();
}

/// What they carry and the files lack is put back by the next start; what they say of the files is evidence.
Result<void> read_journals(FileSystem& files, const std::string& path, DataDirReport& report) {
  auto journals = JournalEvidence::read(files, path);
  if (!journals.ok() && journals.code() == Errc::disk_failed) return std::move(journals).error();
  if (!journals.ok()) {
    add_problem(report, Kind::side_file, path + "/commit journal", journals.error().message());
    return {};
  }
  if ((*journals)->damaged_blocks() > 0)
    add_problem(report, Kind::side_file, path + "/commit journal",
                fmt::format("{} blocks of it had been on disk and do not read", (*journals)->damaged_blocks()));
  for (const JournalEvidence::Key& key : (*journals)->partitions()) {
    MR_TRY(CommitEvidence evidence, (*journals)->evidence_of(key.first, key.second));
    Offset end{0};
    for (const JournalRun& run : evidence.durable) end = std::max(end, run.next);
    report.journal_ends[key] = end;
  }
  return {};
}

}  // namespace

Result<DataDirReport> verify_data_directory(FileSystem& files, const std::string& path) {
  DataDirReport report;
  MR_TRY(auto entries, files.list(path));
  std::set<std::string, std::less<>> names;
  for (const DirEntry& entry : entries) names.insert(entry.name);
  auto in = [&](std::string_view name) { return path + "/" + std::string(name); };
  if (names.contains(kCleanMarkerName)) {
    MR_TRY(auto marker, read_whole_file(files, in(kCleanMarkerName)));
    report.closed = true;
    report.closed_here = as_text(marker).find("\"brokerEpoch\":-1") != std::string_view::npos;
  }
  bool ours = false;
  for (std::string_view name : {kIdentityName, kCleanMarkerName, kRecoveryPointName, kLogStartName, kHighWatermarkName})
    ours = ours || names.contains(name);
  if (!ours) return report;
  if (names.contains(kIdentityName)) {
    MR_TRY(auto text, read_whole_file(files, in(kIdentityName)));
    auto identity = DataDir::check_identity(as_text(text));
    if (!identity.ok()) add_problem(report, Kind::side_file, in(kIdentityName), identity.error().message());
  } else {
    add_problem(report, Kind::side_file, in(kIdentityName), "missing");
  }
  MR_TRY(report.recovery_points, load(files, in(kRecoveryPointName), report.closed, report));
  MR_TRY_VOID(load(files, in(kLogStartName), report.closed, report));
  MR_TRY_VOID(load(files, in(kHighWatermarkName), report.closed, report));
  MR_TRY(report.cleaned, load(files, in(kCleanerName), false, report));
  MR_TRY_VOID(read_journals(files, path, report));
  if (!report.closed || !report.recovery_points) return report;
  for (const auto& [partition, point] : *report.recovery_points)
    if (point > Offset{0} && !names.contains(partition.to_string()))
      add_problem(report, Kind::missing, in(partition.to_string()),
                  fmt::format("missing; the recovery point says that it holds offsets up to {}", point.v - 1), point);
  return report;
}

}  // namespace mr::storage
