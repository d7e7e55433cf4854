#pragma once
#include "base/units.h"

namespace mr {

TimePoint mono_now();
/// CPU time of the calling thread; a system call.
Duration thread_cpu();

}  // namespace mr
