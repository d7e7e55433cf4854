#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/random.h"

namespace mr::sim {

/// What clients sent, were promised and saw, and whether that can be true of one durable log per partition. Every value
/// is unique: "<producer>/<number>/...", and one producer's numbers grow in the order it sends to a partition.
///
/// Rules, checked as facts come in:
/// - nothing invented: a value seen was sent to that partition;
/// - a position, once acknowledged (acks=all) or fetched, holds that value for ever, over crashes too;
/// - nothing twice; one producer's values in the order of their numbers; offsets dense;
/// - the watermark never goes back and is never behind an acknowledgement that came before the question;
/// - the log start moves by retention, or as far as somebody asked; one that was answered never goes back.
class Ledger {
 public:
  using PartitionName = std::pair<std::string, std::int32_t>;

  void sent(const PartitionName& partition, const std::string& value);
  /// acks=all was answered: `values` lie from `base` on.
  void acked(const PartitionName& partition, std::int64_t base, const std::vector<std::string>& values);
  /// A consumer read it.
  void fetched(const PartitionName& partition, std::int64_t offset, const std::string& value);
  /// End of what was promised or seen so far, watermarks included: note it before asking, compare the answer with it.
  std::int64_t floor(const PartitionName& partition) const;
  /// A watermark in an answer to a question that was asked when floor() was `floor`.
  void watermark(const PartitionName& partition, std::int64_t watermark, std::int64_t floor);
  /// Retention may take the oldest records of this topic.
  void allow_retention(const std::string& topic) { trimmed_.insert(topic); }
  bool may_be_trimmed(const PartitionName& partition) const;
  /// Somebody is about to have the records below `before` deleted; -1: all below the watermark.
  void deletion_asked(const PartitionName& partition, std::int64_t before);
  /// ... and was told that the log starts at `start` now.
  void deletion_answered(const PartitionName& partition, std::int64_t before, std::int64_t start);
  /// Below it nothing may be read any more: note it before asking.
  std::int64_t start_floor(const PartitionName& partition) const;
  /// A log start in an answer to a question that was asked when start_floor() was `floor`.
  void log_start(const PartitionName& partition, std::int64_t offset, std::int64_t floor);
  void producer_id(std::int64_t id);

  /// Anything else that must not be.
  void violation(std::string text);
  const std::vector<std::string>& violations() const { return violations_; }
  bool ok() const { return violations_.empty(); }

  std::uint64_t sent_count() const { return sent_count_; }
  std::uint64_t acked_count() const { return acked_count_; }
  std::uint64_t fetched_count() const { return fetched_count_; }
  /// Every position that must be readable, for the last look: dense from 0 means nothing was skipped.
  const std::map<std::int64_t, std::string>& promised(const PartitionName& partition) {
    return partitions_[partition].promised;
  }
  std::vector<PartitionName> partitions() const;

 private:
  struct State {
    std::set<std::string> sent;
    std::map<std::int64_t, std::string> promised;
    std::map<std::string, std::int64_t> place;
    std::map<std::string, std::map<std::int64_t, std::uint64_t>> numbers;  ///< producer -> offset -> number
    std::int64_t watermark = 0;
    std::int64_t start = 0;        ///< answered
    std::int64_t start_asked = 0;  ///< at most there; -1: as far as any watermark
    bool deletions = false;
  };
  void promise(const PartitionName& partition, std::int64_t offset, const std::string& value, const char* how);

  std::map<PartitionName, State> partitions_;
  std::set<std::string> trimmed_;
  std::set<std::int64_t> producer_ids_;
  std::vector<std::string> violations_;
  std::uint64_t sent_count_ = 0;
  std::uint64_t acked_count_ = 0;
  std::uint64_t fetched_count_ = 0;
};

}  // namespace mr::sim
