#include <algorithm>

#include "coordinator/assignors/shares.h"

/// The assignors that know nothing of what was.
namespace mr::coordinator {

namespace {

void add(Share& share, std::uint32_t topic, std::int32_t partition) {
  if (share.empty() || share.back().topic != topic) share.push_back({topic, {}});
  share.back().partitions.push_back(partition);
}

class Range final : public Assignor {
 public:
  std::string_view name() const override { return "range"; }
  AssignorOutput assign(const AssignorInput& input) const override {
    AssignorOutput output(input.members.size());
    const auto subscribers = subscribers_of(input);
    for (std::uint32_t topic = 0; topic < input.topics.size(); ++topic) {
      if (subscribers[topic].empty()) continue;
      const auto n = static_cast<std::int32_t>(subscribers[topic].size());
      const std::int32_t quota = input.topics[topic].partitions / n;
      const std::int32_t extra = input.topics[topic].partitions % n;
      std::int32_t next = 0;
      for (std::int32_t s = 0; s < n; ++s)
        for (std::int32_t i = 0; i < quota + (s < extra ? 1 : 0); ++i)
          add(output[subscribers[topic][static_cast<std::size_t>(s)].member], topic, next++);
    }
    return output;
  }
};

class RoundRobin final : public Assignor {
 public:
  std::string_view name() const override { return "roundrobin"; }
  AssignorOutput assign(const AssignorInput& input) const override {
    AssignorOutput output(input.members.size());
    const auto subscribers = subscribers_of(input);
    std::uint32_t turn = 0;  // the member whose turn it is; the next subscriber from there on gets the partition
    for (std::uint32_t topic = 0; topic < input.topics.size(); ++topic) {
      const std::vector<Subscriber>& readers = subscribers[topic];
      if (readers.empty()) continue;
      auto at = std::ranges::lower_bound(readers, turn, {}, &Subscriber::member);
      for (std::int32_t p = 0; p < input.topics[topic].partitions; ++p) {
        if (at == readers.end()) at = readers.begin();
        add(output[at->member], topic, p);
        turn = at->member + 1;
        ++at;
      }
    }
    return output;
  }
};

}  // namespace

std::unique_ptr<Assignor> make_range_assignor() { return std::make_unique<Range>(); }
std::unique_ptr<Assignor> make_roundrobin_assignor() { return std::make_unique<RoundRobin>(); }

}  // namespace mr::coordinator
