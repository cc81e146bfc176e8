// Cuts a byte range of a file at its chunk boundaries.
#pragma once
#include <algorithm>
#include <bit>

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "base/assert.hpp"
#include "base/types.hpp"

namespace benchfs {

/// The part of a byte range that lies in one chunk.
struct ChunkPiece {
  std::uint64_t chunk;         ///< index of the chunk in the file
  std::uint64_t chunk_offset;  ///< bytes from the chunk's start
  std::uint64_t bytes;         ///< never 0
  std::uint64_t
      range_offset;  ///< bytes from the range's start: where it lies in the caller's buffer
  bool operator==(const ChunkPiece&) const = default;
};

/// The pieces of [offset, offset + bytes) in ascending order, none if `bytes` is 0; to be iterated:
/// `for (ChunkPiece piece : ChunkPieces(offset, bytes, chunk_bytes))`. No allocation.
/// `chunk_bytes` must be valid_chunk_bytes(), and the range end must not exceed kFileBytesMax: both
/// come from the wire or the C interface only after they were checked there.
class ChunkPieces {
 public:
  class iterator {
   public:
    using value_type = ChunkPiece;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;

    ChunkPiece operator*() const {
      const std::uint64_t at = range_->offset_ + done_;
      const std::uint64_t in_chunk = at & (range_->chunk_bytes_ - 1);
      const std::uint64_t bytes = std::min(range_->chunk_bytes_ - in_chunk, range_->bytes_ - done_);
      return {at >> range_->chunk_shift_, in_chunk, bytes, done_};
    }
    iterator& operator++() {
      done_ += (**this).bytes;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return done_ == range_->bytes_; }

   private:
    friend ChunkPieces;
    explicit iterator(const ChunkPieces* range) : range_(range) {}
    const ChunkPieces* range_;
    std::uint64_t done_ = 0;
  };

  ChunkPieces(std::uint64_t offset, std::uint64_t bytes, std::uint64_t chunk_bytes)
      : offset_(offset),
        bytes_(bytes),
        chunk_bytes_(chunk_bytes),
        chunk_shift_(std::countr_zero(chunk_bytes)) {
    BFS_ASSERT(valid_chunk_bytes(chunk_bytes));
    BFS_ASSERT(bytes <= kFileBytesMax && offset <= kFileBytesMax - bytes);
  }

  iterator begin() const { return iterator(this); }
  static std::default_sentinel_t end() { return {}; }
  /// Number of pieces.
  std::uint64_t count() const {
    if (bytes_ == 0) return 0;
    return ((offset_ + bytes_ - 1) >> chunk_shift_) - (offset_ >> chunk_shift_) + 1;
  }

 private:
  std::uint64_t offset_;
  std::uint64_t bytes_;
  std::uint64_t chunk_bytes_;
  int chunk_shift_;
};

}  // namespace benchfs
