#include "bench/bare/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "base/check.h"
#include "base/crc32c.h"
#include "model/batch_header.h"

namespace mr::bench {
namespace {

std::string path_of(const std::string& directory, std::string_view topic, std::size_t partition) {
  return fmt::format("{}/{}-{}.log", directory, topic, partition);
}

}  // namespace

std::int64_t PartitionFile::take(MutableBytes batch) {
  constexpr std::size_t kCrcAt = 17, kLastDeltaAt = 23;
  if (batch.size() < BatchHeader::kBytes) return -1;
  ByteView checked = ByteView(batch).subspan(kCrcAt + 4);
  if (load_be<std::uint32_t>(batch.data() + kCrcAt) != crc32c(checked)) return -1;
  store_be(batch.data(), next_offset);
  pending.push_back({batch.data(), batch.size()});
  std::int64_t base = next_offset;
  next_offset += load_be<std::int32_t>(batch.data() + kLastDeltaAt) + 1;
  return base;
}

void PartitionFile::write() {
  for (std::span<iovec> left = pending; !left.empty();) {
    auto now = left.first(std::min<std::size_t>(left.size(), IOV_MAX));
    ssize_t want = 0;
    for (const iovec& piece : now) want += static_cast<ssize_t>(piece.iov_len);
    MR_CHECK(::pwritev(fd, now.data(), static_cast<int>(now.size()), position) == want);
    position += want;
    left = left.subspan(now.size());
  }
  pending.clear();
}

TopicFiles create_files(const std::string& directory, std::string_view topic, std::int32_t partitions, bool synced) {
  TopicFiles files;
  files.synced = synced;
  files.partitions.resize(static_cast<std::size_t>(partitions));
  for (std::size_t p = 0; p < files.partitions.size(); ++p) {
    int fd = ::open(path_of(directory, topic, p).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    MR_CHECK(fd >= 0);
    files.partitions[p].fd = fd;
  }
  return files;
}

void remove_files(const std::string& directory, std::string_view topic, TopicFiles& files) {
  for (std::size_t p = 0; p < files.partitions.size(); ++p) {
    ::close(files.partitions[p].fd);
    ::unlink(path_of(directory, topic, p).c_str());
  }
}

}  // namespace mr::bench
