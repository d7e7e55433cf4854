#pragma once
#include <cstdint>

#include "runtime/env.h"

namespace mr::sim {

/// SplitMix64: every draw of a simulation comes from one of these, so that the seed is the whole story.
class Random final : public Rng {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  /// True once in `n` draws; never for 0.
  bool one_in(std::uint64_t n) { return n != 0 && below(n) == 0; }
  /// Uniform in [low, high], both inclusive.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  /// An independent stream, so that one part's draws do not shift another's.
  Random fork() { return Random(next() ^ 0x6a09e667f3bcc909ull); }

 private:
  std::uint64_t state_;
};

}  // namespace mr::sim
