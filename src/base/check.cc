#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace mr {

void check_failed(const char* expression, std::source_location where) {
  std::fprintf(stderr, "millrace: check failed at %s:%u in %s: %s\n", where.file_name(), where.line(),
               where.function_name(), expression);
  std::abort();
}

}  // namespace mr
