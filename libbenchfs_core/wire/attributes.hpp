// Attributes of an inode, as messages carry them and the metadata store keeps them.
#pragma once
#include <cstdint>

namespace benchfs::wire {

/// Attributes of an inode.
struct Attributes {
  std::uint64_t inode;
  std::uint64_t size;
  std::uint64_t chunk_bytes;
  std::uint32_t mode, nlink, uid, gid;
  std::int64_t atime_ns, mtime_ns, ctime_ns;
};
static_assert(sizeof(Attributes) == 64);

}  // namespace benchfs::wire
