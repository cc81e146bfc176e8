// The checks of a request's pieces, and how they become runs.
#include "storage/piece_list.hpp"

#include <doctest/doctest.h>

#include <vector>

namespace benchfs {
namespace {

constexpr std::uint64_t kChunk = 64u << 10;
constexpr std::uint32_t kShift = 16;
constexpr std::size_t kBytesMax = 1u << 20;
constexpr InodeId kInode = make_inode(100, 5);

struct Table {
  std::vector<wire::Piece> pieces;
  std::uint32_t total = 0;
  Table(std::initializer_list<wire::Piece> list) : pieces(list) {
    for (const auto& piece : pieces) total += piece.bytes;
  }
  PieceList::Request request() const {
    return {kInode, 0, total, static_cast<std::uint32_t>(pieces.size()), kShift};
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(pieces)); }
};

const SlotMap& alone() {
  static const SlotMap map = SlotMap::initial(1, 1);
  return map;
}
Result<PieceList> check(const PieceList::Request& request, std::span<const std::byte> table = {}) {
  return PieceList::check(request, table, alone(), 0, kBytesMax);
}
Errc refusal(const PieceList::Request& request, std::span<const std::byte> table = {}) {
  const auto list = check(request, table);
  REQUIRE_FALSE(list.has_value());
  return list.error().code;
}
std::vector<Run> runs(const PieceList& list) {
  std::vector<Run> all;
  auto walk = list.walk();
  while (const auto run = walk.next()) all.push_back(*run);
  return all;
}

TEST_SUITE("piece list") {
  TEST_CASE("piece list: a single piece is one run") {
    const auto list = check({kInode, 3 * kChunk + 5, 100, 0, kShift});
    REQUIRE(list);
    CHECK(runs(*list) == std::vector<Run>{{3 * kChunk + 5, 100, 0}});
    CHECK_FALSE(list->is_list());
  }

  TEST_CASE("piece list: pieces that follow each other are one run, across chunks too") {
    const Table table{{0, 10, 0}, {10, 20, 0}, {50, 5, 0}, {kChunk - 4, 4, 0}, {kChunk, 6, 0}};
    const auto list = check(table.request(), table.bytes());
    REQUIRE(list);
    CHECK(runs(*list) == std::vector<Run>{{0, 30, 0}, {50, 5, 30}, {kChunk - 4, 10, 35}});
    CHECK(list->bytes() == 45);
    CHECK(list->pieces() == 5);
  }

  TEST_CASE("piece list: unordered pieces keep their order") {
    const Table table{{500, 10, 0}, {0, 20, 0}};
    const auto list = check(table.request(), table.bytes());
    REQUIRE(list);
    CHECK(runs(*list) == std::vector<Run>{{500, 10, 0}, {0, 20, 10}});
  }

  TEST_CASE("piece list: a table at an odd address is read") {
    const Table table{{0, 10, 0}, {100, 20, 0}};
    std::vector<std::byte> shifted(table.bytes().size() + 1);
    std::copy(table.bytes().begin(), table.bytes().end(), shifted.begin() + 1);
    const auto list = check(table.request(), std::span(shifted).subspan(1));
    REQUIRE(list);
    CHECK(runs(*list).size() == 2);
  }

  TEST_CASE("piece list: malformed requests are refused") {
    CHECK(refusal({kInode, 0, 0, 0, kShift}) == Errc::bad_message);           // empty
    CHECK(refusal({kInode, kChunk - 1, 2, 0, kShift}) == Errc::bad_message);  // two chunks
    CHECK(refusal({kInode, 0, 1, 0, 15}) == Errc::bad_message);               // chunk too small
    CHECK(refusal({kInode, 0, 1, 0, 28}) == Errc::bad_message);               // too large
    CHECK(refusal({kInode, 0, 1, 0, 64}) == Errc::bad_message);
    CHECK(refusal({kInode, 0, 1, 0, ~0u}) == Errc::bad_message);
    CHECK(refusal({kInode, kFileBytesMax, 1, 0, kShift}) == Errc::bad_message);
    CHECK(refusal({kInode, ~0ull, 1, 0, kShift}) == Errc::bad_message);
    CHECK(refusal({kInode, 0, kBytesMax + 1, 0, 27}) == Errc::bad_message);  // too much data
    CHECK(PieceList::table_bytes({kInode, 0, 1, wire::kPiecesMax + 1, kShift}).error().code ==
          Errc::bad_message);
    CHECK(*PieceList::table_bytes({kInode, 0, 1, wire::kPiecesMax, kShift}) ==
          wire::kPiecesMax * sizeof(wire::Piece));
  }

  TEST_CASE("piece list: a table with one bad piece is refused") {
    const Table empty{{0, 10, 0}, {20, 0, 0}};
    CHECK(refusal(empty.request(), empty.bytes()) == Errc::bad_message);
    const Table crossing{{0, 10, 0}, {kChunk - 1, 2, 0}};
    CHECK(refusal(crossing.request(), crossing.bytes()) == Errc::bad_message);
    const Table beyond{{0, 10, 0}, {~0ull - 4, 2, 0}};
    CHECK(refusal(beyond.request(), beyond.bytes()) == Errc::bad_message);
    const Table padded{{0, 10, 1}};
    CHECK(refusal(padded.request(), padded.bytes()) == Errc::bad_message);
    const Table right{{0, 10, 0}, {20, 10, 0}};
    auto wrong_total = right.request();
    wrong_total.bytes = 21;
    CHECK(refusal(wrong_total, right.bytes()) == Errc::bad_message);
    // The total of 32-bit lengths must not wrap.
    const Table wrapping{{0, 1u << 16, 0}};
    std::vector<wire::Piece> many(wire::kPiecesMax, wire::Piece{0, 1u << 16, 0});
    PieceList::Request request{kInode, 0, 0, wire::kPiecesMax, kShift};
    CHECK(refusal(request, std::as_bytes(std::span(many))) == Errc::bad_message);
  }

  TEST_CASE("piece list: pieces of chunks that others own are refused as stale") {
    const SlotMap map = SlotMap::initial(2, 7);
    const ServerIndex self = map.owner(kInode, 0);
    std::uint64_t other = 1;
    while (map.owner(kInode, other) == self) ++other;
    const PieceList::Request mine{kInode, 0, 10, 0, kShift};
    CHECK(PieceList::check(mine, {}, map, self, kBytesMax).has_value());
    const PieceList::Request theirs{kInode, other * kChunk, 10, 0, kShift};
    const auto refused = PieceList::check(theirs, {}, map, self, kBytesMax);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::stale_epoch);
    const Table both{{0, 10, 0}, {other * kChunk, 10, 0}};
    const auto mixed = PieceList::check(both.request(), both.bytes(), map, self, kBytesMax);
    REQUIRE_FALSE(mixed);
    CHECK(mixed.error().code == Errc::stale_epoch);
  }
}

}  // namespace
}  // namespace benchfs
