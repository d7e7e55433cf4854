#include "runtime/real_clock.h"

#include <sys/random.h>

#include <bit>
#include <ctime>

#include "runtime/real_host.h"

namespace mr {

TimePoint mono_now() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return TimePoint(std::chrono::seconds(t.tv_sec) + Duration(t.tv_nsec));
}

Duration thread_cpu() {
  timespec t;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + Duration(t.tv_nsec);
}

namespace {

class RealClock final : public Clock {
 public:
  TimePoint mono() const override { return mono_now(); }
  WallMillis wall() const override {
    timespec t;
    ::clock_gettime(CLOCK_REALTIME, &t);
    return static_cast<WallMillis>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
  }
};

/// xoshiro256**: four words of state, a few instructions a number. Not for secrets.
class RealRng final : public Rng {
 public:
  RealRng() {
    // All zero is the one state it cannot leave.
    while ((state_[0] | state_[1] | state_[2] | state_[3]) == 0) {
      MR_CHECK(::getrandom(state_, sizeof state_, 0) == sizeof state_);
    }
  }
  std::uint64_t next() override {
    std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

 private:
  std::uint64_t state_[4] = {0, 0, 0, 0};
};

}  // namespace

Clock& real_clock() {
  static RealClock clock;
  return clock;
}

std::unique_ptr<Rng> make_real_rng() { return std::make_unique<RealRng>(); }

}  // namespace mr
