// Storage set aside and given back, and where the data of a file's local files is. All of it
// without a look at owners: what this server does not own is a hole of its local files.
//
// What is set aside never makes a local file longer: how much a local file has is how a reader
// learns that the file may have ended (wire::Read). A truncate gives back what was set aside beyond
// it.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "placement/stripes.hpp"
#include "storage/file_chunks.hpp"

namespace benchfs {
namespace {

constexpr std::uint64_t kNowhere = ~0ull;
/// Of one call on the helper thread, which others wait for.
constexpr std::uint64_t kAtOnceMax = 64ull << 20;

int allocate_local(int fd, int mode, std::uint64_t offset, std::uint64_t bytes) {
  for (;;) {
    if (fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes)) == 0) return 0;
    if (errno != EINTR) return errno;
  }
}

/// Zeros to the end of the local file, and beyond it as far as it can have anything.
int punch_local(int fd, std::uint64_t offset, std::uint64_t bytes) {
  constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  struct stat facts {};
  if (fstat(fd, &facts) != 0) return errno;
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  const std::uint64_t end = offset + bytes;
  if (offset < size) {
    const int err = allocate_local(fd, kMode, offset, std::min(end, size) - offset);
    if (err != 0) return err;
  }
  if (end <= size) return 0;
  const std::uint64_t beyond = std::max(offset, size);
  const int err = allocate_local(fd, kMode, beyond, end - beyond);
  return err == EFBIG ? 0 : err;  // the range passes what a local file can be
}

Status outcome_of(int err) {
  if (err == 0) return {};
  if (err == EOPNOTSUPP || err == ENOSYS) return fail(Errc::not_supported, err);
  return fail(errc_from_errno(err), err);
}

}  // namespace

Task<Status> FileChunks::allocate(InodeId inode, std::uint64_t offset, std::uint64_t bytes) {
  for (unsigned i = 0; i < kStripeFiles; ++i) {
    std::uint64_t from = stripe_size(offset, i);
    const std::uint64_t to = stripe_size(offset + bytes, i);
    if (from >= to) continue;
    auto pinned = pin({inode, i}, Missing::create);
    if (!pinned) co_return std::unexpected(pinned.error());
    FdCache::File& file = **pinned;
    while (from < to) {
      const std::uint64_t part = std::min(to - from, kAtOnceMax);
      int err = 0;
      const int fd = file.fd;
      auto call = offload_.run(
          [fd, from, part, &err] { err = allocate_local(fd, FALLOC_FL_KEEP_SIZE, from, part); });
      co_await call;
      ++file.changes;
      if (err != 0) co_return outcome_of(err);
      from += part;
    }
  }
  co_return Status{};
}

Task<Status> FileChunks::punch(InodeId inode, std::uint64_t offset, std::uint64_t bytes) {
  for (unsigned i = 0; i < kStripeFiles; ++i) {
    const std::uint64_t from = stripe_size(offset, i);
    const std::uint64_t to = stripe_size(offset + bytes, i);
    if (from >= to) continue;
    auto pinned = pin({inode, i}, Missing::fail);
    if (!pinned) {
      if (pinned.error().code == Errc::not_found) continue;
      co_return std::unexpected(pinned.error());
    }
    FdCache::File& file = **pinned;
    int err = 0;
    const int fd = file.fd;
    auto call = offload_.run([fd, from, to, &err] { err = punch_local(fd, from, to - from); });
    co_await call;
    ++file.changes;
    if (err != 0) co_return outcome_of(err);
  }
  co_return Status{};
}

Result<std::uint64_t> FileChunks::allocated_bytes(InodeId inode) {
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < kStripeFiles; ++i) {
    auto pinned = pin({inode, i}, Missing::fail);
    if (!pinned) {
      if (pinned.error().code == Errc::not_found) continue;
      return std::unexpected(pinned.error());
    }
    struct stat facts {};
    if (fstat((*pinned)->fd, &facts) != 0) return fail(errc_from_errno(errno), errno);
    bytes += static_cast<std::uint64_t>(facts.st_blocks) * 512;
  }
  return bytes;
}

Result<std::optional<std::uint64_t>> FileChunks::next_data(InodeId inode, std::uint64_t offset,
                                                           std::uint64_t limit) {
  std::uint64_t first = kNowhere;
  for (unsigned i = 0; i < kStripeFiles; ++i) {
    auto pinned = pin({inode, i}, Missing::fail);
    if (!pinned) {
      if (pinned.error().code == Errc::not_found) continue;
      return std::unexpected(pinned.error());
    }
    const auto from = static_cast<off_t>(stripe_size(offset, i));
    const off_t found = lseek((*pinned)->fd, from, SEEK_DATA);
    if (found >= 0) {
      first = std::min(first, stripe_origin(i, static_cast<std::uint64_t>(found)));
    } else if (errno != ENXIO) {
      return fail(errc_from_errno(errno), errno);
    }
  }
  if (first >= limit) return std::nullopt;
  return first;
}

/// Remembers the extent that it has met last in each local file.
class FileChunks::Search final : public HoleSearch {
 public:
  Search(FileChunks& store, InodeId inode) : store_(store), inode_(inode) {}
  Result<std::optional<std::uint64_t>> next(std::uint64_t offset, std::uint64_t end) override;
  unsigned looks() const override { return looks_; }
  void forget() override { known_ = {}; }

 private:
  struct Extent {
    std::uint64_t begin = 0, end = 0;  ///< of data, in a local file
  };
  FileChunks& store_;
  InodeId inode_;
  std::array<Extent, kStripeFiles> known_{};
  unsigned looks_ = 0;
};

std::unique_ptr<ChunkStore::HoleSearch> FileChunks::search_holes(InodeId inode) {
  return std::make_unique<Search>(*this, inode);
}

Result<std::optional<std::uint64_t>> FileChunks::Search::next(std::uint64_t offset,
                                                              std::uint64_t end) {
  while (offset < end) {
    const StripePlace at = stripe_at(offset);
    const std::uint64_t bytes = std::min(at.room, end - offset);
    Extent& known = known_[at.file];
    if (at.offset < known.begin || at.offset >= known.end) {
      ++looks_;
      auto pinned = store_.pin({inode_, at.file}, Missing::fail);
      if (!pinned) {
        if (pinned.error().code == Errc::not_found) return offset;
        return std::unexpected(pinned.error());
      }
      const off_t hole = lseek((*pinned)->fd, static_cast<off_t>(at.offset), SEEK_HOLE);
      if (hole < 0) {
        if (errno == ENXIO) return offset;  // at or beyond the end of the local file
        return fail(errc_from_errno(errno), errno);
      }
      known = {at.offset, static_cast<std::uint64_t>(hole)};
      if (known.end <= at.offset) return offset;
    }
    if (known.end < at.offset + bytes) return offset + (known.end - at.offset);
    offset += bytes;
  }
  return std::nullopt;
}

}  // namespace benchfs
