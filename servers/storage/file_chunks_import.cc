// What MemoryChunks has left in a data directory (copied to a device, or opened with io_mode plain)
// becomes local files, which can be synced each for itself.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "storage/arena.hpp"
#include "storage/chunks_folder.hpp"
#include "storage/file_chunks.hpp"
#include "storage/pack.hpp"
#include "storage/plain_io.hpp"

namespace benchfs {
namespace {

constexpr std::size_t kAtOnceBytes = 1u << 20;
static_assert(kAtOnceBytes == kStripeBytes);

}  // namespace

/// The arena and the pack are removed when all of them is on the device: who dies before begins
/// anew.
Status FileChunks::take_over() {
  const std::string folder = chunks_folder(options_.data_dir);
  const bool arena = Arena::exists(folder), pack = Pack::exists(folder);
  if (!arena && !pack) return {};
  if (arena) {
    BFS_CHECK(taken, take_over_arena());
  }
  // Of a file that is in both the process has died while it copied the block.
  if (pack) {
    BFS_CHECK(taken, take_over_pack());
  }
  if (!volatile_ && syncfs(chunks_fd_) != 0) {
    const int err = errno;
    log_error("cannot sync {}: {}", folder, std::strerror(err));
    return fail(errc_from_errno(err), err);
  }
  if (arena) Arena::remove_files(folder);
  if (pack) Pack::remove_files(folder);
  return {};
}

Status FileChunks::put_plain(InodeId inode, std::uint64_t offset, std::span<const std::byte> from) {
  const StripePlace at = stripe_at(offset);
  BFS_TRY(pinned, pin({inode, at.file}, Missing::create));
  const Status written = write_plain(pinned->fd, at.offset, from);
  ++pinned->changes;
  return written;
}

Status FileChunks::take_over_arena() {
  BFS_TRY(arena, Arena::open(chunks_folder(options_.data_dir), 0));
  std::vector<std::byte> memory(kAtOnceBytes);
  std::size_t files = 0;
  std::vector<InodeId> inodes = arena->list(0, ~std::size_t{0});
  for (const InodeId inode : inodes) {
    std::uint64_t at = 0;
    while (const auto data = arena->next_data(inode, at, kFileBytesMax)) {
      const std::uint64_t row_end = (*data / kAtOnceBytes + 1) * kAtOnceBytes;
      const std::uint64_t end = arena->next_hole(inode, *data, row_end).value_or(row_end);
      const auto part = std::span(memory).first(end - *data);
      const std::size_t count = arena->read(inode, *data, part);
      BFS_CHECK(put, put_plain(inode, *data, part.first(count)));
      at = end;
    }
    ++files;
  }
  log_info("{} files of the arena in {} have local files now", files, options_.data_dir);
  return {};
}

Status FileChunks::take_over_pack() {
  BFS_TRY(pack, Pack::open(chunks_folder(options_.data_dir)));
  std::vector<InodeId> inodes;
  pack->for_each([&](InodeId inode) { inodes.push_back(inode); });
  std::array<std::byte, Pack::kBlockBytes> data{};
  for (const InodeId inode : inodes) {
    BFS_TRY(bytes, pack->read(inode, 0, data));
    BFS_CHECK(put, put_plain(inode, 0, std::span(data).first(bytes)));
  }
  log_info("{} small files of the pack in {} have local files now", inodes.size(),
           options_.data_dir);
  return {};
}

}  // namespace benchfs
