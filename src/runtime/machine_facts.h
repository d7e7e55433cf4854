#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/env.h"

/// What a diagnosis asks of the machine; for `cli` only. Everything blocks; nothing is changed but where it says so.
namespace mr {

/// One line of mountinfo.
struct Mount {
  std::string point;
  std::string kind;    ///< "ext4", "tmpfs", "overlay", "nfs4", "fuse.sshfs", ...
  std::string source;  ///< device or server
  bool read_only = false;
};
/// The mount that the absolute `path` lies in: the longest mount point in front of it, of several the last mounted.
/// Pure; `mountinfo` as in /proc/self/mountinfo.
std::optional<Mount> mount_in(std::string_view mountinfo, std::string_view path);
/// The same of this machine; links in `path` are followed.
std::optional<Mount> mount_of(const std::string& path);

/// May this process read, and make files in, the directory? Errors: permission_denied, disk_failed (read-only file
/// system), not_found, ...
Result<void> may_use_directory(const std::string& path);

/// Who holds the lock file that FileSystem::lock() makes.
struct LockState {
  bool held = false;
  std::int64_t process = 0;  ///< 0: not known, as that of another container
};
/// A missing lock file is not held. Reads /proc/locks; only when that does not know the file it is locked, shared, for
/// an instant. Errors: permission_denied, ...
Result<LockState> lock_state(const std::string& path);

struct ListedFile {
  std::string path;  ///< below the directory that was asked for
  std::uint64_t bytes = 0;
  std::uint64_t allocated_bytes = 0;
  WallMillis modified = 0;
  bool usable = true;  ///< this process may read and write it
};
struct FileListing {
  std::vector<ListedFile> files;  ///< in order of names, directory by directory
  std::vector<std::string> unreadable_directories;
  bool cut = false;  ///< there are more than were asked for
};
/// All files below `path`; links are not followed. Errors: that of the directory itself.
Result<FileListing> list_files(const std::string& path, std::size_t files_max);

struct SyncTimes {
  std::vector<Duration> each;  ///< sorted; never empty
  Duration percentile(double share) const;
};
/// How long 4 KiB and fdatasync take, for about `how_long`, in a nameless file in `directory`. The file is written once
/// before and then over and over, as commit journals are. Errors: those of FileSystem and File.
Result<SyncTimes> measure_syncs(const std::string& directory, Duration how_long);

struct DescriptorLimits {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};
DescriptorLimits descriptor_limits();

/// What the kernel says of its clock. Unset: it does not say (a sandbox).
struct ClockState {
  bool synchronised = false;
  double error_ms_max = 0;  ///< the kernel's own bound
};
std::optional<ClockState> clock_state();

/// Could a server listen on `address` now? Binds a socket and closes it. Errors: in_use, permission_denied,
/// invalid_argument (no address of this machine), not_found (host name).
Result<void> may_listen(const Address& address);
/// What the host name means to this machine. Errors: not_found.
Result<std::vector<std::string>> addresses_of(const std::string& host);
/// Whether this looks like the inside of a container.
bool in_container();
std::string user_name();
/// "Linux 6.1.0-18-amd64 x86_64"
std::string kernel_name();

}  // namespace mr
