#include "coordinator/lag/lag_watch.h"

#include <algorithm>

#include "base/log.h"

namespace mr::coordinator {

using broker::Broker;

LagWatch::LagWatch(Broker& broker, GroupCoordinator& groups)
    : broker_(broker), groups_(groups), env_(broker.shards().env(ShardId{0})), scope_(env_.executor) {}

void LagWatch::start() { scope_.spawn("lag watch", run()); }
Task<void> LagWatch::stop() { co_await scope_.stop(); }

Task<void> LagWatch::run() {
  while ((co_await sleep_until(env_.now() + kEvery)).ok()) co_await sample();
}

Task<void> LagWatch::sample() {
  auto stand = co_await groups_.positions(kPartitionsMax);
  auto readers = co_await look_at(stand.positions, false);
  const TimePoint now = env_.now();
  for (std::size_t i = 0; i < readers.size(); ++i) {
    const GroupPosition& at = stand.positions[i];
    if (readers[i].end >= Offset{0}) history_.note(now, at.group, {at.topic, at.partition}, at.offset, readers[i].end);
  }
  if (stand.whole) history_.forget_others();
}

Task<std::vector<Broker::ReaderStanding>> LagWatch::look_at(std::vector<GroupPosition> positions, bool times) {
  std::vector<Broker::ReaderStanding> all(positions.size());
  std::vector<Broker::ReaderStanding> readers;
  std::vector<std::size_t> whose;
  auto table = broker_.topics(ShardId{0});
  for (std::size_t i = 0; i < positions.size(); ++i) {
    auto topic = table->find(positions[i].topic);
    const broker::PartitionPlace* place = topic == nullptr ? nullptr : topic->partition(positions[i].partition);
    if (place == nullptr) continue;
    readers.push_back({.topic = topic->id,
                       .partition = positions[i].partition,
                       .home = place->home,
                       .next = std::max(positions[i].offset, Offset{0})});
    whose.push_back(i);
  }
  co_await broker_.look_at(readers, times);
  for (std::size_t i = 0; i < readers.size(); ++i) all[whose[i]] = std::move(readers[i]);
  co_return all;
}

double age_of(WallMillis timestamp, WallMillis now) {
  return static_cast<double>(std::max<WallMillis>(0, now - timestamp)) / 1000;
}

}  // namespace mr::coordinator
