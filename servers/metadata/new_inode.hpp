// What the files of the namespace operations share: names that may be, and inodes that are made.
// Private to metadata/.
#pragma once
#include <sys/stat.h>

#include <string_view>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "metadata/namespace.hpp"

namespace benchfs {

inline constexpr std::uint32_t kPermissionBits = 07777;

inline Status check_name(std::string_view name) {
  if (name.size() > kNameBytesMax) return fail(Errc::name_too_long);
  if (name.empty() || name == "." || name == "..") return fail(Errc::invalid);
  if (name.find('/') != name.npos || name.find('\0') != name.npos) return fail(Errc::invalid);
  return {};
}

inline Inode new_inode(InodeId number, std::uint32_t mode, std::uint64_t chunk_bytes,
                       Namespace::Owner owner) {
  const std::int64_t now = wall_ns();
  Inode inode;
  inode.attributes = {.inode = number,
                      .size = 0,
                      .chunk_bytes = chunk_bytes,
                      .mode = mode,
                      .nlink = S_ISDIR(mode) ? 2u : 1u,
                      .uid = owner.uid,
                      .gid = owner.gid,
                      .atime_ns = now,
                      .mtime_ns = now,
                      .ctime_ns = now};
  return inode;
}

/// The inode of an entry must be there: its absence is not the caller's not_found.
inline Error inconsistent(InodeId inode, Error error) {
  if (error.code != Errc::not_found) return error;
  log_error("the metadata has an entry for inode {:x}, but not the inode", inode);
  return Error{Errc::io, EIO};
}

}  // namespace benchfs
