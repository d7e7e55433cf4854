#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/groupload/requests.h"
#include "bench/groupload/runner.h"

namespace mr::bench {

/// One partition as the members know it: who was last told to read it, and for how long nobody was.
struct Ownership {
  static constexpr std::size_t kNobody = SIZE_MAX;
  std::size_t owner = kNobody;
  double free_since = 0;
  double longest_gap = 0;  ///< seconds, since watch()
};

/// One KIP-848 group whose members do what clients do: a heartbeat when the interval says so, and at once after a new
/// assignment, with what they then have.
class Consumers {
 public:
  Consumers(Runner& runner, std::string group, std::vector<std::string> topics, std::size_t partitions);

  /// They join with the next round of heartbeats.
  void add_members(std::size_t n);
  /// From here on gaps are measured; the members' next heartbeats are spread evenly over their interval.
  void watch();

  struct Moved {
    std::size_t partitions = 0;  ///< with another owner than at watch()
    double moved_gap = 0;        ///< seconds: the longest time one of these was nobody's
    double stayed_gap = 0;       ///< and one of the others: the pause
  };
  Moved moved() const;

  std::size_t members() const { return members_.size(); }
  std::size_t partitions_of(std::size_t member) const { return members_[member].count; }
  /// A heartbeat that says nothing, for each member.
  std::vector<Bytes> quiet_frames() const;
  /// One that says that it leaves, likewise.
  std::vector<Bytes> leave_frames() const;
  std::uint64_t heartbeats = 0;
  std::uint64_t errors = 0;
  std::int16_t first_error = 0;
  std::uint64_t twice = 0;       ///< partitions that were given while another member had them
  double longest_heartbeat = 0;  ///< seconds

 private:
  struct Member {
    std::string id;
    std::int32_t epoch = 0;
    Owned owned;
    std::size_t count = 0;  ///< partitions in `owned`
    bool has_news = true;   ///< to say what it has
    bool waiting = false;
    double interval = 0;  ///< seconds, as it was told last
    double next_at = 0;
    double sent_at = 0;
  };
  using Key = std::pair<TopicKey, std::int32_t>;

  friend bool settle(std::vector<Consumers>& groups, double seconds, double interval_max);
  /// Sends the heartbeats that are due; when the next is.
  double beat(double now);
  bool waits() const;
  void send(std::size_t member);
  void answered(std::size_t member, ByteView answer);
  void take(std::size_t member, Owned assignment);
  bool settled() const;

  Runner* runner_;
  std::uint32_t index_ = 0;  ///< among the groups that settle
  std::string group_;
  std::vector<std::string> topics_;
  std::size_t partitions_;
  std::vector<Member> members_;
  std::map<Key, Ownership> ownership_;
  std::map<Key, std::size_t> watched_;  ///< owners at watch()
  std::size_t owned_ = 0;
  double interval_max_ = 0;
  bool changed_ = true;  ///< since settled() was last asked
};

/// Heartbeats of all groups go on until in each every partition has an owner, all members have their even share and are
/// of one epoch; at the latest after `seconds`. They come every `interval_max` seconds or, if that is less, when the
/// broker says. Returns whether that came true.
bool settle(std::vector<Consumers>& groups, double seconds, double interval_max);

}  // namespace mr::bench
