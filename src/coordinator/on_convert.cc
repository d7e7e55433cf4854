// A group without members changes its protocol with the first member of the other (traps.md 93). Offsets stay as they
// are: they are everybody's.
#include "base/log.h"
#include "coordinator/consumer_change.h"

namespace mr::coordinator {

LiveGroup& to_classic(Deciding& d, std::string_view name) {
  log_info("coordinator", "a group without members is a classic one from now on", {{"group", name}});
  erase_consumer_group(d, name);
  LiveGroup& group = d.live.find_or_make(name);
  group.state_since = d.now.wall;
  arm_expiry(d, group, d.settings.retention_check);
  return group;
}

LiveConsumerGroup& to_consumer(Deciding& d, std::string_view name) {
  auto classic = d.live.groups.find(name);
  if (classic != d.live.groups.end()) {
    MR_CHECK(classic->second.members().empty());
    const DurableGroup* durable = d.durable(name);
    if (durable != nullptr && !durable->record.empty()) d.record(group_tombstone(name));
    d.live.groups.erase(classic);
  }
  LiveConsumerGroup& live = d.live.consumers[std::string(name)];
  live.empty_since = d.now.wall;
  arm_consumer_expiry(d, name, live, d.settings.retention_check);
  return live;
}

}  // namespace mr::coordinator
