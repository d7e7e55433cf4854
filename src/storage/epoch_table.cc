#include "storage/epoch_table.h"

#include <algorithm>

#include "storage/text_checkpoint.h"

namespace mr::storage {

bool EpochTable::assign(LeaderEpoch epoch, Offset start) {
  if (epoch <= latest() || epoch.v < 0) return false;
  while (!lines_.empty() && lines_.back().start >= start) lines_.pop_back();
  lines_.push_back({epoch, start});
  return true;
}

EpochTable::End EpochTable::end_of(LeaderEpoch epoch, Offset log_end) const {
  if (epoch == kNoLeaderEpoch || lines_.empty() || epoch > latest()) return {};
  if (epoch == latest()) return {epoch, log_end};
  auto higher = std::ranges::upper_bound(lines_, epoch, {}, &Line::epoch);
  if (higher == lines_.begin()) return {epoch, higher->start};
  return {std::prev(higher)->epoch, higher->start};
}

bool EpochTable::truncate_from_end(Offset log_end) {
  std::size_t before = lines_.size();
  while (!lines_.empty() && lines_.back().start > log_end) lines_.pop_back();
  return lines_.size() != before;
}

bool EpochTable::truncate_from_start(Offset log_start) {
  auto kept = std::ranges::upper_bound(lines_, log_start, {}, &Line::start);
  if (kept == lines_.begin()) return false;
  --kept;  // the epoch that holds log_start itself
  bool changed = kept != lines_.begin() || kept->start != log_start;
  kept->start = log_start;
  lines_.erase(lines_.begin(), kept);
  return changed;
}

std::string EpochTable::encode() const {
  TextCheckpoint checkpoint;
  for (const Line& line : lines_)
    checkpoint.lines.push_back(std::to_string(line.epoch.v) + " " + std::to_string(line.start.v));
  return checkpoint.encode();
}

Result<EpochTable> EpochTable::decode(std::string_view text) {
  MR_TRY(TextCheckpoint checkpoint, TextCheckpoint::decode(text));
  EpochTable table;
  for (const std::string& line : checkpoint.lines) {
    std::vector<std::string_view> fields = split_fields(line);
    std::optional<std::int64_t> epoch, start;
    if (fields.size() == 2) {
      epoch = parse_int(fields[0]);
      start = parse_int(fields[1]);
    }
    if (!epoch || !start || *epoch < 0 || *epoch > INT32_MAX || *start < 0)
      return Error(Errc::corrupt_data, "leader epoch line is not two numbers: " + line);
    Line next{LeaderEpoch{static_cast<std::int32_t>(*epoch)}, Offset{*start}};
    if (!table.lines_.empty() && (next.epoch <= table.lines_.back().epoch || next.start < table.lines_.back().start))
      return Error(Errc::corrupt_data, "leader epochs do not grow at: " + line);
    table.lines_.push_back(next);
  }
  return table;
}

}  // namespace mr::storage
