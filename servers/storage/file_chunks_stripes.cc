// A file's data over its local files. Most requests are within one stripe and cost nothing more
// here.
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>

#include "base/log.hpp"
#include "placement/stripes.hpp"
#include "storage/file_chunks.hpp"

namespace benchfs {
namespace {

/// Bytes of the blocks of a hole that are allocated all the same: set aside, and not written yet. 0
/// where the file system does not tell (those in memory).
std::uint64_t set_aside_in(int fd, std::uint64_t begin, std::uint64_t end) {
  constexpr unsigned kExtents = 32;
  alignas(fiemap) std::array<char, sizeof(fiemap) + kExtents * sizeof(fiemap_extent)> memory{};
  std::uint64_t bytes = 0;
  while (begin < end) {
    auto* map = new (memory.data()) fiemap{};
    map->fm_start = begin;
    map->fm_length = end - begin;
    map->fm_extent_count = kExtents;
    if (ioctl(fd, FS_IOC_FIEMAP, map) != 0 || map->fm_mapped_extents == 0) break;
    const std::uint64_t from = begin;
    for (unsigned i = 0; i < map->fm_mapped_extents; ++i) {
      fiemap_extent extent;
      std::memcpy(&extent, memory.data() + sizeof(fiemap) + i * sizeof(extent), sizeof(extent));
      const std::uint64_t first = std::max<std::uint64_t>(begin, extent.fe_logical);
      const std::uint64_t last = std::min<std::uint64_t>(end, extent.fe_logical + extent.fe_length);
      if (first >= last) continue;
      // Promised to data that are in memory alone, as yet: those are not of this hole.
      if ((extent.fe_flags & FIEMAP_EXTENT_DELALLOC) == 0) bytes += last - first;
      begin = last;
    }
    if (begin == from) break;
  }
  return bytes;
}

/// Bytes of the blocks [begin, end) of a local file that are to be allocated. A file ends within a
/// block at most once; that block is there.
Result<std::uint64_t> holes_of(int fd, std::uint64_t begin, std::uint64_t end,
                               std::uint64_t block) {
  std::uint64_t bytes = 0;
  while (begin < end) {
    const off_t hole = lseek(fd, static_cast<off_t>(begin), SEEK_HOLE);
    if (hole < 0 && errno != ENXIO) return fail(errc_from_errno(errno), errno);
    // ENXIO: at or beyond the end of the file.
    const std::uint64_t from =
        hole < 0 ? begin : (static_cast<std::uint64_t>(hole) + block - 1) / block * block;
    if (from >= end) break;
    const off_t data = lseek(fd, static_cast<off_t>(from), SEEK_DATA);
    if (data < 0 && errno != ENXIO) return fail(errc_from_errno(errno), errno);
    const std::uint64_t to =
        data < 0 ? end : std::min(end, static_cast<std::uint64_t>(data) / block * block);
    bytes += to - from - set_aside_in(fd, from, to);
    begin = to;
  }
  return bytes;
}

}  // namespace

Task<Result<std::size_t>> FileChunks::read(InodeId inode, std::uint64_t offset,
                                           std::span<std::byte> into) {
  const StripePlace at = stripe_at(offset);
  if (into.size() <= at.room) return read_file({inode, at.file}, at.offset, into);
  return read_across(inode, offset, into);
}

Task<Status> FileChunks::write(InodeId inode, std::uint64_t offset,
                               std::span<const std::byte> from) {
  const StripePlace at = stripe_at(offset);
  if (from.size() <= at.room) return write_file({inode, at.file}, at.offset, from);
  return write_across(inode, offset, from);
}

Task<Result<std::size_t>> FileChunks::read_across(InodeId inode, std::uint64_t offset,
                                                  std::span<std::byte> into) {
  std::size_t done = 0, end = 0;
  while (done < into.size()) {
    const StripePlace at = stripe_at(offset + done);
    const auto part = into.subspan(done, std::min<std::uint64_t>(at.room, into.size() - done));
    auto reading = read_file({inode, at.file}, at.offset, part);
    const Result<std::size_t> count = co_await reading;
    if (!count) co_return count;
    if (*count > 0) end = done + *count;
    std::memset(part.data() + *count, 0, part.size() - *count);
    done += part.size();
  }
  co_return end;
}

Task<Status> FileChunks::write_across(InodeId inode, std::uint64_t offset,
                                      std::span<const std::byte> from) {
  while (!from.empty()) {
    const StripePlace at = stripe_at(offset);
    const auto part = from.first(std::min<std::uint64_t>(at.room, from.size()));
    auto writing = write_file({inode, at.file}, at.offset, part);
    const Status written = co_await writing;
    if (!written) co_return written;
    offset += part.size();
    from = from.subspan(part.size());
  }
  co_return Status{};
}

Result<std::uint64_t> FileChunks::unallocated(InodeId inode, std::uint64_t begin, std::uint64_t end,
                                              std::uint64_t block) {
  std::uint64_t bytes = 0;
  while (begin < end) {
    const StripePlace at = stripe_at(begin);
    const std::uint64_t part = std::min(at.room, end - begin);
    auto pinned = pin({inode, at.file}, Missing::fail);
    if (pinned) {
      BFS_TRY(holes, holes_of((*pinned)->fd, at.offset, at.offset + part, block));
      bytes += holes;
    } else if (pinned.error().code == Errc::not_found) {
      bytes += part;
    } else {
      return std::unexpected(pinned.error());
    }
    begin += part;
  }
  return bytes;
}

Task<Status> FileChunks::sync(InodeId inode) {
  if (volatile_) co_return Status{};
  if (const auto lost = lost_.find(inode); lost != lost_.end()) {
    co_return std::unexpected(lost->second);
  }
  // All under way before one is waited for: a device syncs them together.
  std::array<std::optional<Task<Status>>, kStripeFiles> syncing;
  for (unsigned i = 0; i < kStripeFiles; ++i) syncing[i].emplace(sync_file({inode, i}));
  Status outcome;
  for (auto& task : syncing) {
    Task<Status>& of_file = *task;
    const Status synced = co_await of_file;
    if (outcome) outcome = synced;
  }
  if (!outcome) co_return outcome;
  const std::size_t folder = folder_of(inode);
  if (folders_[folder].synced == folders_[folder].changes) co_return Status{};
  auto named = sync_folder(folder);
  co_return co_await named;
}

Task<Status> FileChunks::sync_all() {
  if (volatile_) co_return Status{};
  if (!lost_.empty()) co_return std::unexpected(lost_.begin()->second);
  int err = 0;
  const int chunks_fd = chunks_fd_;
  auto call = offload_.run([chunks_fd, &err] { err = syncfs(chunks_fd) == 0 ? 0 : errno; });
  co_await call;
  if (err == 0) co_return Status{};
  log_error("the file system of {}/chunks cannot be synced: {}", options_.data_dir,
            std::strerror(err));
  co_return fail(errc_from_errno(err), err);
}

Task<Status> FileChunks::truncate(InodeId inode, std::uint64_t size) {
  for (unsigned i = 0; i < kStripeFiles; ++i) {
    auto shortening = truncate_file({inode, i}, stripe_size(size, i));
    const Status done = co_await shortening;
    if (!done) co_return done;
  }
  co_return Status{};
}

Task<Status> FileChunks::remove(InodeId inode) {
  lost_.erase(inode);
  for (unsigned i = 0; i < kStripeFiles; ++i) {
    const Status done = remove_file({inode, i});
    if (!done) co_return done;
  }
  co_return Status{};
}

Result<FileChunks::Share> FileChunks::share(ChunkFile id, bool create) {
  auto pinned = pin(id, create ? Missing::create : Missing::fail);
  if (!pinned) return std::unexpected(pinned.error());
  return Share(std::move(*pinned));
}

}  // namespace benchfs
