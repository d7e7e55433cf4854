#pragma once
#include <string>

#include "storage/log_verify.h"

namespace mr::storage {

/// What becomes of a problem that `log verify` found. A start mends all that can be mended without losing anything, so
/// there is nothing here that changes files.
struct Remedy {
  std::string action;
  std::string lost;           ///< in words; empty: nothing
  bool records_lost = false;  ///< that had been acknowledged, as far as the files tell
};
/// Pure.
Remedy remedy_for(const VerifyProblem& problem);

}  // namespace mr::storage
