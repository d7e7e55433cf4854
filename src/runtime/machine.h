#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

/// What a process asks of the machine and of its terminal: for `app` and `cli` only, never for rooms below.
namespace mr {

/// CPUs this process may run on; never empty.
std::vector<int> usable_cores();
/// Memory this process may use: the machine's, or the control group's limit when that is lower.
std::uint64_t usable_memory_bytes();
/// Resident memory of this process now; 0 when it cannot be told.
std::uint64_t resident_memory_bytes();
/// Gives what is allocated no more back to the machine; some 10 ms for 100 MB.
void return_free_memory();
/// CPU time this process has used, user and system, in seconds.
double used_cpu_seconds();
/// Raises the soft limit of open files to the hard one and returns it.
std::uint64_t raise_descriptor_limit();

/// A fresh directory under TMPDIR or /tmp whose name starts with `prefix`. Errors: io_error, ...
Result<std::string> make_temporary_directory(const std::string& prefix);
/// The process's environment as "NAME=value".
std::vector<std::string> environment_variables();
std::optional<std::string> environment_variable(const char* name);

/// Blocks for at least one byte of standard input; 0 at its end. Errors: io_error.
Result<std::size_t> read_standard_input(MutableBytes into);
/// Writes all to a descriptor such as standard output. Errors: connection_closed (nobody reads any more), io_error.
Result<void> write_descriptor(int descriptor, ByteView bytes);
/// A whole file, at most `bytes_max`. Errors: not_found, too_large, io_error, ...; the sentence names the path.
Result<std::string> read_small_file(const std::string& path, std::size_t bytes_max = 64u << 20);

}  // namespace mr
