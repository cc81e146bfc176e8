// Local files that a data directory has from elsewhere (a copy of one on a device, or io_mode
// plain) come into the arena.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/log.hpp"
#include "storage/file_chunks.hpp"
#include "storage/memory_chunks.hpp"
#include "storage/plain_io.hpp"

namespace benchfs {
namespace {

constexpr std::size_t kAtOnceBytes = 1u << 20;
static_assert(kAtOnceBytes <= kStripeBytes);

std::unexpected<Error> failed(const char* what, int err) {
  log_error("cannot {} local files of file data: {}", what, std::strerror(err));
  return fail(errc_from_errno(err), err);
}

}  // namespace

Status MemoryChunks::take_over_files() {
  std::size_t files = 0;
  for (std::size_t i = 0; i < FileChunks::kFolders; ++i) {
    std::array<char, 4> name{};
    std::snprintf(name.data(), name.size(), "%02zx", i);
    const int fd =
        ::openat(folder_fd_, name.data(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) continue;
    if (fd < 0) return failed("open the folder of", errno);
    BFS_TRY(taken, take_over_folder(fd));
    files += taken;
  }
  if (files > 0) log_info("{} local files in {} are in the arena now", files, options_.data_dir);
  return {};
}

/// Closes `fd`.
Result<std::size_t> MemoryChunks::take_over_folder(int fd) {
  DIR* folder = ::fdopendir(fd);
  if (folder == nullptr) {
    const int err = errno;
    ::close(fd);
    return failed("list", err);
  }
  std::size_t files = 0;
  Status done;
  errno = 0;
  while (const dirent* entry = done ? ::readdir(folder) : nullptr) {
    const auto id = FileChunks::named(entry->d_name);
    if (!id) continue;
    const int file = ::openat(fd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0) {
      done = failed("open", errno);
      continue;
    }
    done = take_over_file(id->inode, id->stripe, file);
    ::close(file);
    if (done && ::unlinkat(fd, entry->d_name, 0) != 0) done = failed("remove", errno);
    ++files;
    errno = 0;
  }
  if (done && errno != 0) done = failed("list", errno);
  ::closedir(folder);
  if (!done) return std::unexpected(done.error());
  return files;
}

Status MemoryChunks::take_over_file(InodeId inode, unsigned stripe, int fd) {
  std::vector<std::byte> memory(kAtOnceBytes);
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return failed("look at", errno);
  if (stripe == 0 && facts.st_size <= static_cast<off_t>(Pack::kBlockBytes) &&
      !arena_->has_segment(inode, 0)) {
    BFS_TRY(count, read_plain(fd, 0, std::span(memory).first(Pack::kBlockBytes)));
    if (count == 0 || pack_->write(inode, 0, std::span(memory).first(count))) return {};
  }
  for (off_t at = 0;;) {
    at = ::lseek(fd, at, SEEK_DATA);
    if (at < 0 && errno == ENXIO) return {};
    if (at < 0) return failed("read", errno);
    const auto offset = static_cast<std::uint64_t>(at);
    const std::size_t bytes = kAtOnceBytes - offset % kAtOnceBytes;  // within a stripe
    BFS_TRY(count, read_plain(fd, offset, std::span(memory).first(bytes)));
    if (count == 0) return {};
    BFS_CHECK(written,
              arena_->write(inode, stripe_origin(stripe, offset), std::span(memory).first(count)));
    at += static_cast<off_t>(count);
  }
}

}  // namespace benchfs
