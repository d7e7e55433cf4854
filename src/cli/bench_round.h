#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/ids.h"

/// What loads on consumer groups decide without a broker.
namespace mr::cli {

/// When all members of a classic group are in one generation. A coordinator may end a round before all that we know
/// have come (a group that is new does): the leader is then shown too few, and all of that generation come again.
class JoinRound {
 public:
  explicit JoinRound(std::size_t members) : generations_(members, kNone) {}
  /// `member` asks (again).
  void asks(std::size_t member) { generations_[member] = kNone; }
  /// The answer. `shown`: how many members it lists, which it does for the leader only.
  void joined(std::size_t member, std::int32_t generation, std::size_t shown);
  /// The leader of `member`'s generation has not spoken yet, or was shown all: nothing to do but to wait.
  bool waits(std::size_t member) const { return generations_[member] > short_; }
  bool complete() const;
  /// Of a complete round.
  std::size_t leader() const { return leader_; }
  std::int32_t generation() const { return generation_; }

 private:
  static constexpr std::int32_t kNone = -1;
  std::vector<std::int32_t> generations_;
  std::int32_t short_ = kNone;  ///< newest generation that lacked members
  std::int32_t generation_ = kNone;
  std::size_t leader_ = 0;
};

/// A member of a group of KIP-848 as its last answers say.
struct ConsumerState {
  std::int32_t epoch = 0;
  std::size_t owned = 0;        ///< partitions
  bool unacknowledged = false;  ///< was told of another assignment and has not answered
};
/// All are in one epoch, all partitions are somebody's, and nobody has two more than another.
bool converged(std::span<const ConsumerState> members, std::size_t partitions);

/// The partitions that `member` gets of so many: those of its number, and each `members` further.
std::vector<PartitionIndex> share_of(std::size_t partitions, std::size_t members, std::size_t member);
/// `count` partitions from the place of the `turn`-th commit on, going round; each once.
std::vector<PartitionIndex> committed_by(std::size_t partitions, std::size_t count, std::uint64_t turn);

}  // namespace mr::cli
