// The one file that knows SQLite. SQLite opens and syncs its own files, so it does not go through Env; tools/tidy lists
// this file as the exception.
#include <sqlite3.h>

#include "metastore/journal.h"
#include "runtime/real_host.h"

namespace mr::metastore {

namespace {

/// Stored in the file's header, so that `file` and a newer Millrace recognise it.
constexpr int kApplicationId = 0x4d524d44;  // "MRMD"
constexpr int kFormatVersion = 1;
/// Blocks that the write-ahead log always has in front of it. A start has to raise the leader epochs, also on a disk
/// that is full to the brim: a thousand partitions take about half of this.
constexpr std::uint64_t kRoom = 1 << 20;

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

/// One prepared statement, reset after each run.
class Statement {
 public:
  Result<void> prepare(sqlite3* db, const char* sql) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr) != SQLITE_OK)
      return Error(Errc::io_error, sqlite3_errmsg(db));
    statement_.reset(raw);
    return {};
  }
  void bind(int index, std::int64_t number) { sqlite3_bind_int64(statement_.get(), index, number); }
  /// `bytes` must stay until the next reset().
  void bind(int index, const std::string& bytes) {
    sqlite3_bind_blob64(statement_.get(), index, bytes.data(), bytes.size(), SQLITE_STATIC);
    if (bytes.empty()) sqlite3_bind_zeroblob(statement_.get(), index, 0);
  }
  int step() { return sqlite3_step(statement_.get()); }
  void reset() {
    sqlite3_reset(statement_.get());
    sqlite3_clear_bindings(statement_.get());
  }
  std::int64_t number(int column) { return sqlite3_column_int64(statement_.get(), column); }
  std::string bytes(int column) {
    const void* data = sqlite3_column_blob(statement_.get(), column);
    const int size = sqlite3_column_bytes(statement_.get(), column);
    return data == nullptr ? "" : std::string(static_cast<const char*>(data), static_cast<std::size_t>(size));
  }

 private:
  std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement_;
};

class SqliteJournal final : public Journal {
 public:
  explicit SqliteJournal(std::string path) : path_(std::move(path)) {}
  Result<Snapshot> load() override;
  Result<void> commit(const Change& change) override;

 private:
  Error failure(int code) const;
  Result<void> execute(const char* sql);
  Result<std::int64_t> ask_number(const char* sql);
  Result<void> create_or_check();
  Result<void> prepare_all();
  Result<void> run(Statement& statement);
  Result<void> write(const Change& change);
  void keep_room();

  std::string path_;
  std::unique_ptr<sqlite3, CloseDatabase> db_;
  Revision revision_;
  std::uint64_t taken_ = 0;  ///< bytes of the write-ahead log that have blocks
  // After db_, so that they are finalized before it closes.
  Statement put_, remove_, head_, grant_, revoke_;
};

Error SqliteJournal::failure(int code) const {
  auto detail = path_ + ": " + sqlite3_errmsg(db_.get());
  switch (code & 0xff) {
    case SQLITE_FULL:
      return {Errc::disk_full, detail};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Errc::in_use, detail};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {Errc::corrupt_data, detail};
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return {Errc::permission_denied, detail};
    case SQLITE_CANTOPEN:
      return {Errc::io_error, detail};
    default:
      return {Errc::io_error, detail};
  }
}

Result<void> SqliteJournal::execute(const char* sql) {
  if (int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr); code != SQLITE_OK) return failure(code);
  return {};
}

Result<std::int64_t> SqliteJournal::ask_number(const char* sql) {
  Statement statement;
  MR_TRY_VOID(statement.prepare(db_.get(), sql));
  const int code = statement.step();
  if (code != SQLITE_ROW) return failure(code);
  return statement.number(0);
}

Result<void> SqliteJournal::run(Statement& statement) {
  const int code = statement.step();
  std::optional<Error> error;
  if (code != SQLITE_DONE) error = failure(code);
  statement.reset();
  if (error) return *error;
  return {};
}

Result<void> SqliteJournal::create_or_check() {
  MR_TRY(auto application, ask_number("PRAGMA application_id"));
  MR_TRY(auto version, ask_number("PRAGMA user_version"));
  MR_TRY(auto tables, ask_number("SELECT count(*) FROM sqlite_schema"));
  if (tables == 0) {
    static_assert(kApplicationId == 1297239364 && kFormatVersion == 1);  // as written below
    return execute(
        "BEGIN IMMEDIATE;"
        "CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB NOT NULL, create_revision INTEGER NOT NULL,"
        " mod_revision INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE lease(id INTEGER PRIMARY KEY, ttl_ms INTEGER NOT NULL);"
        "CREATE TABLE head(one INTEGER PRIMARY KEY CHECK(one = 1), revision INTEGER NOT NULL);"
        "INSERT INTO head VALUES(1, 0);"
        "PRAGMA application_id = 1297239364;"
        "PRAGMA user_version = 1;"
        "COMMIT");
  }
  if (application != kApplicationId) return Error(Errc::corrupt_data, path_ + " is not a Millrace metadata file");
  if (version > kFormatVersion) return Error(Errc::newer_format, path_ + " was written by a newer Millrace");
  Statement check;
  MR_TRY_VOID(check.prepare(db_.get(), "PRAGMA quick_check(1)"));
  if (check.step() != SQLITE_ROW || check.bytes(0) != "ok")
    return Error(Errc::corrupt_data, path_ + " fails SQLite's quick_check");
  return {};
}

