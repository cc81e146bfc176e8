// The chunk files: where they are, opening them below the data directory and nowhere else, syncing,
// shortening, removing, counting. How their data moves is in chunk_io.cc, how a file is spread over
// several of them in chunk_stripes.cc.
#include "storage/file_chunks.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/log.hpp"
#include "base/text.hpp"
#include "storage/chunks_folder.hpp"

namespace benchfs {
namespace {

/// Freeing more than this takes long enough to be left to the helper thread.
constexpr std::uint64_t kBigBytes = 8ull << 20;

std::uint64_t allocated(const struct stat& facts) {
  return static_cast<std::uint64_t>(facts.st_blocks) * 512;
}

struct Name {
  std::array<char, 22> text;  ///< "xx/0123456789abcdef.s"
  explicit Name(ChunkFile file, std::size_t folder) {
    std::snprintf(text.data(), text.size(), "%02zx/%016llx.%u", folder,
                  static_cast<unsigned long long>(file.inode), file.stripe % 10);
  }
  const char* c_str() const { return text.data(); }
};

Status logged(const char* what, const std::string& path, int err) {
  log_error("cannot {} {}: {}", what, path, std::strerror(err));
  return fail(errc_from_errno(err), err);
}

}  // namespace

std::size_t FileChunks::folder_of(InodeId inode) {
  // Slot and counter both vary from file to file, in a busy and in a nearly empty cluster.
  return static_cast<std::size_t>((inode ^ (inode >> 48)) & (kFolders - 1));
}

std::string FileChunks::path_of(ChunkFile id) {
  return std::string("chunks/") + Name(id, folder_of(id.inode)).c_str();
}

FileChunks::FileChunks(Options options, Ring* ring, Offload& offload)
    : options_(std::move(options)),
      ring_(ring),
      offload_(offload),
      cache_(options_.open_files_max, [this](FdCache::File& file) { closing(file); }) {}

FileChunks::~FileChunks() {
  BFS_ASSERT(background_.inside() == 0);
  cache_.clear();
  if (chunks_fd_ >= 0) ::close(chunks_fd_);
}

/// Takes note of the local files in an open folder, which is closed. All of them, or an error: a
/// file that is not noted does not exist for anybody.
Status FileChunks::take_note_of(int fd) {
  DIR* folder = fdopendir(fd);
  if (folder == nullptr) {
    const int err = errno;
    ::close(fd);
    return fail(errc_from_errno(err), err);
  }
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(folder);
    if (entry == nullptr) break;
    if (entry->d_name[0] == '.') continue;
    char* after = nullptr;
    const InodeId inode = std::strtoull(entry->d_name, &after, 16);
    if (*after == '.') made_files_.add({inode, static_cast<unsigned>(std::atoi(after + 1))});
    struct stat facts {};
    if (fstatat(dirfd(folder), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(facts.st_mode)) {
      count_stored(inode, static_cast<std::int64_t>(allocated(facts)));
    }
  }
  const int err = errno;
  closedir(folder);
  if (err != 0) return fail(errc_from_errno(err), err);
  return {};
}

Status FileChunks::start() {
  const std::string path = chunks_folder(options_.data_dir);
  BFS_TRY(chunks_fd, open_chunks_folder(options_.data_dir));
  chunks_fd_ = chunks_fd;
  for (std::size_t i = 0; i < kFolders; ++i) {
    std::array<char, 4> name{};
    std::snprintf(name.data(), name.size(), "%02zx", i);
    const bool made = mkdirat(chunks_fd_, name.data(), 0700) == 0;
    if (!made && errno != EEXIST) {
      return logged("make the folder", path + "/" + name.data(), errno);
    }
    const int fd = openat(chunks_fd_, name.data(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return logged("open the folder", path + "/" + name.data(), errno);
    if (made) {
      ::close(fd);
    } else if (const Status noted = take_note_of(fd); !noted) {
      return logged("list the folder", path + "/" + name.data(), noted.error().native);
    }
  }

  volatile_ = is_memory(chunks_fd_);
  if (!volatile_ && fsync(chunks_fd_) != 0) return logged("sync", path, errno);

  mode_ = options_.io_mode;
  if (mode_ == IoMode::automatic || mode_ == IoMode::memory) {
    mode_ = volatile_ ? IoMode::plain : IoMode::ring;
  }
  if (mode_ != IoMode::plain && ring_ == nullptr) {
    log_warn("io_uring is not to be had here: data in {} moves by plain system calls", path);
    mode_ = IoMode::plain;
  }
  return take_over();
}

int FileChunks::open_file(ChunkFile id, int flags) {
  const Name name(id, folder_of(id.inode));
  flags |= O_CLOEXEC | O_NOFOLLOW;
  const mode_t mode = (flags & O_CREAT) != 0 ? 0600 : 0;
  for (;;) {
    int fd = -1;
    if (beneath_) {
      open_how how{};
      how.flags = static_cast<std::uint64_t>(flags);
      how.mode = mode;
      how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
      fd = static_cast<int>(syscall(SYS_openat2, chunks_fd_, name.c_str(), &how, sizeof(how)));
      // An old kernel, or a container's filter that does not know the call.
      if (fd < 0 && (errno == ENOSYS || errno == EPERM)) beneath_ = false;
    }
    if (!beneath_) fd = openat(chunks_fd_, name.c_str(), flags, mode);
    if (fd >= 0) return fd;
    if ((errno == EMFILE || errno == ENFILE) && cache_.evict_one()) continue;
    if (errno != EINTR) return -1;
  }
}

Result<FdCache::Pin> FileChunks::pin(ChunkFile id, Missing missing) {
  FdCache::Pin found = cache_.find(id);
  if (found) return found;
  if (missing == Missing::fail && !made_files_.may_exist(id)) return fail(Errc::not_found, ENOENT);
  int fd = -1;
  bool made = false;
  if (missing == Missing::create) {
    fd = open_file(id, O_RDWR | O_CREAT | O_EXCL);
    made = fd >= 0;
    if (fd < 0 && errno == EEXIST) fd = open_file(id, O_RDWR);
  } else {
    fd = open_file(id, O_RDWR);
  }
  // What was not made just now may have been put there by somebody: it is looked for again.
  if (missing == Missing::create && !made && !made_files_.may_exist(id)) made_files_.add(id);
  if (fd < 0) {
    const int err = errno;
    if (err != ENOENT) {
      log_error("cannot open {}/{}: {}", options_.data_dir, path_of(id), std::strerror(err));
    }
    return fail(errc_from_errno(err), err);
  }
  FdCache::Pin added = cache_.insert(id, fd);
  if (made) {
    made_files_.add(id);
    count_made();
    ++folders_[folder_of(id.inode)].changes;
  } else {
    struct stat facts {};
    if (fstat(fd, &facts) == 0) added->allocated_bytes = allocated(facts);
  }
  return added;
}

bool FileChunks::direct_ready(FdCache::File& file) {
  if (file.direct_fd >= 0) return true;
  if (file.no_direct || file.removed) return false;
  file.direct_fd = open_file(file.id, O_RDWR | O_DIRECT);
  if (file.direct_fd >= 0) return true;
  file.no_direct = true;
  log_debug("no O_DIRECT for {}/{}: {}", options_.data_dir, path_of(file.id), std::strerror(errno));
  return false;
}

Task<Status> FileChunks::sync_file(ChunkFile id) {
  auto pinned = pin(id, Missing::fail);
  if (!pinned) {
    if (pinned.error().code == Errc::not_found) co_return Status{};
    co_return std::unexpected(pinned.error());
  }
  FdCache::File& file = **pinned;
  if (file.shares > 0) ++file.changes;
  const std::uint64_t changes = file.changes;
  if (file.synced >= changes) co_return Status{};
  Status done;
  if (ring_ != nullptr) {
    auto op = ring_->fdatasync(file.fd);
    const Result<std::size_t> result = co_await op;
    if (!result) done = std::unexpected(result.error());
  } else {
    int err = 0;
    const int fd = file.fd;
    auto call = offload_.run([fd, &err] { err = fdatasync(fd) == 0 ? 0 : errno; });
    co_await call;
    if (err != 0) done = fail(errc_from_errno(err), err);
  }
  if (!done) {
    log_error("data of {}/{} did not reach the device: {}", options_.data_dir, path_of(id),
              std::strerror(done.error().native));
    if (!file.removed) lost_.insert_or_assign(id.inode, done.error());
    co_return done;
  }
  file.synced = std::max(file.synced, changes);
  co_return Status{};
}

Task<Status> FileChunks::sync_folder(std::size_t folder) {
  const std::uint64_t changes = folders_[folder].changes;
  int err = 0;
  const int chunks_fd = chunks_fd_;
  auto call = offload_.run([chunks_fd, folder, &err] {
    std::array<char, 4> name{};
    std::snprintf(name.data(), name.size(), "%02zx", folder);
    const int fd = openat(chunks_fd, name.data(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) err = errno;
    if (fd >= 0) ::close(fd);
  });
  co_await call;
  if (err != 0) {
    log_error("cannot sync folder {:02x} of {}/chunks: {}", folder, options_.data_dir,
              std::strerror(err));
    co_return fail(errc_from_errno(err), err);
  }
  folders_[folder].synced = std::max(folders_[folder].synced, changes);
  co_return Status{};
}

Task<Status> FileChunks::truncate_file(ChunkFile id, std::uint64_t size) {
  auto pinned = pin(id, Missing::fail);
  if (!pinned) {
    if (pinned.error().code == Errc::not_found) co_return Status{};
    co_return std::unexpected(pinned.error());
  }
  FdCache::File& file = **pinned;
  struct stat facts {};
  if (fstat(file.fd, &facts) != 0) co_return fail(errc_from_errno(errno), errno);
  const auto local = static_cast<std::uint64_t>(facts.st_size);
  if (local <= size) {
    if (facts.st_blocks > 0) give_back_beyond(file, size);
    co_return Status{};
  }
  int err = 0;
  if (std::min(local - size, allocated(facts)) > kBigBytes) {
    const int fd = file.fd;
    auto call = offload_.run(
        [fd, size, &err] { err = ftruncate(fd, static_cast<off_t>(size)) == 0 ? 0 : errno; });
    co_await call;
  } else if (ftruncate(file.fd, static_cast<off_t>(size)) != 0) {
    err = errno;
  }
  ++file.changes;
  if (err != 0) co_return fail(errc_from_errno(err), err);
  co_return Status{};
}

void FileChunks::give_back_beyond(FdCache::File& file, std::uint64_t size) {
  // What allocate() has set aside goes when the length is set that the file has; so it gets it
  // first. Where that fails the storage comes back when the file is removed.
  const auto length = static_cast<off_t>(size);
  if (ftruncate(file.fd, length) != 0) return;
  ++file.changes;
  if (ftruncate(file.fd, length) != 0) return;
}

Status FileChunks::remove_file(ChunkFile id) {
  const Name name(id, folder_of(id.inode));
  FdCache::Pin open = cache_.find(id);
  if (!open) {
    if (!made_files_.may_exist(id)) return {};
    struct stat facts {};
    if (fstatat(chunks_fd_, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
      const int err = errno;
      if (err == ENOENT) return {};
      return fail(errc_from_errno(err), err);
    }
    if (allocated(facts) > kBigBytes) {
      // Held open over the unlink, so that the pages are freed at the close, on the helper thread.
      auto pinned = pin(id, Missing::fail);
      if (pinned) {
        FdCache::Pin moved = std::move(*pinned);
        if (unlinkat(chunks_fd_, name.c_str(), 0) != 0) return fail(errc_from_errno(errno), errno);
        made_files_.remove(id);
        cache_.remove(id);
        return {};
      }
    }
    if (unlinkat(chunks_fd_, name.c_str(), 0) != 0) return fail(errc_from_errno(errno), errno);
    made_files_.remove(id);
    count_stored(id.inode, -static_cast<std::int64_t>(allocated(facts)));
    return {};
  }
  if (unlinkat(chunks_fd_, name.c_str(), 0) != 0 && errno != ENOENT) {
    return fail(errc_from_errno(errno), errno);
  }
  made_files_.remove(id);
  cache_.remove(id);  // its blocks are free, and not counted any more, when nobody has it open
  return {};
}

void FileChunks::recount(FdCache::File& file) {
  if (file.shares == 0 && file.allocated_at == file.changes) return;
  struct stat facts {};
  if (fstat(file.fd, &facts) != 0) return;
  count_stored(file.id.inode, static_cast<std::int64_t>(allocated(facts)) -
                                  static_cast<std::int64_t>(file.allocated_bytes));
  file.allocated_bytes = allocated(facts);
  file.allocated_at = file.changes;
}

void FileChunks::closing(FdCache::File& file) {
  if (file.direct_fd >= 0) ::close(file.direct_fd);
  if (!file.removed) {
    recount(file);
  } else {
    count_stored(file.id.inode, -static_cast<std::int64_t>(file.allocated_bytes));
    struct stat facts {};
    if (!background_.closed() && fstat(file.fd, &facts) == 0 && allocated(facts) > kBigBytes) {
      close_later(file.fd).detach();
      return;
    }
  }
  ::close(file.fd);
}

Task<void> FileChunks::close_later(int fd) {
  const Gate::Pass pass = background_.enter();
  auto call = offload_.run([fd] { ::close(fd); });
  co_await call;
}

void FileChunks::count_stored(InodeId inode, std::int64_t change) {
  stored_bytes_ += change;
  if (const QuotaId quota = quota_of(inode); quota != 0) quota_bytes_[quota] += change;
}

std::uint64_t FileChunks::stored_for(QuotaId quota) {
  cache_.for_each([&](FdCache::File& file) {
    if (quota_of(file.id.inode) == quota) recount(file);
  });
  const auto found = quota_bytes_.find(quota);
  if (found == quota_bytes_.end() || found->second < 0) return 0;
  return static_cast<std::uint64_t>(found->second);
}

Result<StorageUsage> FileChunks::usage() {
  cache_.for_each([this](FdCache::File& file) { recount(file); });
  BFS_TRY(device, device_of(chunks_fd_));
  StorageUsage usage;
  usage.stored_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(stored_bytes_, 0));
  usage.capacity_bytes = device.bytes;
  usage.free_bytes = device.available_bytes;
  return usage;
}

Result<Device> FileChunks::device() const {
  return device_of(chunks_fd_);
}

Task<void> FileChunks::close() {
  cache_.clear();
  background_.close();
  auto drained = background_.drained();
  co_await drained;
}

}  // namespace benchfs
