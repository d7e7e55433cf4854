#include "storage/index_file.h"

#include "base/check.h"
#include "storage/segment_names.h"

namespace mr::storage {

std::string IndexFile::path() const { return segment_path(place_->directory, base_, suffix_); }

Result<File*> IndexFile::file() {
  if (!file_) {
    MR_TRY(std::unique_ptr<File> opened, place_->files.open(path(), OpenMode::create));
    file_ = std::move(opened);
  }
  return file_.get();
}

Result<void> IndexFile::load() {
  pending_.clear();
  forget_block();
  written_ = 0;
  auto opened = place_->files.open(path(), OpenMode::read);
  if (!opened.ok()) {
    if (opened.code() == Errc::not_found) return {};
    return std::move(opened).error();
  }
  MR_TRY(std::uint64_t size, (*opened)->size());
  written_ = size / entry_bytes_;
  return {};
}

Result<void> IndexFile::reset() {
  pending_.clear();
  forget_block();
  written_ = 0;
  MR_TRY(File * file, this->file());
  return file->truncate(0);
}

Result<void> IndexFile::append(ByteView entry) {
  MR_CHECK(entry.size() == entry_bytes_);
  if (pending_.capacity() == 0) pending_.reserve(kPendingMax * entry_bytes_);
  pending_.insert(pending_.end(), entry.begin(), entry.end());
  if (pending_.size() < kPendingMax * entry_bytes_) return {};
  Result<void> flushed = flush();
  if (!flushed.ok() && (flushed.code() == Errc::disk_full || flushed.code() == Errc::resource_exhausted)) return {};
  return flushed;
}

Result<void> IndexFile::flush() {
  if (pending_.empty()) return {};
  MR_TRY(File * file, this->file());
  MR_TRY_VOID(file->write_at(pending_, written_ * entry_bytes_));
  written_ += pending_.size() / entry_bytes_;
  pending_.clear();
  return {};
}

Result<std::shared_ptr<File>> IndexFile::flushed_file() {
  MR_TRY_VOID(flush());
  MR_TRY(File * file, this->file());
  MR_TRY(std::uint64_t size, file->size());
  // A failed group write may have left a part of itself, and a foreign index may be preallocated.
  if (size != written_ * entry_bytes_) MR_TRY_VOID(file->truncate(written_ * entry_bytes_));
  pending_.shrink_to_fit();
  return file_;
}

Result<void> IndexFile::read(std::uint64_t n, MutableBytes entry) {
  MR_CHECK(n < entries());
  if (n >= written_) {
    std::memcpy(entry.data(), pending_.data() + (n - written_) * entry_bytes_, entry_bytes_);
    return {};
  }
  if (n >= block_first_ && n < block_end()) {
    std::memcpy(entry.data(), block_.data() + (n - block_first_) * entry_bytes_, entry_bytes_);
    return {};
  }
  MR_TRY(File * file, this->file());
  MR_TRY(std::size_t got, file->read_at(entry, n * entry_bytes_));
  if (got != entry_bytes_) return Error(Errc::corrupt_data, path() + ": shorter than when it was opened");
  return {};
}

Result<void> IndexFile::load_block(std::uint64_t low) {
  MR_TRY(File * file, this->file());
  std::uint64_t count = std::min<std::uint64_t>(kBlockEntries, written_ - low);
  block_.resize(count * entry_bytes_);
  auto got = file->read_at(block_, low * entry_bytes_);
  block_first_ = low;
  if (got.ok() && *got == block_.size()) return {};
  forget_block();
  if (!got.ok()) return std::move(got).error();
  return Error(Errc::corrupt_data, path() + ": shorter than when it was opened");
}

Result<void> OffsetIndex::append(Offset last_offset, std::uint64_t position) {
  std::array<std::byte, kEntryBytes> entry;
  store_be(entry.data(), static_cast<std::int32_t>(last_offset.v - base_.v));
  store_be(entry.data() + 4, static_cast<std::int32_t>(position));
  return file_.append(entry);
}

Result<std::uint64_t> OffsetIndex::position_of_entry_before(std::uint64_t n) {
  if (n == 0) return std::uint64_t{0};
  std::array<std::byte, kEntryBytes> entry;
  MR_TRY_VOID(file_.read(n - 1, entry));
  auto position = load_be<std::int32_t>(entry.data() + 4);
  return position < 0 ? std::uint64_t{0} : static_cast<std::uint64_t>(position);
}

Result<std::uint64_t> OffsetIndex::position_for(Offset offset) {
  MR_TRY(std::uint64_t after,
         file_.partition_point([&](const std::byte* at) { return base_.v + load_be<std::int32_t>(at) <= offset.v; }));
  return position_of_entry_before(after);
}

Result<std::uint64_t> OffsetIndex::position_before(std::uint64_t position) {
  MR_TRY(std::uint64_t after, file_.partition_point([&](const std::byte* at) {
    return load_be<std::int32_t>(at + 4) <= static_cast<std::int64_t>(position);
  }));
  return position_of_entry_before(after);
}

Result<void> TimeIndex::prepare_append() {
  if (newest_) return {};
  MR_TRY(Entry newest, last());
  newest_ = newest.timestamp;
  return {};
}

Result<void> TimeIndex::append(WallMillis timestamp, Offset offset) {
  MR_TRY_VOID(prepare_append());
  if (timestamp <= *newest_) return {};
  std::array<std::byte, kEntryBytes> entry;
  store_be(entry.data(), timestamp);
  store_be(entry.data() + 8, static_cast<std::int32_t>(offset.v - base_.v));
  MR_TRY_VOID(file_.append(entry));
  newest_ = timestamp;
  return {};
}

TimeIndex::Entry TimeIndex::decode(const std::byte* at) const {
  return {load_be<std::int64_t>(at), Offset{base_.v + load_be<std::int32_t>(at + 8)}};
}

Result<TimeIndex::Entry> TimeIndex::entry_before(std::uint64_t n) {
  if (n == 0) return Entry{-1, base_};
  std::array<std::byte, kEntryBytes> entry;
  MR_TRY_VOID(file_.read(n - 1, entry));
  return decode(entry.data());
}

Result<TimeIndex::Entry> TimeIndex::last() { return entry_before(file_.entries()); }

Result<TimeIndex::Entry> TimeIndex::last_before(WallMillis timestamp) {
  MR_TRY(std::uint64_t n, file_.partition_point([&](const std::byte* at) { return decode(at).timestamp < timestamp; }));
  return entry_before(n);
}

Result<TimeIndex::Entry> TimeIndex::last_below(Offset offset) {
  MR_TRY(std::uint64_t n, file_.partition_point([&](const std::byte* at) { return decode(at).offset < offset; }));
  return entry_before(n);
}

}  // namespace mr::storage
