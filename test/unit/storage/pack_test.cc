// The pack of small files beside a model, over restarts; and what a damaged index, a full file
// system and storage that is given back come to.
#include "storage/pack.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "storage/loop_fixture.hpp"

namespace benchfs {
namespace {

using testing::random_bytes;
using testing::TempDir;
using Bytes = std::vector<std::byte>;

std::unique_ptr<Pack> open_pack(const TempDir& dir) {
  auto pack = Pack::open(dir.path());
  REQUIRE(pack.has_value());
  return std::move(*pack);
}

Bytes all_of(const Pack& pack, InodeId inode) {
  Bytes into(Pack::kBlockBytes);
  const auto count = pack.read(inode, 0, into);
  REQUIRE(count.has_value());
  into.resize(*count);
  return into;
}

std::uint64_t allocated(const TempDir& dir) {
  struct stat facts {};
  REQUIRE(stat((dir.path() + "/pack").c_str(), &facts) == 0);
  return static_cast<std::uint64_t>(facts.st_blocks) * 512;
}

TEST_SUITE("pack") {
  TEST_CASE("pack: any order of writes, truncates and removals, and restarts between them") {
    const TempDir dir;
    std::mt19937_64 random(5);
    std::map<InodeId, Bytes> model;
    auto pack = open_pack(dir);
    for (int i = 0; i < 30'000; ++i) {
      const InodeId inode = make_inode(static_cast<Slot>(random() % 7), 1 + random() % 900);
      const auto known = model.find(inode);
      REQUIRE(pack->has(inode) == (known != model.end()));
      switch (random() % 5) {
        case 0:
          REQUIRE(pack->remove(inode) == (known != model.end()));
          if (known != model.end()) model.erase(known);
          break;
        case 1: {
          if (known == model.end()) break;
          const std::size_t bytes = random() % 3 == 0 ? 0 : random() % (Pack::kBlockBytes + 1);
          pack->truncate(inode, bytes);
          if (bytes == 0) model.erase(known);
          if (bytes != 0 && bytes < known->second.size()) known->second.resize(bytes);
          break;
        }
        default: {
          const std::size_t offset = random() % 2 == 0 ? 0 : random() % (Pack::kBlockBytes - 1);
          const auto data = random_bytes(1 + random() % (Pack::kBlockBytes - offset), random());
          REQUIRE(pack->write(inode, offset, data).has_value());
          Bytes& bytes = model[inode];
          bytes.resize(std::max(bytes.size(), offset + data.size()));
          std::copy(data.begin(), data.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
        }
      }
      if (i % 5'000 == 4'999) {  // as after a kill: nothing is said to it before
        pack.reset();
        pack = open_pack(dir);
        REQUIRE(pack->files() == model.size());
        for (const auto& [each, bytes] : model) REQUIRE(all_of(*pack, each) == bytes);
      }
    }
    std::vector<InodeId> listed, expected;
    pack->for_each([&](InodeId inode) { listed.push_back(inode); });
    for (const auto& each : model) expected.push_back(each.first);
    std::sort(listed.begin(), listed.end());
    CHECK(listed == expected);
  }

  TEST_CASE("pack: a block shows nothing of the file that had it before") {
    const TempDir dir;
    auto pack = open_pack(dir);
    REQUIRE(pack->write(1, 0, random_bytes(4096, 1)).has_value());
    CHECK(pack->remove(1));
    const auto data = random_bytes(10, 2);
    REQUIRE(pack->write(2, 100, data).has_value());
    Bytes expected(100);
    expected.insert(expected.end(), data.begin(), data.end());
    CHECK(all_of(*pack, 2) == expected);
    REQUIRE(pack->write(2, 200, data).has_value());
    expected.resize(200);
    expected.insert(expected.end(), data.begin(), data.end());
    CHECK(all_of(*pack, 2) == expected);
    pack->truncate(2, 50);
    REQUIRE(pack->write(2, 60, data).has_value());
    CHECK(std::all_of(expected.begin(), expected.begin() + 60,
                      [](std::byte byte) { return byte == std::byte{0}; }));
    CHECK(all_of(*pack, 2).size() == 70);
    CHECK(all_of(*pack, 2)[55] == std::byte{0});
  }

  TEST_CASE("pack: what many removed files took is given back, and taken again") {
    const TempDir dir;
    auto pack = open_pack(dir);
    constexpr InodeId kFiles = 3'000;
    const auto data = random_bytes(4096, 1);
    for (InodeId i = 1; i <= kFiles; ++i) REQUIRE(pack->write(i, 0, data).has_value());
    CHECK(allocated(dir) >= kFiles * 4096);
    for (InodeId i = 1; i <= 2'000; ++i) CHECK(pack->remove(i));
    CHECK(pack->take_surplus().empty());  // as few are kept
    for (InodeId i = 2'001; i <= kFiles - 1; ++i) CHECK(pack->remove(i));
    const auto surplus = pack->take_surplus();
    REQUIRE(surplus.size() >= 1'900);
    CHECK(std::is_sorted(surplus.begin(), surplus.end()));
    CHECK(pack->punch(surplus) == 0);
    CHECK(allocated(dir) <= (kFiles - surplus.size()) * 4096 + 65536);
    // What has no storage now is not in use until it is given back.
    for (InodeId i = 1; i <= 1'000; ++i) REQUIRE(pack->write(i, 0, data).has_value());
    pack->given_back(surplus);
    for (InodeId i = 1'001; i <= 2'000; ++i) REQUIRE(pack->write(i, 0, data).has_value());
    CHECK(pack->files() == 2'001);
    for (InodeId i = 1; i <= 2'000; ++i) REQUIRE(all_of(*pack, i) == data);
    struct stat facts {};
    REQUIRE(stat((dir.path() + "/pack").c_str(), &facts) == 0);
    CHECK(static_cast<std::uint64_t>(facts.st_size) <= (kFiles + 100) * 4096);
  }

  TEST_CASE("pack: a write that finds no room leaves no file") {
    const TempDir dir;
    auto pack = open_pack(dir);
    const auto data = random_bytes(4096, 1);
    REQUIRE(pack->write(1, 0, data).has_value());
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto handler = signal(SIGXFSZ, SIG_IGN);
    rlimit lowered = before;
    lowered.rlim_cur = 4096;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &lowered) == 0);
    const Status refused = pack->write(2, 0, data);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    CHECK_FALSE(refused.has_value());
    CHECK_FALSE(pack->has(2));
    CHECK(pack->files() == 1);
    CHECK(pack->write(2, 0, data).has_value());
    CHECK(all_of(*pack, 2) == data);
  }

  TEST_CASE("pack: a damaged index is an error, and not another file's data") {
    const TempDir dir;
    {
      auto pack = open_pack(dir);
      REQUIRE(pack->write(1, 0, random_bytes(10, 1)).has_value());
      REQUIRE(pack->write(2, 0, random_bytes(10, 2)).has_value());
    }
    const int fd = open((dir.path() + "/pack.index").c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0);
    const std::uint64_t wrong = 1;
    SUBCASE("two blocks of one file") {
      REQUIRE(pwrite(fd, &wrong, 8, 64 + 16) == 8);
    }
    SUBCASE("more than a block") {
      const std::uint32_t many = 4097;
      REQUIRE(pwrite(fd, &many, 4, 64 + 8) == 4);
    }
    SUBCASE("another kind of file") {
      REQUIRE(pwrite(fd, &wrong, 8, 0) == 8);
    }
    close(fd);
    CHECK_FALSE(Pack::open(dir.path()).has_value());
  }
}

}  // namespace
}  // namespace benchfs
