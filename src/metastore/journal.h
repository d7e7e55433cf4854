#pragma once
#include <map>
#include <memory>
#include <string>

#include "metastore/state.h"

namespace mr::metastore {

/// Where a LocalMetastore keeps its state. Calls block: on the offload pool, one at a time.
class Journal {
 public:
  virtual ~Journal() = default;
  /// Once, before the first commit. Errors: newer_format, corrupt_data, in_use, io_error, ...
  virtual Result<Snapshot> load() = 0;
  /// All or nothing, durable on return. Errors: disk_full: nothing happened, try again later; anything else: it may or
  /// may not have happened, and the journal must not be used again.
  virtual Result<void> commit(const Change& change) = 0;
};

/// One SQLite file (docs/formats/metadata-keys.md). SQLite opens its own files: production only.
std::unique_ptr<Journal> make_sqlite_journal(std::string path);

/// Keeps everything in memory: for simulation and tests. What was committed stays as long as the object does, so a
/// LocalMetastore opened again over it finds what a disk would hold.
class MemoryJournal : public Journal {
 public:
  Result<Snapshot> load() override;
  Result<void> commit(const Change& change) override;

 private:
  Revision revision_;
  std::map<std::string, KeyValue> items_;
  std::map<LeaseId, Millis> leases_;
};

}  // namespace mr::metastore
