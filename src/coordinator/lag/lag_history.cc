#include "coordinator/lag/lag_history.h"

namespace mr::coordinator {

void LagHistory::note(TimePoint now, const std::string& group, const TopicPartition& name, Offset committed,
                      Offset end) {
  Samples& samples = samples_[{group, name}];
  samples.noted = true;
  if (!samples.last.empty() && (committed < samples.last.back().committed || end < samples.last.back().end))
    samples.last.clear();
  samples.last.push_back({now, committed, end});
  while (samples.last.size() > kSamples || samples.last.front().at < now - kWindow) samples.last.pop_front();
}

void LagHistory::forget_others() {
  std::erase_if(samples_, [](const auto& entry) { return !entry.second.noted; });
  for (auto& [key, samples] : samples_) samples.noted = false;
}

std::optional<LagRates> LagHistory::rates(TimePoint now, const std::string& group, const TopicPartition& name,
                                          Offset committed, Offset end) const {
  auto at = samples_.find({group, name});
  if (at == samples_.end() || at->second.last.empty()) return std::nullopt;
  const Sample& before = at->second.last.front();
  const double seconds = std::chrono::duration<double>(now - before.at).count();
  if (seconds < 4 || committed < before.committed || end < before.end) return std::nullopt;
  return LagRates{.produced = static_cast<double>(end.v - before.end.v) / seconds,
                  .consumed = static_cast<double>(committed.v - before.committed.v) / seconds};
}

}  // namespace mr::coordinator
