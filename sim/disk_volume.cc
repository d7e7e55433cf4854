#include "sim/disk_volume.h"

namespace mr::sim {

namespace {
constexpr std::uint64_t kSector = 512;
}  // namespace

void settle_charge(Volume& volume, Inode& inode) {
  std::uint64_t want = 0;
  if (inode.links + inode.handles > 0) {
    std::uint64_t pages = (inode.cached.size() + Pages::kPage - 1) / Pages::kPage;
    want = std::max(pages * Pages::kPage, inode.allocated);
  }
  volume.used = volume.used - inode.charged + want;
  inode.charged = want;
}

void mark_dirty(Inode& inode, std::uint64_t position, std::uint64_t length) {
  if (length == 0) return;
  for (std::uint64_t p = position / Pages::kPage; p <= (position + length - 1) / Pages::kPage; ++p) {
    inode.dirty.insert(p);
  }
}

void make_durable(Inode& inode) {
  // The durable view first gets the size, which cuts or zero-fills, then the pages.
  inode.durable.truncate(inode.cached.size());
  for (std::uint64_t page : inode.dirty) inode.durable.share_page(inode.cached, page);
  inode.dirty.clear();
  inode.pending.clear();
  inode.pending_bytes = 0;
}

void apply_whole(Pages& to, const PendingWrite& change) {
  if (change.is_truncate) {
    to.truncate(change.position);
  } else {
    to.write(change.bytes, change.position);
  }
}

namespace {

/// Applies some sectors of `change` to what is on the medium.
void apply_torn(Pages& to, const PendingWrite& change, Random& rng) {
  if (change.is_truncate) {
    if (rng.one_in(2)) to.truncate(change.position);
    return;
  }
  std::uint64_t end = change.position + change.bytes.size();
  for (std::uint64_t at = change.position; at < end;) {
    std::uint64_t next = std::min((at / kSector + 1) * kSector, end);
    if (rng.one_in(2)) to.write(ByteView(change.bytes).subspan(at - change.position, next - at), at);
    at = next;
  }
}

}  // namespace

Pages torn_contents(const Inode& inode, Random& rng) {
  Pages left = inode.durable;
  std::uint64_t taste = rng.below(3);  // mostly lost, mixed, mostly kept
  for (const PendingWrite& change : inode.pending) {
    std::uint64_t draw = rng.below(6);
    if (draw < 1 + taste) {
      apply_whole(left, change);
    } else if (draw == 5 || draw == 1 + taste) {
      apply_torn(left, change, rng);
    }
  }
  // The new size may reach the medium before the data does: the rest reads as zeros.
  if (left.size() < inode.cached.size() && rng.one_in(4)) left.truncate(inode.cached.size());
  return left;
}

}  // namespace mr::sim
