// What file data may take: limits, holes, files that are removed, writes in progress, what is lent,
// and a device that is full.
#include "storage/space.hpp"
#include "storage/file_chunks.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "base/types.hpp"
#include "storage/loop_fixture.hpp"

namespace benchfs {
namespace {

using testing::LoopFixture;
using testing::random_bytes;

constexpr InodeId kInode = make_inode(3, 7);
constexpr std::uint64_t kMi = 1 << 20;
constexpr std::uint64_t kBlock = 4096;

/// As much is lent as the test says.
struct TestLender : Space::Lender {
  std::uint64_t bytes = 0, being_written = 0;
  int recalls = 0;
  std::uint64_t lent() const override { return bytes; }
  void recall() override {
    ++recalls;
    bytes = being_written;
  }
};

struct SpaceFixture : LoopFixture {
  SlotMap map = SlotMap::initial(1, 3);
  std::unique_ptr<ChunkStore> store;
  std::unique_ptr<Space> space;
  TestLender lender;

  ~SpaceFixture() { close(); }
  void open(std::uint64_t limit, std::string path = "") {
    if (path.empty()) path = dir.path();
    store = *ChunkStore::create({.data_dir = path, .io_mode = IoMode::plain}, nullptr, *offload);
    space = std::make_unique<Space>(*loop, *store, Space::Options{.limit_bytes = limit});
  }
  void close() {
    space.reset();
    if (store != nullptr) run(store->close());
    store.reset();
  }
  PieceList list(std::uint64_t offset, std::size_t bytes) {
    return *PieceList::check({kInode, offset, static_cast<std::uint32_t>(bytes), 0, 27}, {}, map, 0,
                             16 * kMi);
  }
  PieceList list(const std::vector<wire::Piece>& pieces) {
    std::uint32_t bytes = 0;
    for (const wire::Piece& piece : pieces) bytes += piece.bytes;
    const wire::Piece& first = pieces.front();
    return *PieceList::check(
        {kInode, first.offset, bytes, static_cast<std::uint32_t>(pieces.size()), 27},
        std::as_bytes(std::span(pieces)), map, 0, 16 * kMi);
  }
  Result<Space::Hold> admit(const PieceList& pieces) {
    if (auto hold = space->admit_at_once(pieces)) return std::move(*hold);
    return run(space->admit(kInode, pieces));
  }
  Status write(std::uint64_t offset, std::size_t bytes, InodeId inode = kInode) {
    auto hold = admit(list(offset, bytes));
    if (!hold) return std::unexpected(hold.error());
    const auto data = random_bytes(bytes, offset);
    return run(store->write(inode, offset, data));
  }
  bool full(const Status& status) {
    return !status.has_value() && status.error().code == Errc::no_space;
  }
};

TEST_SUITE("space") {
  TEST_CASE_FIXTURE(SpaceFixture, "space: a limit holds to the block, and what is there stays") {
    open(3 * kMi);
    for (std::uint64_t i = 0; i < 3; ++i) REQUIRE(write(i * kMi, kMi).has_value());
    CHECK(full(write(3 * kMi, 1)));
    CHECK(full(write(3 * kMi - 1, 2)));
    CHECK(full(write(4 * kMi, kMi)));
    CHECK(store->usage()->stored_bytes == 3 * kMi);
    CHECK(space->measure()->room_bytes == 0);
    std::vector<std::byte> back(kMi);
    for (std::uint64_t i = 0; i < 3; ++i) {
      CHECK(*run(store->read(kInode, i * kMi, back)) == kMi);
      CHECK(back == random_bytes(kMi, i * kMi));
    }
    CHECK(*run(store->read(kInode, 3 * kMi, back)) == 0);
  }

  TEST_CASE_FIXTURE(SpaceFixture, "space: blocks that are there may be written on a full server") {
    open(kMi);
    REQUIRE(write(0, kMi - 100).has_value());  // the last block is there to its end
    for (int i = 0; i < 3; ++i) CHECK(write(0, kMi).has_value());
    CHECK(full(write(kMi, kBlock)));
    REQUIRE(run(store->truncate(kInode, kMi - 2 * kBlock)).has_value());
    CHECK(write(8 * kMi, kBlock).has_value());
    CHECK(full(write(0, kMi)));  // one of its two free blocks would fit
    CHECK(write(kMi - 2 * kBlock, 1).has_value());
    CHECK(full(write(kMi - kBlock, 1)));
    CHECK(space->measure()->stored_bytes == kMi);
  }

  TEST_CASE_FIXTURE(SpaceFixture, "space: what was set aside may be written on a full server") {
    open(kMi);
    REQUIRE(run(store->allocate(kInode, 0, kMi)).has_value());
    CHECK(space->measure()->room_bytes == 0);
    if (*store->unallocated(kInode, 0, kMi, kBlock) == kMi) {
      MESSAGE("the file system of TMPDIR does not tell what is set aside: skipped");
      return;
    }
    CHECK(*store->unallocated(kInode, 0, kMi + kBlock, kBlock) == kBlock);
    CHECK(full(write(kMi, 1)));
    for (std::uint64_t at = 0; at < kMi; at += 64 * kBlock) {
      CHECK(write(at, 64 * kBlock).has_value());
      CHECK(*store->unallocated(kInode, 0, 2 * kMi, kBlock) == kMi);
    }
    CHECK(full(write(kMi, 1)));
    CHECK(space->measure()->stored_bytes == kMi);
  }

  TEST_CASE_FIXTURE(SpaceFixture, "space: a list is admitted or refused as a whole") {
    open(kMi);
    REQUIRE(write(0, kMi - 2 * kBlock).has_value());
    // Pieces of one block count once.
    const std::vector<wire::Piece> fits{{4 * kMi, 10, 0}, {4 * kMi + 20, 10, 0}, {8 * kMi, 5, 0}};
    CHECK(admit(list(fits)).has_value());
    const std::vector<wire::Piece> does_not{{4 * kMi, 10, 0}, {6 * kMi, 10, 0}, {8 * kMi, 5, 0}};
    CHECK_FALSE(admit(list(does_not)).has_value());
    CHECK(*store->unallocated(kInode, 4 * kMi, 9 * kMi, kBlock) == 5 * kMi);
  }

  TEST_CASE_FIXTURE(SpaceFixture, "space: removing and shortening make room at once") {
    open(2 * kMi);
    REQUIRE(write(0, 2 * kMi).has_value());
    CHECK(full(write(2 * kMi, kMi)));
    REQUIRE(run(store->truncate(kInode, kMi)).has_value());
    CHECK(write(4 * kMi, kMi).has_value());
    CHECK(full(write(8 * kMi, 1)));
    REQUIRE(run(store->remove(kInode)).has_value());
    CHECK(store->usage()->stored_bytes == 0);
    CHECK(write(0, 2 * kMi).has_value());
  }

  TEST_CASE_FIXTURE(SpaceFixture, "space: a removed file counts as long as somebody has it open") {
    open(2 * kMi);
    REQUIRE(write(0, kMi).has_value());
    {
      const auto share = store->files()->share({kInode, 0}, false);
      REQUIRE(share.has_value());
      REQUIRE(run(store->remove(kInode)).has_value());
      CHECK(store->usage()->stored_bytes == kMi);
      const auto data = random_bytes(kBlock, 1);
      REQUIRE(pwrite(share->descriptor(), data.data(), data.size(), 8 * kMi) == kBlock);
      CHECK(store->usage()->stored_bytes == kMi + kBlock);
    }
    CHECK(store->usage()->stored_bytes == 0);
  }

  TEST_CASE_FIXTURE(SpaceFixture, "space: a restart counts what is there") {
    open(3 * kMi);
    REQUIRE(write(0, kMi).has_value());
    REQUIRE(write(64 * kMi, kMi).has_value());
    close();
    open(3 * kMi);
    CHECK(space->measure()->stored_bytes == 2 * kMi);
    CHECK(write(kMi, kMi).has_value());
    CHECK(full(write(2 * kMi, 1)));
    close();
    open(kMi);  // less than is there: nothing new, but what is there can be changed and removed
    CHECK(space->measure()->room_bytes == 0);
    CHECK(full(write(2 * kMi, 1)));
    CHECK(write(0, kMi).has_value());
    CHECK(run(store->remove(kInode)).has_value());
    CHECK(write(0, kMi).has_value());
  }

  TEST_CASE_FIXTURE(SpaceFixture, "space: writes in progress count with all that they may take") {
    open(2 * kMi);
    auto first = admit(list(0, kMi));
    auto second = admit(list(kMi, kMi));
    REQUIRE(first.has_value());
    REQUIRE(second.has_value());
    auto third = space->admit(kInode, list(4 * kMi, kMi));
    auto fourth = space->admit(kInode, list(8 * kMi, kMi));
    CHECK_FALSE(third.done());  // they may turn out to take less
    { const Space::Hold ended = std::move(*second); }
    const auto later = run(std::move(third));
    CHECK(later.has_value());
    { const Space::Hold ended = std::move(*first); }
    const auto last = run(std::move(fourth));
    CHECK(last.has_value());
    CHECK_FALSE(space->admit_at_once(list(0, 1)).has_value());
  }

  TEST_CASE_FIXTURE(SpaceFixture, "space: what is lent is called back before a write is refused") {
    open(4 * kMi);
    space->set_lender(&lender);
    lender.bytes = 3 * kMi;
    CHECK(write(0, kMi).has_value());
    CHECK(lender.recalls == 0);
    lender.being_written = kMi;
    CHECK(write(kMi, 2 * kMi).has_value());
    CHECK(lender.recalls == 1);
    CHECK(full(write(8 * kMi, kMi)));  // it stays in writing
    lender.being_written = lender.bytes = 0;
    CHECK(write(8 * kMi, kMi).has_value());
    CHECK(full(write(9 * kMi, kMi)));
    space->set_lender(nullptr);
  }

  TEST_CASE_FIXTURE(SpaceFixture, "space: what may be lent leaves a margin and room for writes") {
    open(64 * kMi);
    CHECK(space->lendable() == 45 * kMi);
    REQUIRE(write(0, 16 * kMi).has_value());
    CHECK(space->lendable() == 33 * kMi);
    space.reset();
    space = std::make_unique<Space>(*loop, *store, Space::Options{.limit_bytes = 18 * kMi});
    CHECK(space->lendable() < kMi);
  }

  TEST_CASE_FIXTURE(SpaceFixture, "space: of a full device, a reserve is left for the metadata") {
    const std::string small = dir.path() + "/small";
    REQUIRE(mkdir(small.c_str(), 0700) == 0);
    if (mount("tmpfs", small.c_str(), "tmpfs", 0, "size=4m,nr_inodes=1000") != 0) {
      MESSAGE("not allowed to mount a small file system: not tried");
      return;
    }
    open(0, small);
    const std::uint64_t reserve = space->measure()->reserve_bytes;
    CHECK(reserve == 4 * kMi / 32);
    const std::uint64_t empty = store->device()->available_bytes;
    REQUIRE(write(0, 3 * kMi).has_value());
    CHECK(full(write(3 * kMi, kMi)));
    CHECK(store->device()->available_bytes == empty - 3 * kMi);  // nothing of it was done
    CHECK(write(3 * kMi, space->measure()->room_bytes).has_value());
    CHECK(full(write(8 * kMi, 1)));
    CHECK(write(0, 3 * kMi).has_value());
    CHECK(store->device()->available_bytes == reserve);
    CHECK(space->room_for_entries().has_value());
    // Others take of the reserve.
    const auto data = random_bytes(reserve / 2 + kBlock, 5);
    REQUIRE(run(store->write(kInode + 1, 0, data)).has_value());
    CHECK_FALSE([&] {
      for (int i = 0; i < 100; ++i) {
        if (!space->room_for_entries()) return false;
      }
      return true;
    }());
    REQUIRE(run(store->remove(kInode)).has_value());
    CHECK(space->room_for_entries().has_value());
    close();
    umount2(small.c_str(), MNT_DETACH);
  }
}

}  // namespace
}  // namespace benchfs
