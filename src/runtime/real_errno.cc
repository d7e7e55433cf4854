#include "runtime/real_errno.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace mr {

namespace {
Errc errc_of(int number) {
  switch (number) {
    case ENOSPC:
    case EDQUOT:
      return Errc::disk_full;
    case EIO:
    case EROFS:  // a file system that met an error goes read-only
      return Errc::disk_failed;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
      return Errc::resource_exhausted;
    case ENOENT:
    case ENOTDIR:
      return Errc::not_found;
    case EEXIST:
    case ENOTEMPTY:
      return Errc::already_exists;
    case EACCES:
    case EPERM:
      return Errc::permission_denied;
    case EADDRINUSE:
      return Errc::in_use;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EINVAL:
    case ENAMETOOLONG:
      return Errc::invalid_argument;
    case ECONNREFUSED:
      return Errc::connection_refused;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
    case ENOTCONN:
    case ESHUTDOWN:
      return Errc::connection_closed;
    case ETIMEDOUT:
      return Errc::timed_out;
    default:
      return Errc::io_error;
  }
}
}  // namespace

Error errno_error(int number, std::string_view what) {
  return Error(errc_of(number), fmt::format("{}: {}", what, std::generic_category().message(number)));
}

}  // namespace mr
