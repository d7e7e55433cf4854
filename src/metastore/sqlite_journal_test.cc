// Aim: the metadata file survives crashes at any point as some prefix of what was committed, and foreign, newer and
// damaged files are told apart. Method: real files; a "crash" is a copy of the files, the write-ahead log cut anywhere.
#include <gtest/gtest.h>

#include "metastore/metastore_fixture.h"
#include "runtime/machine_facts.h"

namespace mr::metastore {
namespace {

std::string read_file(const std::string& path) {
  auto file = real_files().open(path, OpenMode::read);
  if (!file.ok()) return "";
  std::string text((*file)->size().value(), '\0');
  auto bytes = std::as_writable_bytes(std::span(text));
  EXPECT_EQ((*file)->read_at(bytes, 0).value(), text.size());
  return text;
}
void write_file(const std::string& path, std::string_view text) {
  (void)real_files().remove(path);
  auto file = real_files().open(path, OpenMode::create);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->write_at(as_bytes(text), 0).ok());
}

Change put(std::int64_t revision, const std::string& key) {
  const Revision r{revision};
  Change change{.revision = r};
  change.events.push_back({.kv = {key, std::to_string(revision), r, r, 1, {}}});
  return change;
}

TEST(SqliteJournal, ACrashLeavesAPrefixOfTheCommits) {
  TemporaryDirectory directory;
  const auto path = directory.file("metadata.db");
  auto journal = make_sqlite_journal(path);
  ASSERT_TRUE(journal->load().ok());
  constexpr std::int64_t kCommits = 6;
  std::vector<std::size_t> log_sizes;
  for (std::int64_t i = 1; i <= kCommits; ++i) {
    ASSERT_TRUE(journal->commit(put(i, "k" + std::to_string(i))).ok());
    log_sizes.push_back(read_file(path + "-wal").size());
  }
  const auto base = read_file(path), log = read_file(path + "-wal");
  ASSERT_GT(log.size(), 0u);
  const auto copy = directory.file("copy.db");
  for (std::size_t cut = 0; cut <= log.size();
       cut += std::min<std::size_t>(997, std::max<std::size_t>(log.size() - cut, 1))) {
    write_file(copy, base);
    write_file(copy + "-wal", log.substr(0, cut));
    auto snapshot = make_sqlite_journal(copy)->load();
    ASSERT_TRUE(snapshot.ok()) << cut << " " << snapshot.error().message();
    // Whatever was in the log when its commit returned is there; nothing is there in part.
    std::int64_t sure = 0;
    while (sure < kCommits && log_sizes[static_cast<std::size_t>(sure)] <= cut) ++sure;
    EXPECT_GE(snapshot->revision.v, sure) << cut;
    EXPECT_EQ(snapshot->items.size(), static_cast<std::size_t>(snapshot->revision.v)) << cut;
  }
}

/// The write-ahead log of the one database in `directory`.
ListedFile log_file(const std::string& directory) {
  auto listing = list_files(directory, 10);
  EXPECT_TRUE(listing.ok());
  for (const ListedFile& file : listing->files)
    if (file.path.ends_with("-wal")) return file;
  ADD_FAILURE() << "no log";
  return {};
}

TEST(SqliteJournal, TheLogHasRoomOnAFullDisk) {
  TemporaryDirectory directory;
  const auto path = directory.file("metadata.db");
  auto journal = make_sqlite_journal(path);
  ASSERT_TRUE(journal->load().ok());
  for (std::int64_t i = 1; i <= 300; ++i) {
    ASSERT_TRUE(journal->commit(put(i, "k" + std::to_string(i))).ok());
    const ListedFile log = log_file(directory.file(""));
    ASSERT_GE(log.allocated_bytes, log.bytes + (512 << 10));
  }
}

TEST(SqliteJournal, TellsForeignNewerAndLockedFilesApart) {
  TemporaryDirectory directory;
  const auto path = directory.file("metadata.db");
  {
    auto journal = make_sqlite_journal(path);
    ASSERT_TRUE(journal->load().ok());
    ASSERT_TRUE(journal->commit(put(1, "k")).ok());
    EXPECT_EQ(make_sqlite_journal(path)->load().code(), Errc::in_use);
  }
  // user_version lies at byte 60 of SQLite's header, application_id at 68, both big-endian.
  const auto good = read_file(path);
  auto newer = good;
  newer[63] = 2;
  write_file(path, newer);
  EXPECT_EQ(make_sqlite_journal(path)->load().code(), Errc::newer_format);
  auto foreign = good;
  foreign[68] = 'X';
  write_file(path, foreign);
  EXPECT_EQ(make_sqlite_journal(path)->load().code(), Errc::corrupt_data);
  write_file(path, std::string(5000, 'x'));
  EXPECT_EQ(make_sqlite_journal(path)->load().code(), Errc::corrupt_data);
  write_file(path, good);
  EXPECT_EQ(make_sqlite_journal(path)->load()->revision, Revision{1});
  EXPECT_EQ(make_sqlite_journal(directory.file("no/such/dir.db"))->load().code(), Errc::io_error);
}

}  // namespace
}  // namespace mr::metastore
