#include "cli/tar.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace mr::cli {

namespace {

constexpr std::size_t kBlock = 512;

void pad_to(std::string& out, std::size_t unit) { out.resize((out.size() + unit - 1) / unit * unit); }

}  // namespace

// name[100] mode[8] uid[8] gid[8] size[12] mtime[12] checksum[8] type[1] link[100] "ustar\0" "00" ...; numbers are
// octal text. The checksum is the sum of the header's bytes, with spaces where it stands itself.
void TarWriter::add(std::string_view name, std::string_view content) {
  MR_CHECK(!name.empty() && name.size() <= 100 && name.front() != '/');
  MR_CHECK(content.size() < (1ull << 33));
  std::string header(kBlock, '\0');
  auto put = [&](std::size_t at, std::string_view text) {
    std::ranges::copy(text, header.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", content.size()));
  put(136, fmt::format("{:011o}", std::max<WallMillis>(modified_, 0) / 1000));
  put(148, "        ");
  put(156, "0");
  put(257, std::string_view("ustar\00000", 8));
  unsigned sum = 0;
  for (char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  out_ += header;
  out_ += content;
  pad_to(out_, kBlock);
}

std::string TarWriter::finish() && {
  out_.append(2 * kBlock, '\0');
  pad_to(out_, 20 * kBlock);
  return std::move(out_);
}

}  // namespace mr::cli
