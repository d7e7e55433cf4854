#include "metastore/journal.h"

namespace mr::metastore {

Result<Snapshot> MemoryJournal::load() {
  Snapshot snapshot{.revision = revision_};
  for (const auto& [key, kv] : items_) snapshot.items.push_back(kv);
  for (const auto& [id, ttl] : leases_) snapshot.leases.push_back({id, ttl});
  return snapshot;
}

Result<void> MemoryJournal::commit(const Change& change) {
  for (const auto& event : change.events) {
    if (event.removed)
      items_.erase(event.kv.key);
    else
      items_[event.kv.key] = event.kv;
  }
  if (change.granted) leases_[change.granted->id] = change.granted->ttl;
  if (change.revoked.v != 0) leases_.erase(change.revoked);
  revision_ = change.revision;
  return {};
}

}  // namespace mr::metastore
