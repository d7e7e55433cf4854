#include "sim/disk_file.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace mr::sim {

namespace {

constexpr std::uint64_t kFileBytesMax = 4_GiB;
constexpr std::uint64_t kPendingBytesMax = 16_MiB;

class SimFile final : public File {
 public:
  SimFile(std::shared_ptr<Disk::Core> core, VolumePtr volume, InodePtr inode, std::string path, bool writable)
      : core_(std::move(core)),
        volume_(std::move(volume)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        writable_(writable) {
    ++inode_->handles;
    ++core_->open_files;
  }
  ~SimFile() override {
    std::lock_guard guard(core_->mutex);
    --inode_->handles;
    --core_->open_files;
    settle_charge(*volume_, *inode_);
  }

  Result<std::size_t> read_at(MutableBytes into, std::uint64_t position) override {
    std::lock_guard guard(core_->mutex);
    const Fault* fault = core_->strike(*volume_, DiskOp::read, path_);
    if (fault && fault->kind == Fault::Kind::fail) return Disk::Core::error_of(*fault, DiskOp::read, path_);
    std::size_t count = inode_->cached.read(into, position);
    if (fault && fault->kind == Fault::Kind::flip_bit && count > 0) {
      into[core_->rng.below(count)] ^= std::byte(1u << core_->rng.below(8));
    }
    if (fault && fault->kind == Fault::Kind::cut_read) count = core_->rng.below(count + 1);
    core_->done(volume_, DiskOp::read, path_, count);
    return count;
  }

  using File::write_at;
  Result<void> write_at(std::span<const ByteView> pieces, std::uint64_t position) override {
    std::lock_guard guard(core_->mutex);
    if (!writable_) return Error(Errc::permission_denied, path_);
    std::vector<std::byte> bytes;
    for (ByteView piece : pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());
    if (position + bytes.size() > kFileBytesMax) return Error(Errc::io_error, path_ + ": too large for a simulation");
    const Fault* fault = core_->strike(*volume_, DiskOp::write, path_);
    std::optional<Error> error;
    if (fault && fault->kind == Fault::Kind::fail) error = Disk::Core::error_of(*fault, DiskOp::write, path_);
    if (!error && !core_->fits(*volume_, growth(position + bytes.size()), DiskOp::write)) {
      error = Error(Errc::disk_full, path_);
    }
    if (error) {
      std::size_t asked = bytes.size();
      bytes.resize(core_->rng.below(bytes.size() + 1));
      if (!core_->fits(*volume_, growth(position + bytes.size()), DiskOp::write)) bytes.clear();
      if (!volume_->ghost && !bytes.empty() && bytes.size() < asked) core_->tell("short_write");
    }
    std::uint64_t count = bytes.size();
    write(std::move(bytes), position);
    core_->done(volume_, DiskOp::write, path_, count);
    if (error) return *std::move(error);
    return {};
  }

  Result<void> sync() override {
    std::lock_guard guard(core_->mutex);
    const Fault* fault = core_->strike(*volume_, DiskOp::sync, path_);
    if (fault && fault->kind == Fault::Kind::fail) {
      // As Linux does it: the pages count as clean from now on, whether or not they reached the medium.
      inode_->durable = torn_contents(*inode_, core_->rng);
      inode_->dirty.clear();
      inode_->pending.clear();
      inode_->pending_bytes = 0;
      core_->done(volume_, DiskOp::sync, path_);
      return Disk::Core::error_of(*fault, DiskOp::sync, path_);
    }
    if (!fault || fault->kind != Fault::Kind::lie) make_durable(*inode_);
    core_->done(volume_, DiskOp::sync, path_);
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    std::lock_guard guard(core_->mutex);
    if (!writable_) return Error(Errc::permission_denied, path_);
    if (size > kFileBytesMax) return Error(Errc::io_error, path_ + ": too large for a simulation");
    const Fault* fault = core_->strike(*volume_, DiskOp::truncate, path_);
    if (fault && fault->kind == Fault::Kind::fail) return Disk::Core::error_of(*fault, DiskOp::truncate, path_);
    if (!core_->fits(*volume_, growth(size), DiskOp::truncate)) return Error(Errc::disk_full, path_);
    std::uint64_t old_size = inode_->cached.size();
    inode_->cached.truncate(size);
    if (size < old_size) mark_dirty(*inode_, size, old_size - size);
    inode_->allocated = std::min(inode_->allocated, size);  // to the size that it has, too
    if (!volume_->ghost)
      inode_->pending.push_back({.order = core_->next_order++, .position = size, .bytes = {}, .is_truncate = true});
    settle_charge(*volume_, *inode_);
    core_->done(volume_, DiskOp::truncate, path_);
    return {};
  }

  Result<std::uint64_t> size() override {
    std::lock_guard guard(core_->mutex);
    return inode_->cached.size();
  }

  /// What lies below `from` is reserved, too.
  Result<void> allocate(std::uint64_t, std::uint64_t to) override {
    std::lock_guard guard(core_->mutex);
    if (!writable_) return Error(Errc::permission_denied, path_);
    const Fault* fault = core_->strike(*volume_, DiskOp::allocate, path_);
    if (fault && fault->kind == Fault::Kind::fail) return Disk::Core::error_of(*fault, DiskOp::allocate, path_);
    if (!core_->fits(*volume_, growth(to), DiskOp::allocate)) return Error(Errc::disk_full, path_);
    inode_->allocated = std::max(inode_->allocated, to);
    settle_charge(*volume_, *inode_);
    core_->done(volume_, DiskOp::allocate, path_);
    return {};
  }

  void drop_cache(std::uint64_t position, std::uint64_t bytes) override {
    // Clean pages are read from the medium again: after a failed sync they may differ from what the cache had.
    std::lock_guard guard(core_->mutex);
    std::uint64_t size = inode_->cached.size();
    // Up to the end takes the last page along.
    std::uint64_t end = bytes < size - std::min(position, size) ? position + bytes : size + Pages::kPage - 1;
    for (std::uint64_t page = (position + Pages::kPage - 1) / Pages::kPage; page < end / Pages::kPage; ++page) {
      if (!inode_->dirty.contains(page)) inode_->cached.share_page(inode_->durable, page);
    }
  }

  int native_handle() const override { return -1; }

 private:
  std::uint64_t growth(std::uint64_t size) const {
    std::uint64_t pages = (size + Pages::kPage - 1) / Pages::kPage * Pages::kPage;
    return pages > inode_->charged ? pages - inode_->charged : 0;
  }

  void write(std::vector<std::byte> bytes, std::uint64_t position) {
    if (bytes.empty()) return;
    inode_->cached.write(bytes, position);
    settle_charge(*volume_, *inode_);
    if (volume_->ghost) return;
    mark_dirty(*inode_, position, bytes.size());
    inode_->pending_bytes += bytes.size();
    inode_->pending.push_back({.order = core_->next_order++, .position = position, .bytes = std::move(bytes)});
    if (inode_->pending_bytes > kPendingBytesMax) write_back();
  }

  /// The kernel does not hold dirty pages for ever: the older half goes to the medium. Bounds our memory, too.
  void write_back() {
    std::size_t count = (inode_->pending.size() + 1) / 2;
    for (std::size_t i = 0; i < count; ++i) {
      apply_whole(inode_->durable, inode_->pending[i]);
      inode_->pending_bytes -= inode_->pending[i].bytes.size();
    }
    inode_->pending.erase(inode_->pending.begin(), inode_->pending.begin() + static_cast<std::ptrdiff_t>(count));
  }

  std::shared_ptr<Disk::Core> core_;
  VolumePtr volume_;
  InodePtr inode_;
  std::string path_;
  bool writable_;
};

}  // namespace

std::unique_ptr<File> make_file(std::shared_ptr<Disk::Core> core, VolumePtr volume, InodePtr inode, std::string path,
                                bool writable) {
  return std::make_unique<SimFile>(std::move(core), std::move(volume), std::move(inode), std::move(path), writable);
}

}  // namespace mr::sim