Result<void> SqliteJournal::prepare_all() {
  MR_TRY_VOID(put_.prepare(db_.get(), "INSERT OR REPLACE INTO kv VALUES(?,?,?,?,?,?)"));
  MR_TRY_VOID(remove_.prepare(db_.get(), "DELETE FROM kv WHERE key=?"));
  MR_TRY_VOID(head_.prepare(db_.get(), "UPDATE head SET revision=? WHERE revision=?"));
  MR_TRY_VOID(grant_.prepare(db_.get(), "INSERT OR REPLACE INTO lease VALUES(?,?)"));
  return revoke_.prepare(db_.get(), "DELETE FROM lease WHERE id=?");
}

Result<Snapshot> SqliteJournal::load() {
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path_.c_str(), &raw, flags, nullptr);
  db_.reset(raw);
  if (code != SQLITE_OK) return failure(code);
  // Exclusive: the data directory is ours alone, and no shared-memory file is needed. FULL: a commit is on disk.
  MR_TRY_VOID(execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"));
  MR_TRY_VOID(create_or_check());
  MR_TRY_VOID(prepare_all());
  keep_room();

  Snapshot snapshot;
  MR_TRY(snapshot.revision.v, ask_number("SELECT revision FROM head"));
  revision_ = snapshot.revision;
  Statement items, leases;
  MR_TRY_VOID(items.prepare(db_.get(), "SELECT key,value,create_revision,mod_revision,version,lease FROM kv"));
  int step = SQLITE_ROW;
  while ((step = items.step()) == SQLITE_ROW)
    snapshot.items.push_back({items.bytes(0), items.bytes(1), Revision{items.number(2)}, Revision{items.number(3)},
                              items.number(4), LeaseId{items.number(5)}});
  if (step != SQLITE_DONE) return failure(step);
  MR_TRY_VOID(leases.prepare(db_.get(), "SELECT id,ttl_ms FROM lease"));
  while ((step = leases.step()) == SQLITE_ROW)
    snapshot.leases.push_back({LeaseId{leases.number(0)}, Millis(leases.number(1))});
  if (step != SQLITE_DONE) return failure(step);
  return snapshot;
}

Result<void> SqliteJournal::write(const Change& change) {
  for (const auto& event : change.events) {
    const auto& kv = event.kv;
    if (event.removed) {
      remove_.bind(1, kv.key);
      MR_TRY_VOID(run(remove_));
      continue;
    }
    put_.bind(1, kv.key);
    put_.bind(2, kv.value);
    put_.bind(3, kv.create_revision.v);
    put_.bind(4, kv.mod_revision.v);
    put_.bind(5, kv.version);
    put_.bind(6, kv.lease.v);
    MR_TRY_VOID(run(put_));
  }
  if (change.granted) {
    grant_.bind(1, change.granted->id.v);
    grant_.bind(2, change.granted->ttl.count());
    MR_TRY_VOID(run(grant_));
  }
  if (change.revoked.v != 0) {
    revoke_.bind(1, change.revoked.v);
    MR_TRY_VOID(run(revoke_));
  }
  head_.bind(1, change.revision.v);
  head_.bind(2, revision_.v);
  MR_TRY_VOID(run(head_));
  // Somebody else wrote the file under our lock.
  if (sqlite3_changes(db_.get()) != 1) return Error(Errc::corrupt_data, path_ + ": the revision is not ours");
  return {};
}

Result<void> SqliteJournal::commit(const Change& change) {
  MR_TRY_VOID(execute("BEGIN IMMEDIATE"));
  auto written = write(change);
  if (written.ok()) written = execute("COMMIT");
  if (!written.ok()) {
    // After a full disk SQLite may have rolled back on its own; then this fails and means nothing.
    (void)execute("ROLLBACK");
    return written;
  }
  revision_ = change.revision;
  keep_room();
  return {};
}

/// Takes blocks behind the end of the write-ahead log without making it longer. When there are none, what was taken
/// before is still there.
void SqliteJournal::keep_room() {
  auto log = real_files().open(path_ + "-wal", OpenMode::read_write);
  if (!log.ok()) return;  // SQLite makes it with the first commit
  auto size = (*log)->size();
  if (!size.ok() || *size + kRoom / 2 <= taken_) return;
  if ((*log)->allocate(0, *size + kRoom).ok()) taken_ = *size + kRoom;
}

}  // namespace

std::unique_ptr<Journal> make_sqlite_journal(std::string path) {
  return std::make_unique<SqliteJournal>(std::move(path));
}

}  // namespace mr::metastore
