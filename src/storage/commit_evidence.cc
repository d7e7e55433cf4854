#include <algorithm>

#include "storage/log.h"

namespace mr::storage {

Offset CommitEvidence::end() const {
  Offset end{0};
  for (const JournalRun& run : durable) end = std::max(end, run.next);
  for (const Carried& one : carried) end = std::max(end, one.run.next);
  return end;
}

}  // namespace mr::storage
