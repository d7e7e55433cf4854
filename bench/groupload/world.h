#pragma once
#include <string>
#include <vector>

#include "bench/groupload/classic.h"
#include "bench/groupload/options.h"
#include "bench/groupload/runner.h"

namespace mr::bench {

/// What works begin with: a coordinator, topics, stable groups. Failures end the program with a sentence.
/// The broker at --bootstrap is every group's coordinator: one broker is measured.
void await_coordinator(const GroupOptions& options);
/// Makes the topics of options.topics and options.partitions that are not there; their names.
std::vector<std::string> make_topics(const GroupOptions& options);
/// Every group has gone through a round: its members are stable and know their generation.
void make_stable(Runner& runner, std::vector<ClassicGroup>& groups, const std::string& topic);

struct Memory {
  double resident_mb = 0;
  double peak_mb = 0;
};
/// Of the process; zeros when `pid` is 0.
Memory memory_of(int pid);

}  // namespace mr::bench
