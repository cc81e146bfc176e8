// By plain system calls; whoever put a link in the folder's place is refused.
#include "storage/chunks_folder.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>

#include "base/log.hpp"

namespace benchfs {

std::string chunks_folder(const std::string& data_dir) {
  return data_dir + "/chunks";
}

Result<int> open_chunks_folder(const std::string& data_dir) {
  const std::string path = chunks_folder(data_dir);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    const int err = errno;
    log_error("cannot make the folder {}: {}", path, std::strerror(err));
    return fail(errc_from_errno(err), err);
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) return fd;
  const int err = errno;
  log_error("cannot open the folder {}: {}", path, std::strerror(err));
  return fail(errc_from_errno(err), err);
}

bool is_memory(int fd) {
  struct statfs facts {};
  if (::fstatfs(fd, &facts) != 0) return false;
  return facts.f_type == TMPFS_MAGIC || facts.f_type == RAMFS_MAGIC;
}

Result<Device> device_of(int folder_fd) {
  struct stat folder {};
  struct statvfs facts {};
  if (::fstat(folder_fd, &folder) != 0 || ::fstatvfs(folder_fd, &facts) != 0) {
    return fail(errc_from_errno(errno), errno);
  }
  const std::uint64_t unit = facts.f_frsize;
  Device device;
  device.id = folder.st_dev;
  device.block_bytes = unit;
  device.bytes = facts.f_blocks * unit;
  device.free_bytes = facts.f_bfree * unit;
  device.available_bytes = facts.f_bavail * unit;
  device.files = facts.f_files > 0 ? facts.f_favail : ~0ull;
  return device;
}

}  // namespace benchfs
