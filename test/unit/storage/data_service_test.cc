// Reading and writing lists of pieces through the chunk store; the handlers are tested over the
// network in data_handlers_test.cc.
#include "storage/data_service.hpp"
#include "storage/file_chunks.hpp"

#include <algorithm>
#include <filesystem>
#include <list>

#include "storage/loop_fixture.hpp"

namespace benchfs {
namespace {

using testing::LoopFixture;
using testing::random_bytes;

constexpr InodeId kInode = make_inode(9, 77);
constexpr std::size_t kBytesMax = 1u << 20;

struct ServiceFixture : LoopFixture {
  SlotMap map = SlotMap::initial(1, 1);
  ServiceCounters counters;
  std::list<std::vector<wire::Piece>> tables;  ///< a PieceList does not own its table
  std::unique_ptr<BufferPool> pool =
      *BufferPool::create(8u << 20, DataService::block_bytes(kBytesMax));
  std::unique_ptr<ChunkStore> store;
  std::unique_ptr<DataService> service;

  void open(IoMode mode) {
    store = *ChunkStore::create({.data_dir = dir.path(), .io_mode = mode}, ring.get(), *offload);
    service = std::make_unique<DataService>(
        *loop, *store, *pool, map, DataService::SyncMetadata{}, counters,
        DataService::Options{.self = 0, .rpc_bytes_max = kBytesMax});
  }
  ~ServiceFixture() {
    if (store) run(store->close());
  }
  PieceList list(std::vector<wire::Piece> given) {
    const auto& pieces = tables.emplace_back(std::move(given));
    std::uint32_t total = 0;
    for (const auto& piece : pieces) total += piece.bytes;
    const PieceList::Request request{kInode, 0, total, static_cast<std::uint32_t>(pieces.size()),
                                     22};
    return *PieceList::check(request, std::as_bytes(std::span(pieces)), map, 0, kBytesMax);
  }
  PieceList single(std::uint64_t offset, std::uint32_t bytes) {
    return *PieceList::check({kInode, offset, bytes, 0, 22}, {}, map, 0, kBytesMax);
  }
};

/// Pieces of 1 to 200 bytes with gaps between them, shuffled.
std::vector<wire::Piece> scattered(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<wire::Piece> pieces;
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    at += 1 + random() % 300;
    const auto bytes = static_cast<std::uint32_t>(1 + random() % 200);
    if ((at >> 22) != ((at + bytes - 1) >> 22)) at = ((at >> 22) + 1) << 22;
    pieces.push_back({at, bytes, 0});
    at += bytes;
  }
  std::shuffle(pieces.begin(), pieces.end(), random);
  return pieces;
}

TEST_SUITE("data service") {
  TEST_CASE_FIXTURE(ServiceFixture,
                    "data service: a long list is written and read back, in every mode") {
    for (const IoMode mode : {IoMode::plain, IoMode::ring}) {
      open(mode);
      const auto pieces = scattered(2000, 5);
      const auto all = list(pieces);
      const auto data = random_bytes(all.bytes(), 6);
      REQUIRE(run(service->write_pieces(kInode, all, data)).has_value());
      std::vector<std::byte> into(all.bytes(), std::byte{0xee});
      const auto reply = run(service->read_pieces(kInode, all, into));
      REQUIRE(reply.has_value());
      CHECK(into == data);
      CHECK(reply->bytes == data.size());
      CHECK(reply->data_end == ~0ull);
      // Each byte is where its piece says, not only where the list put it.
      std::size_t data_offset = 0;
      for (const auto& piece : pieces) {
        std::vector<std::byte> bytes(piece.bytes);
        REQUIRE(*run(store->read(kInode, piece.offset, bytes)) == piece.bytes);
        REQUIRE(std::equal(bytes.begin(), bytes.end(),
                           data.begin() + static_cast<std::ptrdiff_t>(data_offset)));
        data_offset += piece.bytes;
      }
      run(store->remove(kInode));
      run(store->close());
    }
  }

  TEST_CASE_FIXTURE(ServiceFixture,
                    "data service: a single piece gives what exists, a list zeros for the rest") {
    open(IoMode::automatic);
    const auto data = random_bytes(1000, 1);
    REQUIRE(run(service->write_pieces(kInode, single(100, 1000), data)).has_value());
    std::vector<std::byte> into(2000, std::byte{0xee});
    auto reply = run(service->read_pieces(kInode, single(600, 2000), into));
    REQUIRE(reply.has_value());
    CHECK(reply->bytes == 500);
    CHECK(reply->data_end == 1100);

    const auto pieces = list({{5000, 10, 0}, {1090, 20, 0}, {0, 150, 0}});
    std::fill(into.begin(), into.end(), std::byte{0xee});
    reply = run(service->read_pieces(kInode, pieces, std::span(into).first(180)));
    REQUIRE(reply.has_value());
    CHECK(reply->bytes == 180);
    CHECK(reply->data_end == 1100);
    const auto zeros = [&](std::size_t from, std::size_t to) {
      return std::all_of(into.begin() + static_cast<std::ptrdiff_t>(from),
                         into.begin() + static_cast<std::ptrdiff_t>(to),
                         [](auto b) { return b == std::byte{0}; });
    };
    CHECK(zeros(0, 10));
    CHECK(std::equal(into.begin() + 10, into.begin() + 20, data.end() - 10));
    CHECK(zeros(20, 30));
    CHECK(zeros(30, 130));
    CHECK(std::equal(into.begin() + 130, into.begin() + 180, data.begin()));
    CHECK(into[180] == std::byte{0xee});
  }

  TEST_CASE_FIXTURE(ServiceFixture,
                    "data service: a list of one run that ends early is filled with zeros") {
    open(IoMode::automatic);
    const auto data = random_bytes(10, 1);
    REQUIRE(run(service->write_pieces(kInode, single(0, 10), data)).has_value());
    std::vector<std::byte> into(30, std::byte{0xee});
    const auto reply = run(service->read_pieces(kInode, list({{0, 20, 0}, {20, 10, 0}}), into));
    REQUIRE(reply.has_value());
    CHECK(reply->bytes == 30);
    CHECK(reply->data_end == 10);
    CHECK(std::all_of(into.begin() + 10, into.end(), [](auto b) { return b == std::byte{0}; }));
  }

  TEST_CASE_FIXTURE(ServiceFixture,
                    "data service: of a list in which one write fails the error is told") {
    open(IoMode::plain);
    std::filesystem::create_directory(dir.path() + "/" + FileChunks::path_of(kInode));
    const auto pieces = list({{0, 10, 0}, {100, 10, 0}, {200, 10, 0}});
    const auto data = random_bytes(30, 1);
    const auto refused = run(service->write_pieces(kInode, pieces, data));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::is_directory);
    std::vector<std::byte> into(30);
    CHECK_FALSE(run(service->read_pieces(kInode, pieces, into)).has_value());
  }
}

}  // namespace
}  // namespace benchfs
