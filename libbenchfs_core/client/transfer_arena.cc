// Pieces in the arena of a server on this host: copied between the program's memory and the
// arena's, by nobody else. A segment of a file that has not been written to is made ready by the
// server first, which alone makes maps (docs/adr/0024-arena.md).
#include <algorithm>

#include "client/transfer.hpp"

namespace benchfs {
namespace {

/// Segments that a client asks for at once: those of a chunk of the usual size, and twice as many each
/// time, as it goes on writing.
constexpr std::uint32_t kOpenedUpMin = 4, kOpenedUpMax = 64;

}  // namespace

Result<std::size_t> Transfer::copy_at_once(LocalAccess& local, ServerIndex server, InodeId inode,
                                           Direction direction, std::uint64_t offset,
                                           std::span<std::byte> memory) {
  arena::View& view = *local.arena(server);
  const arena::View::Access access(view);
  if (!access.valid()) return fail(Errc::stale);
  arena::SegmentMap* map = view.find(inode, arena::segment_of(offset));
  if (map == nullptr) return fail(Errc::not_found);
  const std::uint32_t within = arena::within_segment(offset);
  const std::size_t moved = direction == Direction::write ? view.write(*map, within, memory)
                                                          : view.read(*map, within, memory);
  local.count(server, direction == Direction::write, moved);
  return moved;
}

/// Nothing: the segment has to be opened up first, or blocks made ready for it.
std::optional<Transfer::Taken> Transfer::move_in_arena(ServerIndex server,
                                                       const PieceCursor::Piece& piece) {
  LocalAccess& local = client_.local();
  const std::span<std::byte> memory{piece.memory, piece.bytes};
  const bool writes = direction_ == Direction::write;
  std::uint64_t borrowed = 0;
  if (writes) {
    borrowed = local.blocks_of(server, piece.offset, piece.bytes).bytes();
    if (!local.borrow(server, borrowed)) return Taken::no;
    file_.dirty_servers[server] = true;
  }
  const Result<std::size_t> moved =
      copy_at_once(local, server, file_.inode, direction_, piece.offset, memory);
  if (writes) local.give_back(server, borrowed);
  if (!moved && moved.error().code != Errc::not_found) return Taken::no;
  if (moved && !writes) return took_from_arena(piece, *moved);
  if (moved && *moved == piece.bytes) return Taken::yes;
  if (writes) return std::nullopt;  // or there was no free block
  // A small file's first segment may be in another place, of which the server knows.
  const bool hole =
      arena::segment_of(piece.offset) != 0 || still_missing(server, file_.local->at(server, 0));
  if (!hole) return std::nullopt;
  return took_from_arena(piece, 0);
}

/// Read: what is not there is a hole, or beyond the end of the file.
Transfer::Taken Transfer::took_from_arena(const PieceCursor::Piece& piece, std::size_t there) {
  if (there < piece.bytes) {
    missing_.push_back({piece.offset + there, piece.bytes - there, piece.memory + there});
  }
  return Taken::yes;
}

Task<Transfer::Taken> Transfer::open_in_arena(ServerIndex server, PieceCursor::Piece piece) {
  LocalAccess& local = client_.local();
  const bool writes = direction_ == Direction::write;
  const std::uint64_t made = local.files_made(server);
  std::uint32_t count = 1;
  if (writes) {
    LocalFile& file = file_.local->at(server, 0);
    count = std::clamp<std::uint32_t>(2 * file.opened_up, kOpenedUpMin, kOpenedUpMax);
    file.opened_up = count;
  }
  auto opening = local.open_up(server, file_.inode, arena::segment_of(piece.offset),
                               file_.chunk_shift(), count, writes);
  const Status opened = co_await opening;
  const bool nothing = !opened && !writes && opened.error().code == Errc::not_found;
  if (!opened && !nothing) co_return Taken::no;
  // There at the time of the answer, and so as long as the count stays the same, is nothing of the
  // first segment outside of the arena.
  if (!writes) file_.local->at(server, 0).missing_at = made;
  if (!local.usable(server)) co_return Taken::no;
  // The server may have more blocks to give, or an error to tell, if there is none now either.
  co_return move_in_arena(server, piece).value_or(Taken::no);
}

}  // namespace benchfs
