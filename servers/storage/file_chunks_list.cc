// The chunk files by what is in the folders, and not by what the store knows of them: for a check
// of everything. The order is that of the folders, and of the inode numbers within each, so that a
// list goes on after any number, whether it is still there or not.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/log.hpp"
#include "storage/file_chunks.hpp"

namespace benchfs {
namespace {

/// Numbers above `after` in a folder, sorted; 0 or an errno.
int list_folder(int chunks_fd, std::size_t folder, InodeId after, std::vector<InodeId>& into) {
  std::array<char, 4> path{};
  std::snprintf(path.data(), path.size(), "%02zx", folder);
  const int fd = openat(chunks_fd, path.data(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno;
  DIR* open = fdopendir(fd);
  if (open == nullptr) {
    const int err = errno;
    ::close(fd);
    return err;
  }
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(open);
    if (entry == nullptr) break;
    const auto id = FileChunks::named(entry->d_name);
    if (id && id->inode > after) into.push_back(id->inode);
  }
  const int err = errno;
  closedir(open);
  std::sort(into.begin(), into.end());
  into.erase(std::unique(into.begin(), into.end()), into.end());  // several local files
  return err;
}

}  // namespace

std::optional<ChunkFile> FileChunks::named(const char* name) {
  constexpr std::size_t kDigits = 16;
  if (std::strspn(name, "0123456789abcdef") != kDigits || name[kDigits] != '.') return std::nullopt;
  const char stripe = name[kDigits + 1];
  if (stripe < '0' || stripe >= static_cast<char>('0' + kStripeFiles)) return std::nullopt;
  if (name[kDigits + 2] != 0) return std::nullopt;
  return ChunkFile(std::strtoull(name, nullptr, 16), static_cast<unsigned>(stripe - '0'));
}

Task<Result<std::vector<InodeId>>> FileChunks::list(InodeId after, std::size_t most) {
  std::vector<InodeId> found;
  int err = 0;
  const int chunks_fd = chunks_fd_;
  auto call = offload_.run([chunks_fd, after, most, &found, &err] {
    InodeId last = after;
    for (std::size_t i = after == 0 ? 0 : folder_of(after); i < kFolders; ++i, last = 0) {
      std::vector<InodeId> here;
      err = list_folder(chunks_fd, i, last, here);
      if (err != 0) return;
      const std::size_t taken = std::min(here.size(), most - found.size());
      found.insert(found.end(), here.begin(), here.begin() + static_cast<std::ptrdiff_t>(taken));
      if (found.size() == most) return;
    }
  });
  co_await call;
  if (err != 0) {
    log_error("cannot list the folders of {}/chunks: {}", options_.data_dir, std::strerror(err));
    co_return fail(errc_from_errno(err), err);
  }
  co_return found;
}

Result<std::optional<std::uint64_t>> FileChunks::stored(InodeId inode) {
  std::optional<std::uint64_t> bytes;
  for (unsigned stripe = 0; stripe < kStripeFiles; ++stripe) {
    const ChunkFile id(inode, stripe);
    const std::string path = options_.data_dir + "/" + path_of(id);
    struct stat facts {};
    if (lstat(path.c_str(), &facts) == 0) {
      bytes = bytes.value_or(0) + static_cast<std::uint64_t>(facts.st_blocks) * 512;
      if (!made_files_.may_exist(id)) made_files_.add(id);
    } else if (errno != ENOENT) {
      const int err = errno;
      log_error("cannot look at {}: {}", path, std::strerror(err));
      return fail(errc_from_errno(err), err);
    }
  }
  return bytes;
}

}  // namespace benchfs
