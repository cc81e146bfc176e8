// How the data of chunk files moves: system calls, the ring, O_DIRECT. Every short count is gone on
// from; only the end of the file ends a read early.
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "storage/file_chunks.hpp"
#include "storage/plain_io.hpp"

namespace benchfs {
namespace {

/// What O_DIRECT asks of offset, length and memory: enough for every device with 512 or 4096-byte
/// blocks.
constexpr std::size_t kDirectAlignment = 4096;

/// What of `into` can be read without waiting for the device. Not inside a coroutine: GCC 12 with
/// sanitizers takes the iovec of one for something smaller, and warns.
ssize_t read_cached(int fd, std::uint64_t offset, std::span<std::byte> into) {
  const iovec segment{into.data(), into.size()};
  return preadv2(fd, &segment, 1, static_cast<off_t>(offset), RWF_NOWAIT);
}

/// A range of a file and memory, cut into what O_DIRECT can move (the middle) and what is left at
/// the ends. Without a middle all is in the head.
struct DirectSplit {
  std::array<std::size_t, 3> parts;
  std::size_t middle() const { return parts[1]; }
};
DirectSplit split_direct(std::uint64_t offset, const void* memory, std::size_t bytes) {
  const auto to_boundary = static_cast<std::size_t>(-offset % kDirectAlignment);
  const auto address = reinterpret_cast<std::uintptr_t>(memory) + to_boundary;
  if (to_boundary >= bytes || address % kDirectAlignment != 0) return {{bytes, 0, 0}};
  const std::size_t middle = (bytes - to_boundary) / kDirectAlignment * kDirectAlignment;
  return {{to_boundary, middle, bytes - to_boundary - middle}};
}

bool retry(const Error& error) {
  return error.native == EINTR || error.native == EAGAIN;
}

}  // namespace

Task<Result<std::size_t>> FileChunks::read_file(ChunkFile id, std::uint64_t offset,
                                                std::span<std::byte> into) {
  auto pinned = pin(id, Missing::fail);
  if (!pinned) {
    if (pinned.error().code == Errc::not_found) co_return std::size_t{0};
    co_return std::unexpected(pinned.error());
  }
  FdCache::File& file = **pinned;
  if (mode_ == IoMode::plain) co_return read_plain(file.fd, offset, into);
  if (mode_ == IoMode::direct) {
    auto direct = read_direct(file, offset, into);
    co_return co_await direct;
  }
  auto buffered = read_ring(file, file.fd, offset, into);
  co_return co_await buffered;
}

Task<Status> FileChunks::write_file(ChunkFile id, std::uint64_t offset,
                                    std::span<const std::byte> from) {
  auto pinned = pin(id, Missing::create);
  if (!pinned) co_return std::unexpected(pinned.error());
  FdCache::File& file = **pinned;
  Status done;
  if (mode_ == IoMode::plain) {
    done = write_plain(file.fd, offset, from);
  } else if (mode_ == IoMode::direct) {
    auto direct = write_direct(file, offset, from);
    done = co_await direct;
  } else {
    auto buffered = write_ring(file.fd, offset, from);
    done = co_await buffered;
  }
  ++file.changes;  // also after an error: a part may have been written
  co_return done;
}

Task<Result<std::size_t>> FileChunks::read_ring(FdCache::File& file, int fd, std::uint64_t offset,
                                                std::span<std::byte> into) {
  const bool direct = fd == file.direct_fd;
  std::size_t done = 0;
  while (done < into.size()) {
    const auto rest = into.subspan(done);
    if (!direct && no_wait_) {
      const ssize_t cached = read_cached(fd, offset + done, rest);
      if (cached > 0) {
        done += static_cast<std::size_t>(cached);
        continue;
      }
      if (cached == 0) break;
      if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) {
        no_wait_ = false;
      } else if (errno == EINTR) {
        continue;
      } else if (errno != EAGAIN) {
        co_return fail(errc_from_errno(errno), errno);
      }
    }
    auto op = ring_->read(fd, rest, offset + done);
    const Result<std::size_t> count = co_await op;
    if (!count) {
      if (retry(count.error())) continue;
      co_return std::unexpected(count.error());
    }
    done += *count;
    // O_DIRECT ends between two blocks at the end of the file only.
    if (*count == 0 || (direct && *count % kDirectAlignment != 0)) break;
  }
  co_return done;
}

Task<Status> FileChunks::write_ring(int fd, std::uint64_t offset, std::span<const std::byte> from) {
  while (!from.empty()) {
    auto op = ring_->write(fd, from, offset);
    const Result<std::size_t> count = co_await op;
    if (!count) {
      if (retry(count.error())) continue;
      co_return std::unexpected(count.error());
    }
    if (*count == 0) co_return fail(Errc::io, EIO);
    offset += *count;
    from = from.subspan(*count);
  }
  co_return Status{};
}

Task<Result<std::size_t>> FileChunks::read_direct(FdCache::File& file, std::uint64_t offset,
                                                  std::span<std::byte> into) {
  DirectSplit split = split_direct(offset, into.data(), into.size());
  if (split.middle() > 0 && !direct_ready(file)) split = {{into.size(), 0, 0}};
  std::size_t done = 0;
  for (std::size_t i = 0; i < split.parts.size(); ++i) {
    const std::size_t part = split.parts[i];
    if (part == 0) continue;
    const bool direct = i == 1;
    const int fd = direct ? file.direct_fd : file.fd;
    auto turn = file.turns.enter(direct ? IoTurns::Kind::direct : IoTurns::Kind::buffered);
    co_await turn;
    auto moved = read_ring(file, fd, offset + done, into.subspan(done, part));
    const Result<std::size_t> count = co_await moved;
    file.turns.leave();
    if (!count) co_return std::unexpected(count.error());
    done += *count;
    if (*count < part) break;
  }
  co_return done;
}

Task<Status> FileChunks::write_direct(FdCache::File& file, std::uint64_t offset,
                                      std::span<const std::byte> from) {
  DirectSplit split = split_direct(offset, from.data(), from.size());
  if (split.middle() > 0 && !direct_ready(file)) split = {{from.size(), 0, 0}};
  std::size_t done = 0;
  for (std::size_t i = 0; i < split.parts.size(); ++i) {
    const std::size_t part = split.parts[i];
    if (part == 0) continue;
    const bool direct = i == 1;
    const int fd = direct ? file.direct_fd : file.fd;
    auto turn = file.turns.enter(direct ? IoTurns::Kind::direct : IoTurns::Kind::buffered);
    co_await turn;
    auto moved = write_ring(fd, offset + done, from.subspan(done, part));
    const Status written = co_await moved;
    file.turns.leave();
    if (!written) co_return written;
    done += part;
  }
  co_return Status{};
}

}  // namespace benchfs
