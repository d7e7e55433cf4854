#include "storage/compaction_recovery.h"

#include <algorithm>

#include "base/log.h"
#include "storage/segment_names.h"
#include "storage/small_file.h"

namespace mr::storage {
namespace {

constexpr std::size_t kScanChunkBytes = 256u << 10;

/// A name like 00000000000000000042.log.swap, without its last part; empty when it is none.
std::optional<SegmentFileName> parse_stage(std::string_view name, std::string_view stage) {
  if (!name.ends_with(stage)) return std::nullopt;
  auto parsed = parse_segment_file_name(name.substr(0, name.size() - stage.size()));
  return parsed && !parsed->deleted ? parsed : std::nullopt;
}

class Settlement {
 public:
  Settlement(const LogPlace& place, const std::vector<DirEntry>& entries) : place_(place), entries_(entries) {}

  Result<void> run() {
    for (const DirEntry& entry : entries_) {
      if (auto cleaned = parse_stage(entry.name, kCleanedSuffix)) {
        lowest_cleaned_ = std::min(lowest_cleaned_, cleaned->base);
        MR_TRY_VOID(remove(entry.name));
      } else if (auto swap = parse_stage(entry.name, kSwapSuffix); swap && swap->suffix == kLogSuffix) {
        swaps_.insert(swap->base);
      }
    }
    for (Offset base : swaps_) {
      MR_TRY(bool counts, stands_for_the_old(base));
      if (counts) MR_TRY_VOID(replace_old(base));
    }
    for (const DirEntry& entry : entries_)
      if (parse_stage(entry.name, kSwapSuffix)) MR_TRY_VOID(remove(entry.name));
    return place_.files.sync_directory(place_.directory);
  }

 private:
  std::string path(Offset base, std::string_view suffix) const { return segment_path(place_.directory, base, suffix); }
  std::string swap_path(Offset base, std::string_view suffix) const {
    return path(base, suffix) + std::string(kSwapSuffix);
  }
  /// Missing is fine.
  Result<void> remove(const std::string& name) {
    auto removed = place_.files.remove(place_.directory + "/" + name);
    return !removed.ok() && removed.code() == Errc::not_found ? Result<void>{} : removed;
  }

  Result<bool> stands_for_the_old(Offset base) {
    if (base >= lowest_cleaned_) {
      // Split and not all of it ready: then the old one is there. If it is not, only this one is left.
      MR_TRY(bool old_there, place_.files.exists(path(base, kLogSuffix)));
      if (old_there) return false;
    }
    auto end = end_of_segment_file(place_.files, swap_path(base, kLogSuffix), BatchScanner::Depth::checksums);
    if (!end.ok() && end.code() != Errc::corrupt_batch) return std::move(end).error();
    if (end.ok() && *end > base) {
      end_ = *end;
      return true;
    }
    MR_TRY(bool old_there, place_.files.exists(path(base, kLogSuffix)));
    log_error("storage", old_there ? "compacted segment does not read; the old one stays" : "compacted segment is bad",
              {{"file", swap_path(base, kLogSuffix)}, {"found", end.ok() ? "empty" : end.error().message()}});
    end_ = Offset{base.v + 1};
    return !old_there;
  }

  /// Old files in [base, end_) go, durably; then the new ones get their names. Snapshots stay: they are evidence.
  Result<void> replace_old(Offset base) {
    for (const DirEntry& entry : entries_) {
      auto at = parse_base_offset(entry.name);
      if (!at || *at < base || *at >= end_ || entry.name.ends_with(kSnapshotSuffix)) continue;
      if (entry.name.ends_with(kSwapSuffix) || entry.name.ends_with(kDeletedSuffix)) continue;
      bool stays = *at == base && (entry.name.ends_with(kLogSuffix) || entry.name.ends_with(kTransactionIndexSuffix));
      if (!stays) MR_TRY_VOID(remove(entry.name));
    }
    MR_TRY_VOID(place_.files.sync_directory(place_.directory));
    for (std::string_view suffix :
         {kOffsetIndexSuffix, kTimeIndexSuffix, kTransactionIndexSuffix, kSealSuffix, kLogSuffix}) {
      auto renamed = place_.files.rename(swap_path(base, suffix), path(base, suffix));
      if (!renamed.ok() && renamed.code() != Errc::not_found) return renamed;
    }
    log_info("storage", "finished an interrupted compaction",
             {{"file", path(base, kLogSuffix)}, {"next_offset", end_.v}});
    return {};
  }

  const LogPlace& place_;
  const std::vector<DirEntry>& entries_;
  std::set<Offset> swaps_;
  Offset lowest_cleaned_{INT64_MAX};
  Offset end_{0};
};

}  // namespace

bool has_unfinished_compaction(const std::vector<DirEntry>& entries) {
  return std::ranges::any_of(entries, [](const DirEntry& entry) {
    return parse_stage(entry.name, kCleanedSuffix) || parse_stage(entry.name, kSwapSuffix);
  });
}

Result<void> settle_compaction(const LogPlace& place, const std::vector<DirEntry>& entries) {
  return Settlement(place, entries).run();
}

Result<Offset> end_of_segment_file(FileSystem& files, const std::string& path, BatchScanner::Depth depth) {
  MR_TRY(auto file, files.open(path, OpenMode::read));
  MR_TRY(std::uint64_t size, file->size());
  Offset end{0};
  BatchScanner scanner(*file, 0, size, depth, kScanChunkBytes);
  while (true) {
    auto item = scanner.next();
    if (!item.ok()) return in_file(path, std::move(item).error());
    if (!*item) return end;
    end = (*item)->header.next_offset();
  }
}

Result<std::set<Offset>> given_up_by_retention(const LogPlace& place, const std::vector<Offset>& live,
                                               const std::set<Offset>& given_up) {
  std::set<Offset> by_retention;
  for (Offset base : given_up) {
    auto above = std::ranges::upper_bound(live, base);
    if (above == live.begin()) {
      by_retention.insert(base);
      continue;
    }
    std::string covers = segment_path(place.directory, *(above - 1), kLogSuffix);
    auto end = end_of_segment_file(place.files, covers, BatchScanner::Depth::headers);
    if (!end.ok() && end.code() != Errc::corrupt_batch) return std::move(end).error();
    if (end.ok() && *end <= base) by_retention.insert(base);
  }
  return by_retention;
}

}  // namespace mr::storage
