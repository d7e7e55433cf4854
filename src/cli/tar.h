#pragma once
#include <string>
#include <string_view>

#include "base/units.h"

namespace mr::cli {

/// A tar archive (POSIX ustar) in memory. Own code: no library we link writes archives, and this is one header a file.
class TarWriter {
 public:
  explicit TarWriter(WallMillis modified) : modified_(modified) {}
  /// `name`: 1 to 100 bytes, relative (checked).
  void add(std::string_view name, std::string_view content);
  /// Once, as the last call.
  std::string finish() &&;

 private:
  WallMillis modified_;
  std::string out_;
};

}  // namespace mr::cli
