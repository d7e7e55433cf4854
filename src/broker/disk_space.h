#pragma once
#include <cstdint>

#include "base/units.h"
#include "runtime/env.h"

/// When a disk counts as full (design section 5 rule 6). Pure.
namespace mr::broker {

/// Bytes to keep free on a disk of `total` bytes: what somebody set, as it is; the default is no more than a twentieth
/// of the disk, so that small disks are of use.
std::uint64_t reserve_of(std::uint64_t setting, bool is_default, std::uint64_t total);

/// Is the disk low? It heals an eighth of the reserve above where it got low, so that it does not flutter.
bool is_low(bool was_low, std::uint64_t free, std::uint64_t reserve);

/// Half of one shard's commit journal on a disk of `total` bytes (0: unknown): 256 MiB, so that a thousand partitions
/// that write at once are seldom synced one by one (docs/performance.md), but all journals together no more than a
/// 128th of the disk and a quarter of `memory` (0: unknown), of which a start after a crash takes about as much as they
/// have; and at least 8 MiB.
std::uint64_t journal_half(std::uint64_t total, std::uint64_t memory, std::uint32_t shards);

/// How long nobody needs to look again: at most half a minute, and never longer than it takes to fill the room above
/// the reserve at 2 GiB/s; at least a second.
Duration next_look(std::uint64_t free, std::uint64_t reserve);

}  // namespace mr::broker
