#pragma once
#include <set>
#include <string>
#include <vector>

#include "metastore/cluster_state.h"
#include "model/ids.h"
#include "storage/data_dir.h"

namespace mr::broker {

/// What to make of partition directories that no topic of the metastore claims (docs/decisions/adopting-topics.md).
struct Adoption {
  struct Left {
    std::string topic;
    std::string why;
  };
  std::vector<metastore::TopicRecord> topics;  ///< to be created; nothing in them is ever deleted by retention
  std::vector<Left> left;                      ///< stay as they are
};

/// Pure. `found`: all partition directories; `topics`: those of the metastore; `deleted`: its tombstones.
Adoption plan_adoption(const std::vector<storage::PartitionDir>& found,
                       const std::vector<metastore::TopicRecord>& topics, const std::set<TopicId>& deleted,
                       BrokerId self, WallMillis now);

}  // namespace mr::broker
