// Reads and writes without an offset, which goes along with the open file; and writes that wait for
// the device. The calls of one open file that use its position take turns, each as a whole
// (POSIX.1, 2.9.7 "Thread Interactions with File Operations").
#include <unistd.h>

#include <algorithm>

#include "client/client.hpp"
#include "client/transfer.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

Task<Outcome> Client::read_next(OpenFile* file, std::span<const iovec> memory,
                                std::uint64_t bytes) {
  co_await file->position_turn.acquire();
  const benchfs_extent extent{file->position, std::min(bytes, kFileBytesMax - file->position)};
  const std::span<const benchfs_extent> extents(&extent, 1);
  const Outcome outcome = co_await read(file, extents, memory, true);
  if (outcome) file->position += static_cast<std::uint64_t>(*outcome);
  file->position_turn.release();
  co_return outcome;
}

Task<Outcome> Client::write_next(OpenFile* file, std::span<const iovec> memory,
                                 std::uint64_t bytes) {
  if (bytes == 0) co_return 0;
  co_await file->position_turn.acquire();
  Outcome outcome = fail(Errc::too_big);
  if (file->append) {
    outcome = co_await append(file, memory, bytes);
  } else if (bytes <= kFileBytesMax - file->position) {
    const benchfs_extent extent{file->position, bytes};
    const std::span<const benchfs_extent> extents(&extent, 1);
    outcome = co_await write(file, extents, memory, true);
    if (outcome) file->position += bytes;
  }
  file->position_turn.release();
  const Outcome durable = co_await made_durable(file, outcome);
  co_return durable;
}

Task<Outcome> Client::append(OpenFile* file, std::span<const iovec> memory, std::uint64_t bytes) {
  // The end is behind all that this session has written.
  BFS_CO_TRY(flushed, co_await flush_sizes_of(file->inode));
  static_cast<void>(flushed);
  const wire::Append::Request request{file->inode, bytes};
  const auto place = co_await caller_->call<wire::Append>(map().home(file->inode), request);
  forget(file->inode);
  if (!place) co_return std::unexpected(place.error());
  const benchfs_extent extent{place->body.offset, bytes};
  if (extent.offset > kFileBytesMax - bytes) co_return fail(Errc::bad_message);
  const std::span<const benchfs_extent> extents(&extent, 1);
  file->metadata_dirty = true;
  Transfer transfer(*this, *file, Transfer::Direction::write, true);
  transfer.size_is_told();
  const Outcome outcome = co_await transfer.run(extents, memory);
  if (outcome) file->position = extent.offset + bytes;
  co_return outcome;
}

Task<Outcome> Client::seek(OpenFile* file, std::int64_t offset, int whence) {
  co_await file->position_turn.acquire();
  const Outcome outcome = co_await seek_in_turn(file, offset, whence);
  if (outcome && *outcome != kNoData) file->position = static_cast<std::uint64_t>(*outcome);
  file->position_turn.release();
  co_return outcome;
}

Task<Outcome> Client::seek_in_turn(OpenFile* file, std::int64_t offset, int whence) {
  if (whence == SEEK_DATA || whence == SEEK_HOLE) {
    if (offset < 0) co_return kNoData;
    const std::uint32_t what = whence == SEEK_DATA ? wire::Seek::kData : wire::Seek::kHole;
    const Outcome found = co_await find(file, static_cast<std::uint64_t>(offset), what);
    co_return found;
  }
  std::uint64_t base = 0;
  if (whence == SEEK_CUR) {
    base = file->position;
  } else if (whence == SEEK_END) {
    BFS_CO_TRY(now, co_await attributes(file->inode));
    base = now.size;
  } else if (whence != SEEK_SET) {
    co_return fail(Errc::invalid);
  }
  std::int64_t to = 0;
  const bool overflow = __builtin_add_overflow(static_cast<std::int64_t>(base), offset, &to);
  if (overflow || to < 0 || static_cast<std::uint64_t>(to) > kFileBytesMax) {
    co_return fail(Errc::invalid);
  }
  co_return to;
}

Task<Outcome> Client::write_through(OpenFile* file, std::span<const benchfs_extent> extents,
                                    std::span<const iovec> memory, bool in_call) {
  const Outcome written = co_await write(file, extents, memory, in_call);
  const Outcome durable = co_await made_durable(file, written);
  co_return durable;
}

Task<Outcome> Client::made_durable(OpenFile* file, Outcome written) {
  if (!written || *written == 0 || file->through == Through::nothing) co_return written;
  BFS_CO_TRY(synced, co_await sync(file, file->through == Through::all));
  static_cast<void>(synced);
  co_return written;
}

}  // namespace benchfs
