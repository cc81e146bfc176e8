// Errors of BenchFS: one list with name, wire value, errno, MPI error class and text, and Result<T>.
#pragma once
#include <cerrno>
#include <cstdint>
#include <expected>
#include <string_view>

namespace benchfs {

// X(name, wire value, errno, text). Wire values are never reused. The MPI error class follows from the
// errno, in adio_benchfs/ alone (MPI-4.0 section 14.7 names the classes).
#define BENCHFS_ERRORS(X)                                                              \
  X(not_found, 1, ENOENT, "no such file or directory")                                 \
  X(exists, 2, EEXIST, "file exists")                                                  \
  X(no_space, 3, ENOSPC, "no space left on the server's storage")                      \
  X(invalid, 4, EINVAL, "invalid argument")                                            \
  X(io, 5, EIO, "input/output error on the server's storage")                          \
  X(unreachable, 6, EHOSTUNREACH, "server is dead or cannot be reached")               \
  X(bad_message, 7, EBADMSG, "malformed message")                                      \
  X(timed_out, 8, ETIMEDOUT, "deadline passed")                                        \
  X(access, 9, EACCES, "permission denied")                                            \
  X(not_permitted, 10, EPERM, "operation not permitted")                               \
  X(not_directory, 11, ENOTDIR, "not a directory")                                     \
  X(is_directory, 12, EISDIR, "is a directory")                                        \
  X(not_empty, 13, ENOTEMPTY, "directory not empty")                                   \
  X(name_too_long, 14, ENAMETOOLONG, "file name too long")                             \
  X(too_big, 15, EFBIG, "file too large")                                              \
  X(quota, 16, EDQUOT, "quota exceeded")                                               \
  X(busy, 17, EBUSY, "busy")                                                           \
  X(no_memory, 18, ENOMEM, "out of memory")                                            \
  X(bad_handle, 19, EBADF, "file handle is closed or lacks this access")               \
  X(stale, 20, ESTALE, "stale: it belongs to an earlier run")                          \
  X(loop, 21, ELOOP, "too many symbolic links")                                        \
  X(not_supported, 22, EOPNOTSUPP, "not supported")                                    \
  X(version, 23, EPROTONOSUPPORT, "protocol version is not spoken here")               \
  X(shutting_down, 24, ESHUTDOWN, "server is shutting down")                           \
  X(checksum, 25, EIO, "checksum mismatch")                                            \
  X(canceled, 26, ECANCELED, "canceled")                                               \
  X(cross_device, 27, EXDEV, "not on this file system")                                \
  X(range, 28, ERANGE, "result out of range")                                          \
  X(no_data, 29, ENODATA, "no such attribute")                                         \
  X(gone, 41, ESTALE, "the file has no name any more, and its server has lost it")     \
  X(xattrs_full, 40, ENOSPC, "no room for another extended attribute")                 \
  /* Never seen by a caller of the C interface: the client answers them by itself. */  \
  X(stale_epoch, 30, ESTALE, "the slot map has changed")                               \
  X(bad_session, 31, ESTALE, "the server does not know this session")                  \
  X(being_removed, 32, EBUSY, "a directory is just being removed")

enum class Errc : std::uint16_t {
#define X(name, wire, err, text) name = wire,
  BENCHFS_ERRORS(X)
#undef X
};

/// What went wrong, and where: cheap to copy, no allocation.
struct [[nodiscard]] Error {
  Errc code;
  std::int32_t native = 0;   ///< errno or ucs_status_t where it was detected; logged, never sent
  std::int32_t server = -1;  ///< index in the cluster file of the server concerned; -1: none
};

template <class T>
using Result = std::expected<T, Error>;
/// Result of an operation without a value.
using Status = Result<void>;

inline std::unexpected<Error> fail(Errc code, std::int32_t native = 0, std::int32_t server = -1) {
  return std::unexpected(Error{code, native, server});
}

constexpr int to_errno(Errc code) {
  switch (code) {
#define X(name, wire, err, text) \
  case Errc::name:               \
    return err;
    BENCHFS_ERRORS(X)
#undef X
  }
  return EIO;
}

constexpr std::string_view to_text(Errc code) {
  switch (code) {
#define X(name, wire, err, text) \
  case Errc::name:               \
    return text;
    BENCHFS_ERRORS(X)
#undef X
  }
  return "unknown error";
}

constexpr std::string_view to_name(Errc code) {
  switch (code) {
#define X(name, wire, err, text) \
  case Errc::name:               \
    return #name;
    BENCHFS_ERRORS(X)
#undef X
  }
  return "unknown";
}

/// The error of a status word that came over the wire; an unknown value is a malformed message.
constexpr Errc errc_from_wire(std::uint16_t value) {
  switch (value) {
#define X(name, wire, err, text) case wire:
    BENCHFS_ERRORS(X)
#undef X
    return static_cast<Errc>(value);
    default:
      return Errc::bad_message;
  }
}

/// The error for an errno of a system call on a server's storage; anything unknown is an I/O error.
constexpr Errc errc_from_errno(int err) {
  switch (err) {
    case ENOENT: return Errc::not_found;
    case EEXIST: return Errc::exists;
    case ENOSPC: return Errc::no_space;
    case EDQUOT: return Errc::quota;
    case EINVAL: return Errc::invalid;
    case EACCES: return Errc::access;
    case EPERM: return Errc::not_permitted;
    case ENOTDIR: return Errc::not_directory;
    case EISDIR: return Errc::is_directory;
    case ENOTEMPTY: return Errc::not_empty;
    case ENAMETOOLONG: return Errc::name_too_long;
    case EFBIG: return Errc::too_big;
    case ENOMEM: return Errc::no_memory;
    case ETIMEDOUT: return Errc::timed_out;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ENETUNREACH:
    case EHOSTUNREACH: return Errc::unreachable;
    default: return Errc::io;
  }
}

}  // namespace benchfs

#define BFS_CAT2(a, b) a##b
#define BFS_CAT(a, b) BFS_CAT2(a, b)
/// Binds `name` to the value of a Result, or co_returns its error. A statement, not an expression
/// (GCC 12 miscompiles co_await inside larger expressions).
#define BFS_CO_TRY(name, ...)                                                             \
  auto BFS_CAT(name, _result) = __VA_ARGS__;                                              \
  if (!BFS_CAT(name, _result)) co_return std::unexpected(BFS_CAT(name, _result).error()); \
  auto& name = *BFS_CAT(name, _result)
/// The same for a Status: co_returns its error, if any.
#define BFS_CO_CHECK(name, ...)     \
  auto name = __VA_ARGS__;          \
  if (!name) co_return std::unexpected(name.error())
/// Binds `name` to the value of a Result, or returns its error; for plain functions.
#define BFS_TRY(name, ...)                                                             \
  auto BFS_CAT(name, _result) = __VA_ARGS__;                                           \
  if (!BFS_CAT(name, _result)) return std::unexpected(BFS_CAT(name, _result).error()); \
  auto& name = *BFS_CAT(name, _result)
#define BFS_CHECK(name, ...) \
  auto name = __VA_ARGS__;   \
  if (!name) return std::unexpected(name.error())
