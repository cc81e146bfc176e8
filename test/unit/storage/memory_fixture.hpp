// A place in memory for chunk stores, where there is one.
#pragma once
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <string>

namespace benchfs::testing {

inline bool in_memory(const std::string& path) {
  struct statfs facts {};
  return statfs(path.c_str(), &facts) == 0 && facts.f_type == TMPFS_MAGIC;
}
/// For TempDir. Where there is no storage in memory all files are local ones, and most cases hold
/// as well.
inline std::string memory() {
  return in_memory("/dev/shm") && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "";
}

}  // namespace benchfs::testing
