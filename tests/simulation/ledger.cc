#include "tests/simulation/ledger.h"

#include <fmt/format.h>

#include <algorithm>

namespace mr::sim {

namespace {

std::string name_of(const Ledger::PartitionName& partition) {
  return fmt::format("{}-{}", partition.first, partition.second);
}

/// "<producer>/<number>/..." taken apart.
std::pair<std::string, std::uint64_t> author(const std::string& value) {
  std::size_t slash = value.find('/');
  if (slash == std::string::npos) return {value, 0};
  return {value.substr(0, slash), std::strtoull(value.c_str() + slash + 1, nullptr, 10)};
}

std::string shorten(const std::string& value) { return value.substr(0, 24); }

}  // namespace

void Ledger::violation(std::string text) {
  if (violations_.size() < 20) violations_.push_back(std::move(text));
}

void Ledger::sent(const PartitionName& partition, const std::string& value) {
  if (partitions_[partition].sent.insert(value).second) ++sent_count_;
}

void Ledger::promise(const PartitionName& partition, std::int64_t offset, const std::string& value, const char* how) {
  State& state = partitions_[partition];
  if (auto known = state.promised.find(offset); known != state.promised.end() && known->second == value) return;
  if (!state.sent.contains(value)) {
    violation(fmt::format("{}: {} at {} was never sent: {}", name_of(partition), how, offset, shorten(value)));
    return;
  }
  auto [at, fresh] = state.promised.try_emplace(offset, value);
  if (!fresh) {
    if (at->second != value) {
      violation(fmt::format("{}: offset {} held {} and is now {} as {}", name_of(partition), offset,
                            shorten(at->second), how, shorten(value)));
    }
    return;
  }
  auto [place, first] = state.place.try_emplace(value, offset);
  if (!first) {
    violation(fmt::format("{}: {} lies at {} and at {}", name_of(partition), shorten(value), place->second, offset));
  }
  auto [producer, number] = author(value);
  auto& numbers = state.numbers[producer];
  auto mine = numbers.try_emplace(offset, number).first;
  bool after_previous = mine == numbers.begin() || std::prev(mine)->second < number;
  bool before_next = std::next(mine) == numbers.end() || number < std::next(mine)->second;
  if (!after_previous || !before_next) {
    std::string around;
    for (auto at = mine == numbers.begin() ? mine : std::prev(mine); at != numbers.end() && at->first <= offset + 20;
         ++at) {
      around += fmt::format(" {}@{}", at->second, at->first);
    }
    violation(fmt::format("{}: {} at {} is out of its producer's order:{}", name_of(partition), shorten(value), offset,
                          around));
  }
}

void Ledger::acked(const PartitionName& partition, std::int64_t base, const std::vector<std::string>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    ++acked_count_;
    promise(partition, base + static_cast<std::int64_t>(i), values[i], "acked");
  }
}

void Ledger::fetched(const PartitionName& partition, std::int64_t offset, const std::string& value) {
  ++fetched_count_;
  promise(partition, offset, value, "fetched");
}

std::int64_t Ledger::floor(const PartitionName& partition) const {
  auto at = partitions_.find(partition);
  if (at == partitions_.end()) return 0;
  const State& state = at->second;
  return std::max(state.watermark, state.promised.empty() ? 0 : state.promised.rbegin()->first + 1);
}

void Ledger::watermark(const PartitionName& partition, std::int64_t watermark, std::int64_t floor) {
  State& state = partitions_[partition];
  if (watermark < floor) {
    violation(
        fmt::format("{}: watermark {} is behind {}, which was promised before", name_of(partition), watermark, floor));
  }
  state.watermark = std::max(state.watermark, watermark);
}

bool Ledger::may_be_trimmed(const PartitionName& partition) const {
  if (trimmed_.contains(partition.first)) return true;
  auto at = partitions_.find(partition);
  return at != partitions_.end() && at->second.deletions;
}

void Ledger::deletion_asked(const PartitionName& partition, std::int64_t before) {
  State& state = partitions_[partition];
  state.deletions = true;
  state.start_asked = before < 0 || state.start_asked < 0 ? -1 : std::max(state.start_asked, before);
}

void Ledger::deletion_answered(const PartitionName& partition, std::int64_t before, std::int64_t start) {
  State& state = partitions_[partition];
  if (start < std::max(before, state.start)) {
    violation(fmt::format("{}: deleted up to {}, answered {} before, and the log starts at {}", name_of(partition),
                          before, state.start, start));
  }
  state.start = std::max(state.start, start);
  if (state.start_asked < 0) state.start_asked = start;  // whatever came of earlier questions has shown
}

std::int64_t Ledger::start_floor(const PartitionName& partition) const {
  auto at = partitions_.find(partition);
  return at == partitions_.end() ? 0 : at->second.start;
}

void Ledger::log_start(const PartitionName& partition, std::int64_t offset, std::int64_t floor) {
  if (offset < floor) {
    violation(
        fmt::format("{}: log start {} is behind {}, which was answered before", name_of(partition), offset, floor));
  }
  // Records that nobody was promised may be trimmed, too, but only below the watermark, which our answer may lag
  // behind.
  if (trimmed_.contains(partition.first)) return;
  auto at = partitions_.find(partition);
  std::int64_t asked = at == partitions_.end() ? 0 : at->second.start_asked;
  if (asked >= 0 && offset > asked) {
    violation(fmt::format("{}: log start moved to {} by itself, asked for was {}", name_of(partition), offset, asked));
  }
}

void Ledger::producer_id(std::int64_t id) {
  if (!producer_ids_.insert(id).second) violation(fmt::format("producer id {} was given out twice", id));
}

std::vector<Ledger::PartitionName> Ledger::partitions() const {
  std::vector<PartitionName> names;
  for (const auto& [name, state] : partitions_) names.push_back(name);
  return names;
}

}  // namespace mr::sim
