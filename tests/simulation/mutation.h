#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "runtime/env.h"
#include "storage/log.h"

namespace mr::sim {

/// Ways to break the system under test, or its surroundings, that the checker must notice. None is in product code:
/// they are lies of the fake disk, file system calls and logs that do a little less than they say, clients and a
/// metastore that misbehave.
enum class Mutation {
  none,
  lying_sync,                 ///< the disk says synced and never is
  ack_before_sync,            ///< a sync is answered at once and made one round later
  weak_flush,                 ///< topics are made with flush.messages=100000: acks=all is answered before the sync
  sync_error_ignored,         ///< a failed sync counts as done
  sync_retried,               ///< a failed sync is tried again, and the second answer believed
  watermark_from_end,         ///< the watermark follows the appended end as soon as any round ends
  early_repeat,               ///< a repeated batch is answered although its first copy is not synced yet
  sequence_check_off,         ///< every batch of an idempotent producer is taken for fresh
  torn_tail_kept,             ///< recovery does not look at checksums: a torn batch stays
  synced_tail_cut,            ///< recovery cuts a little more than the torn tail
  recovered_tail_not_synced,  ///< what recovery found is served without a sync
  fresh_sequences,            ///< a producer that retries under new sequences: duplicates
  lost_metadata,              ///< at a crash the metastore forgets its last commits: topics and epochs go back
  lost_settings,              ///< at a crash a topic's own key goes back to what it was at the crash before
  rotten_medium,              ///< stored bits flip, and nobody knows
  lying_directories,          ///< sync_directory says ok and does nothing: names of segments get lost
  journal_before_data,        ///< the journal says "synced" of batches whose sync is still to come
  journal_ignored,            ///< recovery does not ask the commit journal
  log_start_not_saved,        ///< the checkpoint of log starts keeps its old contents
  half_recycled_early,        ///< half a journal is written over before what it carries is in its own files
};
const char* to_string(Mutation mutation);
/// All but none.
std::span<const Mutation> all_mutations();
/// none when there is no mutation of this name.
Mutation mutation_named(std::string_view name);

/// `inner` as the mutated program calls it. `serving` tells whether the broker has started. Mutations that are not in
/// the file system give `inner` back.
std::unique_ptr<FileSystem> mutate_files(Mutation mutation, std::unique_ptr<FileSystem> inner,
                                         std::function<bool()> serving);

using OpenLog =
    std::function<Result<std::unique_ptr<storage::Log>>(FileSystem& files, storage::Log::OpenOptions options)>;
/// How the mutated program opens logs; empty for mutations that are elsewhere.
OpenLog mutate_logs(Mutation mutation);

}  // namespace mr::sim
