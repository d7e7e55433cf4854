#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"

/// Who reads what in a group of KIP-848: the broker decides, by an assignor. The ones that come with Millrace are in
/// this folder; GroupSettings::assignors lists those that groups may choose.
namespace mr::coordinator {

/// One topic that somebody in the group subscribes to.
struct AssignorTopic {
  TopicId id;
  std::string name;
  std::int32_t partitions = 0;  ///< numbered from 0
  /// By partition, the racks of its replicas; empty when the cluster knows no racks.
  std::vector<std::vector<std::string>> racks;
};

/// Partitions of one topic.
struct TopicShare {
  std::uint32_t topic = 0;               ///< place in AssignorInput::topics
  std::vector<std::int32_t> partitions;  ///< ascending
  friend bool operator==(const TopicShare&, const TopicShare&) = default;
};
/// What one member reads: ascending by topic, no share without partitions.
using Share = std::vector<TopicShare>;

struct AssignorMember {
  std::string id;
  std::optional<std::string> instance;  ///< static membership (KIP-345): stays the same when the id changes
  std::optional<std::string> rack;
  std::vector<std::uint32_t> topics;  ///< it subscribes to: places in AssignorInput::topics, ascending
  /// What it was meant to read until now. Only topics and partitions that exist and that it subscribes to; nothing is
  /// owned twice.
  Share owned;
};

struct AssignorInput {
  std::vector<AssignorTopic> topics;    ///< ascending by name
  std::vector<AssignorMember> members;  ///< static ones by instance, then the others by id; at least one
};

/// One share for each member, in the order of AssignorInput::members.
using AssignorOutput = std::vector<Share>;

/// Thread: any, several at once; for large groups it runs beside the shards. Deterministic: the same input gives the
/// same output, on every broker.
class Assignor {
 public:
  virtual ~Assignor() = default;
  /// As members name it in ServerAssignor, and as group.consumer.assignors lists it.
  virtual std::string_view name() const = 0;
  /// Every partition of a topic that somebody subscribes to goes to exactly one of its subscribers.
  /// What it throws is told in the log, and the group keeps its last assignment.
  virtual AssignorOutput assign(const AssignorInput& input) const = 0;
};

/// What groups may choose from; the first is the default.
using Assignors = std::vector<std::shared_ptr<const Assignor>>;

/// Does `output` keep what assign() promises? An assignor from outside is not trusted: what it says wrongly
/// is told in the error's text, and the group keeps its last assignment.
Result<void> check_assignment(const AssignorInput& input, const AssignorOutput& output);

/// Sticky and even: loads differ by at most one where subscriptions allow it. Where all subscribe alike no more
/// partitions move than that needs; with mixed subscriptions hardly more (2 % in random groups).
std::unique_ptr<Assignor> make_uniform_assignor();
/// Of each topic a run of consecutive partitions; topics with equal subscribers are cut at the same places, so that
/// records with equal keys meet in one member (co-partitioning).
std::unique_ptr<Assignor> make_range_assignor();
/// One partition after the other, one member after the other; knows nothing of what was.
std::unique_ptr<Assignor> make_roundrobin_assignor();

/// Those of `names` (group.consumer.assignors) in their order, then what else the embedding program `brings`, in its
/// own. Errors: invalid_config for a name that nobody has, or that two have; the text lists those there are.
Result<Assignors> choose_assignors(const std::vector<std::string>& names, const Assignors& brings);

}  // namespace mr::coordinator
