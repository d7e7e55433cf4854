#include "sim/pages.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace mr::sim {

std::size_t Pages::read(MutableBytes into, std::uint64_t position) const {
  if (position >= size_) return 0;
  std::size_t count = std::min<std::uint64_t>(into.size(), size_ - position);
  for (std::size_t done = 0; done < count;) {
    std::uint64_t index = (position + done) / kPage;
    std::uint64_t offset = (position + done) % kPage;
    std::size_t n = std::min<std::uint64_t>(kPage - offset, count - done);
    if (index < pages_.size() && pages_[index]) {
      std::memcpy(into.data() + done, pages_[index]->data() + offset, n);
    } else {
      std::memset(into.data() + done, 0, n);
    }
    done += n;
  }
  return count;
}

Pages::Page& Pages::writable(std::uint64_t index) {
  if (pages_.size() <= index) pages_.resize(index + 1);
  std::shared_ptr<Page>& page = pages_[index];
  if (!page) {
    page = std::make_shared<Page>();
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  return *page;
}

void Pages::write(ByteView bytes, std::uint64_t position) {
  for (std::size_t done = 0; done < bytes.size();) {
    std::uint64_t index = (position + done) / kPage;
    std::uint64_t offset = (position + done) % kPage;
    std::size_t n = std::min<std::uint64_t>(kPage - offset, bytes.size() - done);
    ByteView piece = bytes.subspan(done, n);
    bool hole = index >= pages_.size() || !pages_[index];
    bool zeros = piece[0] == std::byte{0} && std::memcmp(piece.data(), piece.data() + 1, n - 1) == 0;
    if (!hole || !zeros) std::memcpy(writable(index).data() + offset, piece.data(), n);
    done += n;
  }
  size_ = std::max(size_, position + bytes.size());
}

void Pages::truncate(std::uint64_t size) {
  if (size < size_) {
    std::uint64_t keep = (size + kPage - 1) / kPage;
    if (pages_.size() > keep) pages_.resize(keep);
    std::uint64_t tail = size % kPage;
    if (tail != 0 && size / kPage < pages_.size() && pages_[size / kPage]) {
      Page& page = writable(size / kPage);
      std::memset(page.data() + tail, 0, kPage - tail);
    }
  }
  size_ = size;
}

void Pages::share_page(const Pages& other, std::uint64_t index) {
  std::shared_ptr<Page> theirs = index < other.pages_.size() ? other.pages_[index] : nullptr;
  if (pages_.size() <= index) {
    if (!theirs) return;
    pages_.resize(index + 1);
  }
  pages_[index] = std::move(theirs);
}

void Pages::flip_bit(std::uint64_t position, unsigned bit) {
  MR_CHECK(position < size_ && bit < 8);
  writable(position / kPage)[position % kPage] ^= std::byte(1u << bit);
}

}  // namespace mr::sim
