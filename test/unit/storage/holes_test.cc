// Storage set aside and given back, data and holes, in one server's local files; and the checks of
// the messages that ask for it.
#include <doctest/doctest.h>

#include <sys/stat.h>

#include <algorithm>

#include "placement/stripes.hpp"
#include "storage/file_chunks.hpp"
#include "storage/hole_service.hpp"
#include "storage/loop_fixture.hpp"

namespace benchfs {
namespace {

using testing::LoopFixture;
using testing::random_bytes;

constexpr InodeId kInode = make_inode(9, 77);
constexpr std::uint32_t kShift = 20;
constexpr std::uint64_t kMiB = 1 << 20;

struct HoleFixture : LoopFixture {
  SlotMap map = SlotMap::initial(2, 3);
  ServerIndex self = map.owner(kInode, 0);
  std::unique_ptr<ChunkStore> store =
      *ChunkStore::create({.data_dir = dir.path()}, ring.get(), *offload);
  Space space{*loop, *store, {}};
  HoleService service{*loop, *store, space, nullptr, map, self};
  ~HoleFixture() { run(store->close()); }

  Status allocate(std::uint32_t operation, std::uint64_t offset, std::uint64_t bytes,
                  std::uint32_t shift = kShift) {
    return run(service.carry_out({kInode, offset, bytes, shift, operation}));
  }
  Result<wire::Seek::Reply> seek(std::uint32_t what, std::uint64_t offset, std::uint64_t limit,
                                 std::uint32_t shift = kShift) {
    return run(service.find({kInode, offset, limit, shift, what}));
  }
  void write(std::uint64_t offset, std::size_t bytes) {
    REQUIRE(run(store->write(kInode, offset, random_bytes(bytes, offset))).has_value());
  }
  std::uint64_t allocated() { return *store->allocated_bytes(kInode); }
  bool owns(std::uint64_t chunk) const { return map.owner(kInode, chunk) == self; }
  std::uint64_t owned(std::uint64_t chunks) const {
    std::uint64_t count = 0;
    for (std::uint64_t i = 0; i < chunks; ++i) count += owns(i) ? 1 : 0;
    return count;
  }
};

using Allocate = wire::Allocate;
using Seek = wire::Seek;

TEST_SUITE("holes") {
  TEST_CASE("holes: set aside are the owned chunks alone, and no local file gets longer") {
    HoleFixture fixture;
    REQUIRE(fixture.allocate(Allocate::kAllocate, 0, 16 * kMiB).has_value());
    const std::uint64_t bytes = fixture.owned(16) * kMiB;
    CHECK(fixture.allocated() >= bytes);
    CHECK(fixture.allocated() <= bytes + kStripeFiles * 4096);
    for (unsigned i = 0; i < kStripeFiles; ++i) {
      struct stat facts {};
      const std::string path = fixture.dir.path() + "/" + FileChunks::path_of({kInode, i});
      REQUIRE(::stat(path.c_str(), &facts) == 0);
      CHECK(facts.st_size == 0);
    }
    // A truncate gives back what lies beyond: of the whole, of nothing, and between.
    REQUIRE(fixture.run(fixture.store->truncate(kInode, 16 * kMiB)).has_value());
    CHECK(fixture.allocated() >= bytes);
    REQUIRE(fixture.run(fixture.store->truncate(kInode, 5 * kMiB)).has_value());
    CHECK(fixture.allocated() <= fixture.owned(5) * kMiB + kStripeFiles * 4096);
    REQUIRE(fixture.allocate(Allocate::kAllocate, 0, 16 * kMiB).has_value());
    REQUIRE(fixture.run(fixture.store->truncate(kInode, 7 * kMiB)).has_value());
    CHECK(fixture.allocated() >= fixture.owned(7) * kMiB);
    CHECK(fixture.allocated() <= fixture.owned(7) * kMiB + kStripeFiles * 4096);
    REQUIRE(fixture.allocate(Allocate::kPunch, 0, kFileBytesMax).has_value());
    CHECK(fixture.allocated() == 0);
  }

  TEST_CASE("holes: what was not set aside here is not missed; zero and punch leave the rest") {
    HoleFixture fixture;
    REQUIRE(fixture.allocate(Allocate::kPunch, 0, 16 * kMiB).has_value());
    CHECK(fixture.allocated() == 0);
    const auto data = random_bytes(3 * kMiB, 5);
    REQUIRE(fixture.run(fixture.store->write(kInode, 0, data)).has_value());
    for (const std::uint32_t operation : {Allocate::kZero, Allocate::kPunch}) {
      REQUIRE(fixture.allocate(operation, kMiB - 100, 200).has_value());
      std::vector<std::byte> back(3 * kMiB);
      REQUIRE(*fixture.run(fixture.store->read(kInode, 0, back)) == back.size());
      const auto at = [](auto& bytes, std::uint64_t offset) {
        return bytes.begin() + static_cast<std::ptrdiff_t>(offset);
      };
      CHECK(std::equal(at(back, 0), at(back, kMiB - 100), at(data, 0)));
      CHECK(std::all_of(at(back, kMiB - 100), at(back, kMiB + 100),
                        [](auto byte) { return byte == std::byte{0}; }));
      CHECK(std::equal(at(back, kMiB + 100), back.end(), at(data, kMiB + 100)));
    }
  }

  TEST_CASE("holes: a search for data ends at the limit, one for holes looks at owned chunks") {
    HoleFixture fixture;
    auto found = fixture.seek(Seek::kData, 5, 100 * kMiB);
    REQUIRE(found.has_value());
    CHECK(found->found == 0);
    CHECK(found->offset == 100 * kMiB);
    std::uint64_t first = 0;  // an owned chunk after one that is not
    while (fixture.owns(first) || !fixture.owns(first + 1)) ++first;
    found = fixture.seek(Seek::kHole, first * kMiB + 5, 100 * kMiB);
    REQUIRE(found.has_value());
    CHECK(found->found == 1);
    CHECK(found->offset == (first + 1) * kMiB);
    for (std::uint64_t chunk = 0; chunk < 40; ++chunk) {
      if (fixture.owns(chunk)) fixture.write(chunk * kMiB, kMiB);
    }
    found = fixture.seek(Seek::kHole, 0, 100 * kMiB);
    REQUIRE(found.has_value());
    CHECK(found->found == 1);
    CHECK(found->offset >= 40 * kMiB);
    CHECK(fixture.owns(found->offset >> kShift));
    found = fixture.seek(Seek::kHole, 0, 40 * kMiB);
    REQUIRE(found.has_value());
    CHECK(found->found == 0);
    CHECK(found->offset == 40 * kMiB);
    // Nothing is asked for ever: a file without an owned chunk's data far away.
    found = fixture.seek(Seek::kHole, 0, kFileBytesMax);
    REQUIRE(found.has_value());
    CHECK(found->found == 1);
    found = fixture.seek(Seek::kData, 40 * kMiB, kFileBytesMax);
    REQUIRE(found.has_value());
    CHECK(found->found == 0);
  }

  TEST_CASE("holes: room is counted for the owned part of any range") {
    HoleFixture fixture;
    CHECK(fixture.allocate(Allocate::kCheck, 0, kMiB).has_value());
    CHECK(fixture.allocated() == 0);
    for (const std::uint64_t bytes : {1ull << 50, 1ull << 61, (1ull << 61) + 12345}) {
      const auto checked = fixture.allocate(Allocate::kCheck, 77, bytes);
      REQUIRE(!checked.has_value());
      CHECK(checked.error().code == Errc::no_space);
    }
  }

  TEST_CASE("holes: what is out of range is refused") {
    HoleFixture fixture;
    const auto code = [](const auto& result) { return result.error().code; };
    CHECK(code(fixture.allocate(0, 0, 1)) == Errc::bad_message);
    CHECK(code(fixture.allocate(5, 0, 1)) == Errc::bad_message);
    CHECK(code(fixture.allocate(Allocate::kAllocate, 0, 0)) == Errc::bad_message);
    CHECK(code(fixture.allocate(Allocate::kPunch, kFileBytesMax, 1)) == Errc::bad_message);
    CHECK(code(fixture.allocate(Allocate::kPunch, 1, ~0ull)) == Errc::bad_message);
    CHECK(code(fixture.allocate(Allocate::kPunch, 0, 1, 70)) == Errc::bad_message);
    CHECK(code(fixture.allocate(Allocate::kPunch, 0, 1, 5)) == Errc::bad_message);
    CHECK(code(fixture.allocate(Allocate::kAllocate, 0, 65537ull << 16, 16)) == Errc::bad_message);
    CHECK(code(fixture.seek(Seek::kData, 5, 5)) == Errc::bad_message);
    CHECK(code(fixture.seek(Seek::kData, 6, 5)) == Errc::bad_message);
    CHECK(code(fixture.seek(Seek::kData, 0, kFileBytesMax + 1)) == Errc::bad_message);
    CHECK(code(fixture.seek(3, 0, 1)) == Errc::bad_message);
    CHECK(code(fixture.seek(Seek::kHole, 0, 1, 40)) == Errc::bad_message);
  }
}

}  // namespace
}  // namespace benchfs
