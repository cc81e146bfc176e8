// Cutting byte ranges at chunk boundaries.
#include "placement/chunk_pieces.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "base/hash.hpp"

namespace benchfs {
namespace {

constexpr std::uint64_t kChunk = 64 << 10;

std::vector<ChunkPiece> pieces(std::uint64_t offset, std::uint64_t bytes) {
  std::vector<ChunkPiece> out;
  for (const ChunkPiece piece : ChunkPieces(offset, bytes, kChunk)) out.push_back(piece);
  return out;
}

TEST_SUITE("chunk_pieces") {
  TEST_CASE("a range of no bytes has no pieces") {
    CHECK(pieces(0, 0).empty());
    CHECK(pieces(kChunk, 0).empty());
    CHECK(ChunkPieces(kChunk, 0, kChunk).count() == 0);
  }

  TEST_CASE("a range inside one chunk is one piece") {
    CHECK(pieces(kChunk + 5, 10) == std::vector<ChunkPiece>{{1, 5, 10, 0}});
    CHECK(pieces(kChunk, kChunk) == std::vector<ChunkPiece>{{1, 0, kChunk, 0}});
    CHECK(pieces(kChunk - 1, 1) == std::vector<ChunkPiece>{{0, kChunk - 1, 1, 0}});
  }

  TEST_CASE("a range over three chunks has a tail, a whole and a head") {
    CHECK(pieces(kChunk - 3, kChunk + 5) ==
          std::vector<ChunkPiece>{{0, kChunk - 3, 3, 0}, {1, 0, kChunk, 3}, {2, 0, 2, kChunk + 3}});
  }

  TEST_CASE("the largest offset of a file") {
    CHECK(pieces(kFileBytesMax - 2, 2) ==
          std::vector<ChunkPiece>{{kFileBytesMax / kChunk - 1, kChunk - 2, 2, 0}});
  }

  TEST_CASE("any range: the pieces are in order, without gaps, and count() is their number") {
    SplitMix64 random(3);
    for (int i = 0; i < 2000; ++i) {
      const std::uint64_t offset = random.below(10 * kChunk);
      const std::uint64_t bytes = random.below(5 * kChunk);
      std::uint64_t at = offset;
      std::uint64_t n = 0;
      for (const ChunkPiece p : ChunkPieces(offset, bytes, kChunk)) {
        REQUIRE(p.chunk * kChunk + p.chunk_offset == at);
        REQUIRE(p.range_offset == at - offset);
        REQUIRE(p.bytes > 0);
        REQUIRE(p.chunk_offset + p.bytes <= kChunk);
        at += p.bytes;
        ++n;
      }
      REQUIRE(at == offset + bytes);
      REQUIRE(n == ChunkPieces(offset, bytes, kChunk).count());
    }
  }
}

}  // namespace
}  // namespace benchfs
