#pragma once
#include <string>

#include "cli/doctor_checks.h"
#include "cli/output.h"

/// What `doctor` finds, as it is printed. `bundle` takes it along.
namespace mr::cli {

Value::List to_rows(const Checks& checks);
/// A line for each check, and one below it when there is a fix.
std::string to_lines(const Checks& checks);

}  // namespace mr::cli
