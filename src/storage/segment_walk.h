#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/batch_scanner.h"
#include "storage/damage.h"
#include "storage/epoch_table.h"

namespace mr::storage {

/// Known of a stretch of a segment file: whole batches lie in [position, end), and the CRC-32C of their 61-byte
/// headers, continued from `seed`, is `crc`. From a seal sidecar or the commit journal.
struct HeaderFact {
  std::uint64_t position = 0;
  std::uint64_t end = 0;
  std::uint32_t seed = 0;
  std::uint32_t crc = 0;
  std::optional<Offset> base = {};  ///< of the first batch
  /// Tells this segment from another one's file: without any such fact that holds, batches that only look right are
  /// not believed.
  bool identity = false;
};

/// What is known of a segment before its batches are looked at.
struct WalkInput {
  Offset base;                         ///< from the file's name
  std::optional<Offset> next_base;     ///< where the next segment begins; none: the newest segment
  Offset evidence{0};                  ///< below it everything was synced: what is bad there was damaged
  bool holes_allowed = false;          ///< compaction was here: offsets may be missing
  Offset holes_end{INT64_MAX};         ///< but not at or above this: compaction did not come so far
  LeaderEpoch epoch = kNoLeaderEpoch;  ///< of the last batch before this segment
  const EpochTable* epochs = nullptr;  ///< as the checkpoint says; a hint, it has no checksum
  std::vector<std::uint64_t> anchors;  ///< where batches probably begin (index entries), in order
  std::vector<HeaderFact> facts;       ///< in order of position
};

/// Walks all batches of a segment file, checks framing, checksum, order of offsets and epochs, and the facts, and goes
/// on behind damage: the next batch is looked for where the bad one says that it ends, at the anchors, and then byte by
/// byte. What looks like a batch behind damage counts only when something beside it confirms its place, since records
/// may hold batches, and base offset and epoch lie outside the checksum. Above the evidence the first bad byte ends the
/// walk (a torn tail). Pool.
class SegmentWalk {
 public:
  SegmentWalk(File& file, std::uint64_t file_bytes, WalkInput input, std::size_t chunk_bytes);

  /// The next batch that reads; empty at the end. Errors: those of File.
  Result<std::optional<BatchScanner::Item>> next();
  /// The 61 bytes of the batch that next() gave.
  ByteView header_bytes() const { return header_; }

  // After the end:
  /// Behind the last good batch and the damage after it.
  Offset next_offset() const { return next_; }
  /// Where a torn tail begins; the file's size without one.
  std::uint64_t position() const { return position_; }
  /// Why the walk ended before the file did: a torn tail.
  const std::optional<std::string>& torn() const { return torn_; }
  Damage damage() const { return normalized(damage_); }
  LeaderEpoch epoch() const { return epoch_; }
  /// All facts held.
  bool facts_hold() const { return facts_failed_ == 0 && facts_held_ == input_.facts.size(); }
  std::size_t facts_held() const { return facts_held_; }

 private:
  using Item = BatchScanner::Item;
  struct OpenFact {
    std::size_t index;
    std::uint32_t crc;
    Offset first;
    std::uint64_t position;
    bool broken = false;
  };

  Result<std::optional<Item>> good_at(std::uint64_t position);
  std::optional<BatchHeader> header_at(std::uint64_t position);
  Result<bool> judge(const Item& item, std::string& why);
  Result<bool> epoch_fits(const Item& item, std::string& why);
  bool possible(const BatchHeader& header) const;
  bool confirmed(const Item& item);
  Result<std::optional<Item>> acceptable(std::uint64_t position, std::optional<Offset> claimed);
  Result<std::optional<Item>> find_good();
  Result<std::optional<Item>> scan_bytes(std::uint64_t from, std::uint64_t to);
  bool frames_lead_to(const Item& item, std::uint64_t target);
  void accept(const Item& item);
  void add_damage(Offset next, std::uint64_t end, std::string why);
  void follow_facts(const Item& item);
  void fail_fact(const OpenFact& fact, Offset next, std::uint64_t end);
  void break_facts(std::uint64_t end);
  void finish();
  /// Up to here this segment must reach; what it lacks below is damage.
  Offset limit() const;

  File& file_;
  std::uint64_t size_;
  WalkInput input_;
  std::size_t chunk_bytes_;
  std::optional<BatchScanner> scanner_;  ///< at position_
  std::uint64_t position_ = 0;
  Offset next_;
  LeaderEpoch epoch_;
  std::array<std::byte, BatchHeader::kBytes> header_{};
  std::optional<Item> previous_;
  Damage damage_;
  std::optional<std::string> torn_;
  bool done_ = false;
  std::vector<OpenFact> open_facts_;
  std::size_t next_fact_ = 0;
  std::size_t facts_held_ = 0;
  std::size_t facts_failed_ = 0;
  bool identity_known_ = false;
};

}  // namespace mr::storage
