#include "storage/segment_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"

namespace mr::storage {
namespace {

constexpr std::size_t kProbeChunkBytes = 16u << 10;
constexpr std::size_t kSearchChunkBytes = 256u << 10;
constexpr std::byte kMagic{2};

}  // namespace

SegmentWalk::SegmentWalk(File& file, std::uint64_t file_bytes, WalkInput input, std::size_t chunk_bytes)
    : file_(file),
      size_(file_bytes),
      input_(std::move(input)),
      chunk_bytes_(chunk_bytes),
      next_(input_.base),
      epoch_(input_.epoch) {
  for (const HeaderFact& fact : input_.facts) input_.anchors.push_back(fact.position);
  std::ranges::sort(input_.anchors);
  scanner_.emplace(file_, 0, size_, BatchScanner::Depth::checksums, chunk_bytes_);
}

Offset SegmentWalk::limit() const {
  return input_.next_base ? std::min(*input_.next_base, input_.evidence) : input_.evidence;
}

Result<std::optional<SegmentWalk::Item>> SegmentWalk::next() {
  while (!done_ && position_ < size_) {
    std::string why;
    auto found = scanner_->next();
    if (found.ok() && *found) {
      const Item item = **found;
      MR_TRY(bool good, judge(item, why));
      if (done_) break;  // judged the whole file
      if (good) {
        accept(item);
        return std::optional<Item>(item);
      }
    } else if (!found.ok()) {
      if (found.code() != Errc::corrupt_batch) return std::move(found).error();
      why = found.error().detail();
    }
    if (input_.next_base && next_ >= *input_.next_base && *input_.next_base <= input_.evidence) {
      add_damage(next_, size_, "bytes behind the last batch: " + why);  // hide nothing, but are not ours to cut
      break;
    }
    if (next_ >= limit()) {
      torn_ = std::move(why);
      break;
    }
    MR_TRY(auto good, find_good());
    if (!good) {
      add_damage(limit(), size_, std::move(why));
      break;
    }
    add_damage(Offset{good->header.base_offset}, good->position, std::move(why));
    scanner_.emplace(file_, position_, size_, BatchScanner::Depth::checksums, chunk_bytes_);
  }
  if (!done_) finish();
  done_ = true;
  return std::optional<Item>();
}

/// The batch at `position` if it reads; empty when it does not.
Result<std::optional<SegmentWalk::Item>> SegmentWalk::good_at(std::uint64_t position) {
  auto item = BatchScanner(file_, position, size_, BatchScanner::Depth::checksums, kProbeChunkBytes).next();
  if (!item.ok() && item.code() == Errc::corrupt_batch) return std::optional<Item>();
  return item;
}

/// What reads as a header at `position` of a batch that the file has room for.
std::optional<BatchHeader> SegmentWalk::header_at(std::uint64_t position) {
  auto item = BatchScanner(file_, position, size_, BatchScanner::Depth::headers, BatchHeader::kBytes).next();
  if (!item.ok() || !*item) return std::nullopt;
  return (*item)->header;
}

bool SegmentWalk::possible(const BatchHeader& header) const {
  return header.base_offset >= next_.v && header.last_offset().v - input_.base.v <= INT32_MAX &&
         header.leader_epoch >= epoch_.v && (!input_.next_base || header.next_offset() <= *input_.next_base);
}

Result<bool> SegmentWalk::judge(const Item& item, std::string& why) {
  const BatchHeader& header = item.header;
  Offset base{header.base_offset};
  if (!possible(header)) {
    why = fmt::format("at position {}: offsets {} to {} in epoch {} after offset {} in epoch {}", item.position, base.v,
                      header.last_offset().v, header.leader_epoch, next_.v - 1, epoch_.v);
    return false;
  }
  if (base > next_) {
    why = fmt::format("at position {}: offsets {} to {} are missing", item.position, next_.v, base.v - 1);
    if (input_.holes_allowed && next_ < input_.holes_end) {
      auto following = header_at(item.end());
      if (following && following->base_offset < header.next_offset().v) return false;
    } else {
      if (next_ >= limit() || !confirmed(item)) return false;
      if (item.position == 0) {  // a whole file that begins elsewhere than its name says
        add_damage(std::max(limit(), next_), size_, "the file is not the segment that its name says");
        finish();
        done_ = true;
        return false;
      }
      add_damage(base, item.position, why);
    }
  }
  return epoch_fits(item, why);
}

/// Epochs lie outside the checksum. One that is not lower than the last is believed when the next batch does not
/// contradict it; the checkpoint only decides where there is no next batch.
Result<bool> SegmentWalk::epoch_fits(const Item& item, std::string& why) {
  LeaderEpoch epoch{item.header.leader_epoch};
  Offset base{item.header.base_offset};
  const EpochTable::Line* line = nullptr;
  if (input_.epochs != nullptr) {
    const auto& lines = input_.epochs->lines();
    auto above = std::ranges::upper_bound(lines, base, {}, &EpochTable::Line::start);
    if (above != lines.begin()) line = &*(above - 1);
  }
  bool starts_here = line != nullptr && line->start == base;
  if (epoch == epoch_ && !(starts_here && line->epoch > epoch)) return true;
  if (starts_here && line->epoch == epoch) return true;
  why = fmt::format("at position {}: leader epoch {} does not fit", item.position, epoch.v);
  auto following = header_at(item.end());
  if (following && following->base_offset == item.header.next_offset().v) {
    if (starts_here && line->epoch > epoch) return following->leader_epoch != line->epoch.v;
    return following->leader_epoch >= epoch.v;
  }
  // A fact that covers the header decides later.
  bool covered = std::ranges::any_of(
      input_.facts, [&](const HeaderFact& fact) { return fact.position <= item.position && item.end() <= fact.end; });
  if (covered || input_.epochs == nullptr || base >= input_.evidence) return true;
  return line == nullptr || line->epoch == epoch;
}

/// Something beside the batch says that its offsets are right.
bool SegmentWalk::confirmed(const Item& item) {
  auto following = header_at(item.end());
  if (following) {
    Offset next{following->base_offset};
    if (input_.holes_allowed ? next >= item.header.next_offset() : next == item.header.next_offset()) return true;
  }
  for (const HeaderFact& fact : input_.facts)
    if (fact.position == item.position && fact.base && fact.base->v == item.header.base_offset) return true;
  return item.end() == size_ && item.header.next_offset() == limit();
}

Result<std::optional<SegmentWalk::Item>> SegmentWalk::acceptable(std::uint64_t position,
                                                                 std::optional<Offset> claimed) {
  auto header = header_at(position);
  if (!header || !possible(*header)) return std::optional<Item>();
  MR_TRY(auto item, good_at(position));
  if (item && (claimed == Offset{item->header.base_offset} || confirmed(*item))) return item;
  return std::optional<Item>();
}

/// The next batch behind the bad one at position_.
Result<std::optional<SegmentWalk::Item>> SegmentWalk::find_good() {
  // Where the bad one's frame ends, and so on. Its count of offsets is inside the checksum's reach and mostly right.
  std::uint64_t at = position_;
  Offset expected = next_;
  for (auto header = header_at(at); header; header = header_at(at)) {
    expected = Offset{expected.v + header->last_offset_delta + 1};
    at += header->total_bytes();
    MR_TRY(auto item, acceptable(at, expected));
    if (item) return item;
  }
  std::optional<Item> anchored;
  auto anchor = std::ranges::upper_bound(input_.anchors, position_);
  for (; anchor != input_.anchors.end() && !anchored; ++anchor) {
    MR_TRY(anchored, acceptable(*anchor, std::nullopt));
  }
  MR_TRY(auto nearer, scan_bytes(position_ + 1, anchored ? anchored->position : size_));
  return nearer ? nearer : anchored;
}

/// Records may hold whole batches: one found by its looks counts only when frames lead on from it to `to`.
bool SegmentWalk::frames_lead_to(const Item& item, std::uint64_t to) {
  std::uint64_t at = item.end();
  Offset next = item.header.next_offset();
  while (at < to) {
    auto header = header_at(at);
    if (!header) {
      // A file that was cut short ends inside a batch.
      std::array<std::byte, BatchHeader::kBytes> rest;
      auto got = file_.read_at(rest, at);
      if (to != size_ || !got.ok()) return false;
      auto cut = BatchHeader::parse(ByteView(rest).first(*got));
      return !cut.ok() ? *got < BatchHeader::kBytes : cut->base_offset == next.v && at + cut->total_bytes() > size_;
    }
    if (header->base_offset < next.v) return false;
    next = header->next_offset();
    at += header->total_bytes();
  }
  return at == to;
}

Result<std::optional<SegmentWalk::Item>> SegmentWalk::scan_bytes(std::uint64_t from, std::uint64_t to) {
  std::vector<std::byte> chunk;
  for (std::uint64_t at = from; at + BatchHeader::kBytes <= to;) {
    chunk.resize(std::min<std::uint64_t>(kSearchChunkBytes, size_ - at));
    MR_TRY(std::size_t got, file_.read_at(chunk, at));
    if (got < BatchHeader::kBytes) break;
    std::size_t last = got - BatchHeader::kBytes;  // where a header may still begin
    for (std::size_t i = 0; i <= last && at + i < to; ++i) {
      const std::byte* magic = chunk.data() + i + BatchHeader::kMagicAt;
      const void* hit = std::memchr(magic, static_cast<int>(kMagic), last - i + 1);
      if (hit == nullptr) break;
      i += static_cast<std::size_t>(static_cast<const std::byte*>(hit) - magic);
      auto header = BatchHeader::parse(ByteView(chunk).subspan(i));
      if (!header.ok() || at + i >= to || header->base_offset < next_.v) continue;
      Item item{*header, at + i};
      if (item.end() > size_ || item.end() > std::max(to, item.position) || !possible(*header)) continue;
      if (!frames_lead_to(item, to)) continue;
      MR_TRY(auto good, acceptable(item.position, std::nullopt));
      if (good) return good;
    }
    at += last + 1;
  }
  return std::optional<Item>();
}

void SegmentWalk::accept(const Item& item) {
  ByteView header = scanner_->header_bytes();
  std::ranges::copy(header, header_.begin());
  follow_facts(item);
  next_ = item.header.next_offset();
  epoch_ = LeaderEpoch{item.header.leader_epoch};
  position_ = item.end();
  previous_ = item;
}

/// Bytes [position_, end) and the offsets up to `next` do not read.
void SegmentWalk::add_damage(Offset next, std::uint64_t end, std::string why) {
  next = std::max(next, next_);
  if (end > position_) break_facts(end);
  if (damage_.size() >= 2 * kDamagedRangesMax) damage_ = normalized(std::move(damage_));
  damage_.push_back({next_, next, position_, end, std::move(why)});
  next_ = next;
  position_ = end;
}

/// Damage up to `end` explains why what is known of the bytes there cannot hold.
void SegmentWalk::break_facts(std::uint64_t end) {
  open_facts_.clear();
  for (; next_fact_ < input_.facts.size() && input_.facts[next_fact_].position < end;) ++next_fact_;
}

void SegmentWalk::follow_facts(const Item& item) {
  for (; next_fact_ < input_.facts.size() && input_.facts[next_fact_].position <= item.position; ++next_fact_) {
    const HeaderFact& fact = input_.facts[next_fact_];
    bool here = fact.position == item.position && (!fact.base || fact.base->v == item.header.base_offset);
    const Item& first = fact.position < item.position && previous_ ? *previous_ : item;
    open_facts_.push_back({next_fact_, fact.seed, Offset{first.header.base_offset}, first.position, !here});
  }
  std::erase_if(open_facts_, [&](OpenFact& open) {
    const HeaderFact& fact = input_.facts[open.index];
    open.crc = crc32c(header_, open.crc);
    if (item.end() < fact.end) return false;
    if (!open.broken && item.end() == fact.end && open.crc == fact.crc) {
      ++facts_held_;
      identity_known_ = identity_known_ || fact.identity;
    } else {
      fail_fact(open, item.header.next_offset(), item.end());
    }
    return true;
  });
}

void SegmentWalk::fail_fact(const OpenFact& open, Offset next, std::uint64_t end) {
  ++facts_failed_;
  damage_.push_back({open.first, next, open.position, end, "the batches are not those that were written here"});
}

void SegmentWalk::finish() {
  // Batches that only look right are believed when something showed that this is the right file; of a file that has
  // mostly grown since it was sealed its beginning says too little.
  std::uint64_t known = 0;
  for (const HeaderFact& fact : input_.facts)
    if (fact.identity) known += fact.end - fact.position;
  if (known > 0 && 2 * known >= size_ && !identity_known_ && position_ > 0) {
    ++facts_failed_;
    damage_.push_back({input_.base, next_, 0, position_, "nothing shows that this is the file that was sealed here"});
  }
  open_facts_.clear();
  if (torn_) return;
  bool must_reach = !input_.holes_allowed || !input_.next_base;
  if (next_ < limit() && must_reach) add_damage(limit(), size_, "the file ends before its last offset");
  position_ = size_;
}

}  // namespace mr::storage
