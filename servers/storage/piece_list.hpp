// The pieces of a read or write request: checked as a whole before anything is done, then walked as
// runs, in which pieces that follow each other in the file are one.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "base/status.hpp"
#include "base/types.hpp"
#include "placement/slot_map.hpp"
#include "wire/messages.hpp"

namespace benchfs {

/// A contiguous range of the file, and where its bytes lie in the packed data.
struct Run {
  std::uint64_t offset;
  std::size_t bytes;
  std::size_t data_offset;
  bool operator==(const Run&) const = default;
};

/// The one piece of a request, or its table of pieces as it came in (packed, of any alignment).
/// Does not own the table.
class PieceList {
 public:
  /// What a request says of itself: the fields that wire::Read and wire::Write share.
  struct Request {
    InodeId inode;
    std::uint64_t offset;
    std::uint32_t bytes;
    std::uint32_t pieces;
    std::uint32_t chunk_shift;
  };
  template <class Body>
  static Request request_of(const Body& body) {
    return {body.inode, body.offset, body.bytes, body.pieces, body.chunk_shift};
  }
  /// Bytes of the table that a request announces. bad_message if it has too many pieces.
  static Result<std::size_t> table_bytes(const Request& request);

  /// Checks everything: chunk size in range; every piece nonempty, within one chunk, and within the
  /// largest file; the total as announced, and at most `bytes_max` (bad_message); every chunk owned
  /// by `self` (stale_epoch). `table` has table_bytes(), and outlives the list.
  static Result<PieceList> check(const Request& request, std::span<const std::byte> table,
                                 const SlotMap& map, ServerIndex self, std::size_t bytes_max);

  std::size_t pieces() const { return table_.empty() ? 1 : table_.size() / sizeof(wire::Piece); }
  std::size_t bytes() const { return single_.bytes; }
  bool is_list() const { return !table_.empty(); }
  /// Where the farthest piece ends in the file.
  std::uint64_t end() const;

  /// Walks the runs in the order of the pieces.
  class Walk {
   public:
    explicit Walk(const PieceList& list) : list_(list) {}
    std::optional<Run> next();

   private:
    const PieceList& list_;
    std::size_t index_ = 0;
    std::size_t data_offset_ = 0;
  };
  Walk walk() const { return Walk(*this); }

 private:
  PieceList(wire::Piece single, std::span<const std::byte> table)
      : single_(single), table_(table) {}
  wire::Piece piece(std::size_t index) const {
    if (table_.empty()) return single_;
    wire::Piece piece;
    std::memcpy(&piece, table_.data() + index * sizeof(piece), sizeof(piece));
    return piece;
  }

  wire::Piece single_;  ///< of a list: bytes is the total
  std::span<const std::byte> table_;
};

}  // namespace benchfs
