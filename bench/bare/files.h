#pragma once
#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace mr::bench {

/// One file per partition, written at its end and nothing else: no index, no recovery.
struct PartitionFile {
  int fd = -1;
  std::int64_t next_offset = 0;
  std::int64_t position = 0;
  std::vector<iovec> pending;  ///< batches taken and not yet written

  /// Checks the batch's checksum, gives it its offsets (in place) and leaves it to write(); the memory must live until
  /// then. Returns the base offset, -1 when the checksum is wrong.
  std::int64_t take(MutableBytes batch);
  void write();
};

struct TopicFiles {
  std::vector<PartitionFile> partitions;
  bool synced = true;
};

using Topics = std::map<std::string, TopicFiles, std::less<>>;

TopicFiles create_files(const std::string& directory, std::string_view topic, std::int32_t partitions, bool synced);
void remove_files(const std::string& directory, std::string_view topic, TopicFiles& files);

}  // namespace mr::bench
