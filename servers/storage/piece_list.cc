// The checks of a request's pieces, and their runs. Nothing of a message is used before it passed
// here.
#include "storage/piece_list.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace benchfs {
namespace {

constexpr bool valid_chunk_shift(std::uint32_t shift) {
  return shift < 64 && valid_chunk_bytes(1ull << shift);
}

}  // namespace

Result<std::size_t> PieceList::table_bytes(const Request& request) {
  if (request.pieces > wire::kPiecesMax) return fail(Errc::bad_message);
  return std::size_t{request.pieces} * sizeof(wire::Piece);
}

Result<PieceList> PieceList::check(const Request& request, std::span<const std::byte> table,
                                   const SlotMap& map, ServerIndex self, std::size_t bytes_max) {
  BFS_ASSERT(table.size() == std::size_t{request.pieces} * sizeof(wire::Piece));
  if (!valid_chunk_shift(request.chunk_shift)) return fail(Errc::bad_message);
  if (request.bytes > bytes_max) return fail(Errc::bad_message);

  const PieceList list({request.offset, request.bytes, 0}, table);
  std::uint64_t total = 0;
  bool owned = true;
  for (std::size_t i = 0; i < list.pieces(); ++i) {
    const wire::Piece piece = list.piece(i);
    if (piece.bytes == 0 || piece.zero != 0) return fail(Errc::bad_message);
    if (piece.offset > kFileBytesMax - piece.bytes) return fail(Errc::bad_message);
    const std::uint64_t chunk = piece.offset >> request.chunk_shift;
    const std::uint64_t last = (piece.offset + piece.bytes - 1) >> request.chunk_shift;
    if (chunk != last) return fail(Errc::bad_message);
    total += piece.bytes;
    owned = owned && map.owner(request.inode, chunk) == self;
  }
  if (total != request.bytes) return fail(Errc::bad_message);
  // Only of a message that is well-formed: the caller's map is old, or ours is.
  if (!owned) return fail(Errc::stale_epoch);
  return list;
}

std::uint64_t PieceList::end() const {
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < pieces(); ++i) {
    const wire::Piece each = piece(i);
    end = std::max(end, each.offset + each.bytes);
  }
  return end;
}

std::optional<Run> PieceList::Walk::next() {
  const std::size_t count = list_.pieces();
  if (index_ == count) return std::nullopt;
  wire::Piece piece = list_.piece(index_++);
  Run run{piece.offset, piece.bytes, data_offset_};
  while (index_ < count) {
    piece = list_.piece(index_);
    if (piece.offset != run.offset + run.bytes) break;
    run.bytes += piece.bytes;
    ++index_;
  }
  data_offset_ += run.bytes;
  return run;
}

}  // namespace benchfs
