#pragma once
#include <source_location>

namespace mr {

/// Prints where and what to standard error and aborts. Never returns.
[[noreturn]] void check_failed(const char* expression, std::source_location where = std::source_location::current());

}  // namespace mr

/// For what cannot happen: aborts in every build. What the world can do (peer, disk, client) is a Result instead.
#define MR_CHECK(condition)           \
  do {                                \
    if (!(condition)) [[unlikely]]    \
      ::mr::check_failed(#condition); \
  } while (false)
