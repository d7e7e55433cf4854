#pragma once
#include "base/units.h"

namespace mr {

TimePoint mono_now();

}  // namespace mr
