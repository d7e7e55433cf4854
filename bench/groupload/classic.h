#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "bench/groupload/requests.h"
#include "bench/groupload/runner.h"

namespace mr::bench {

/// A classic group as its members know it; member 0 need not be its leader.
struct ClassicGroup {
  std::string name;
  std::int32_t session_ms = 45'000;
  std::vector<std::string> members;  ///< ids; empty: not given out yet
  std::int32_t generation = -1;
  std::uint8_t variant = 0;
};
std::vector<ClassicGroup> name_groups(const std::string& prefix, std::size_t groups, std::size_t members);

/// One operation: a full round of a group. All members join (who has no id asks for one first), then all sync.
/// Members of a group call over connections of their own, since a join waits for the others.
class Rounds : public Work {
 public:
  struct Options {
    std::string topic;
    bool leave = false;  ///< at the end of the round, and the next is of a new group
  };
  Rounds(Runner& runner, std::vector<ClassicGroup>& groups, Options options);

  std::size_t actors() const override { return groups_.size(); }
  std::size_t at_once() const override;
  void begin(std::size_t actor) override;
  bool answered(std::size_t actor, std::uint32_t part, ByteView answer) override;

 private:
  enum class Step : std::uint32_t { ask_id, join, sync, leave };
  struct Round {
    std::size_t lane = 0;                   ///< first connection
    std::size_t waiting = 0;                ///< requests without an answer
    std::size_t leader = SIZE_MAX;          ///< of the last answer that said so
    std::int32_t short_generation = -1;     ///< one that ended with members missing: they join again
    std::vector<std::int32_t> generations;  ///< by member: of its answered join, -1 while it waits
    bool failed = false;
    std::uint32_t made = 0;  ///< names of new groups
  };

  void send(std::size_t actor, std::size_t member, Step step, const Bytes& frame);
  void join(std::size_t actor, std::size_t member);
  void on_id(std::size_t actor, std::size_t member, const Joined& joined);
  void on_join(std::size_t actor, std::size_t member, const Joined& joined);
  void sync_all(std::size_t actor);
  void fail(std::size_t actor, std::int16_t error);
  bool end_of_step(std::size_t actor, Step step);

  Runner& runner_;
  std::vector<ClassicGroup>& groups_;
  Options options_;
  std::vector<Round> rounds_;
  std::vector<std::size_t> lanes_;  ///< free ones
};

/// One operation: the one member of a group joins with another subscription, which makes a new generation.
class Rejoins : public Work {
 public:
  Rejoins(Runner& runner, const std::vector<ClassicGroup>& groups, const std::string& topic);
  std::size_t actors() const override { return frames_.size(); }
  void begin(std::size_t actor) override;
  bool answered(std::size_t actor, std::uint32_t part, ByteView answer) override;

 private:
  struct Frames {
    Bytes variants[2];
    std::uint8_t next = 0;
  };
  Runner& runner_;
  std::vector<Frames> frames_;
};

/// One operation: one request that is always the same, to be answered without an error.
class Repeats : public Work {
 public:
  using Read = std::int16_t (*)(ByteView answer);
  Repeats(Runner& runner, std::vector<Bytes> frames, Read read)
      : runner_(runner), frames_(std::move(frames)), read_(read) {}
  std::size_t actors() const override { return frames_.size(); }
  void begin(std::size_t actor) override { runner_.send(actor % runner_.connections(), frames_[actor], tag_of(actor)); }
  bool answered(std::size_t, std::uint32_t, ByteView answer) override {
    note(read_(answer));
    return true;
  }

 private:
  Runner& runner_;
  std::vector<Bytes> frames_;
  Read read_;
};

}  // namespace mr::bench
