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

/// Applies the chosen sectors of `change`.
void apply_chosen(Pages& to, const PendingWrite& change, Survival keep) {
  if (keep.from >= keep.to) return;
  if (change.is_truncate) {
    to.truncate(change.position);
    return;
  }
  std::uint64_t first = change.position / kSector;
  std::uint64_t last = first + std::min(keep.to, sectors_of(change));
  std::uint64_t from = std::max(change.position, (first + keep.from) * kSector);
  std::uint64_t end = std::min(change.position + change.bytes.size(), last * kSector);
  if (from < end) to.write(ByteView(change.bytes).subspan(from - change.position, end - from), from);
}

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

/// Copies inodes once each, whatever names lead to them.
struct VolumeCopy {
  std::map<const Inode*, InodePtr> made;

  InodePtr inode(const InodePtr& from) {
    auto [at, fresh] = made.try_emplace(from.get());
    if (!fresh) return at->second;
    InodePtr to = std::make_shared<Inode>(*from);
    at->second = to;
    to->handles = 0;
    to->charged = 0;
    for (auto& [name, child] : to->children) child = inode(child);
    for (auto& [name, child] : to->durable_children) child = inode(child);
    return to;
  }
  std::optional<Entry> entry(const std::optional<Entry>& from) {
    if (!from) return std::nullopt;
    return Entry{inode(from->directory), from->name};
  }
};

}  // namespace

VolumePtr copy_volume(const Volume& from) {
  VolumeCopy copies;
  auto to = std::make_shared<Volume>();
  to->root = copies.inode(from.root);
  for (const PendingName& name : from.names) {
    to->names.push_back(
        {.gone = copies.entry(name.gone), .made = copies.entry(name.made), .inode = copies.inode(name.inode)});
  }
  for (auto& [old, inode] : copies.made) {
    if (!inode->is_directory) settle_charge(*to, *inode);
  }
  return to;
}

std::uint64_t sectors_of(const PendingWrite& change) {
  if (change.is_truncate || change.bytes.empty()) return 1;
  return (change.position + change.bytes.size() - 1) / kSector - change.position / kSector + 1;
}

std::string name_of(const Fault& fault) {
  std::string op(to_string(fault.op));
  switch (fault.kind) {
    case Fault::Kind::fail:
      if (fault.error == Errc::disk_failed) return "eio_" + op;
      if (fault.error == Errc::disk_full) return "enospc_" + op;
      if (fault.error == Errc::resource_exhausted) return "emfile_" + op;
      return "failed_" + op;
    case Fault::Kind::delay:
      return "slow_" + op;
    case Fault::Kind::hang:
      return "hung_" + op;
    case Fault::Kind::flip_bit:
      return "flipped_" + op;
    case Fault::Kind::cut_read:
      return "short_" + op;
    case Fault::Kind::lie:
      return "lied_" + op;
    case Fault::Kind::out_of_memory:
      return "no_memory_" + op;
  }
  return op;
}

Pages torn_contents(const Inode& inode, Random& rng, const Fates& fates) {
  Pages left = inode.durable;
  std::uint64_t taste = rng.below(3);  // mostly lost, mixed, mostly kept
  for (const PendingWrite& change : inode.pending) {
    if (auto chosen = fates.find(change.order); chosen != fates.end()) {
      apply_chosen(left, change, chosen->second);
      continue;
    }
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
