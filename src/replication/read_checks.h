#pragma once
#include <cstdint>

#include "base/memory_account.h"
#include "replication/partition.h"

namespace mr::replication {

struct ReadCheckStats {
  std::uint64_t checked_bytes = 0;
  std::uint64_t cold = 0;            ///< reads of bytes that this process had neither written nor checked lately
  std::uint64_t sampled = 0;         ///< reads of others, looked at all the same
  std::uint64_t without_memory = 0;  ///< sent unchecked, because there was no memory for the check
  std::uint64_t corrupt_ranges = 0;  ///< found, by reads and by the scrub
  std::uint64_t healed = 0;          ///< batches that were bad, and good when read again
};

/// Checks the checksums of what a read found before anybody sees it (design section 5 rule 4). Reads happen on the
/// offload pool, which also takes a slow disk off the shard: what is sent afterwards lies in the page cache. A file
/// that cannot be sent from a descriptor is answered with the very bytes that were checked.
///
/// Bounds: kAtOnce checks at a time, each in pieces of kPieceBytes; who comes later waits in line. One check holds
/// storage::kCheckChunkBytes, charged to the request's account; when that is full, the read goes out unchecked (its
/// reader checks too) and the range stays unchecked: refusing would stop readers while producers fill the memory.
/// One per shard.
class ReadChecks {
 public:
  static constexpr std::uint64_t kSampleOneIn = 256;
  static constexpr std::uint64_t kAtOnce = 2;
  static constexpr std::uint64_t kPieceBytes = 1u << 20;
  /// An answer from unchecked bytes is cut here, so that nobody waits for long; its first batch is whole all the same.
  static constexpr std::uint64_t kAnswerBytesMax = 4u << 20;

  /// `sample_one_in`: of reads that need no check; 1: all are checked.
  explicit ReadChecks(Env& env, std::uint64_t sample_one_in = kSampleOneIn)
      : env_(env), sample_one_in_(sample_one_in), slots_(kAtOnce) {}

  /// Has `read`, which is not empty, to be checked before it is sent? Draws the sample.
  bool wanted(const storage::ReadResult& read) { return read.unchecked || env_.rng.below(sample_one_in_) == 0; }
  /// Checks a read that `partition` has just made, and cuts it before the first bad batch. The caller keeps the
  /// partition. Errors: corrupt_batch (not even the first batch is good), disk_failed, not_leader, those of File; and,
  /// with nothing checked yet, timed_out (no turn until `patience`) and cancelled.
  Task<Result<void>> check(Partition& partition, storage::ReadResult& read, MemoryAccount* memory, TimePoint patience);

  const ReadCheckStats& stats() const { return stats_; }

 private:
  /// How the check of one fragment went.
  struct Part {
    storage::BatchRange range;
    bool first = false;          ///< of the answer
    std::uint64_t good_end = 0;  ///< position in the file
    std::optional<Error> bad;
    std::vector<std::byte> kept;  ///< of a file that has no descriptor: the bytes from the fragment's position on
  };
  /// Up to `end`, a piece at a time.
  Task<Result<void>> check_in_pieces(Partition& partition, const storage::Fragment& fragment, Part& part);
  /// In memory, all at once.
  Task<Result<void>> check_and_keep(Partition& partition, const storage::Fragment& fragment, Part& part);
  /// Hands the outcome to the log; looks at the whole segment when something is bad.
  Task<void> note(Partition& partition, const storage::Fragment& fragment, const storage::BatchRange& range,
                  const Result<storage::BatchCheck>& outcome);

  Env& env_;
  std::uint64_t sample_one_in_;
  Semaphore slots_;
  ReadCheckStats stats_;
};

}  // namespace mr::replication
