#include "storage/made_files.hpp"

#include <doctest/doctest.h>

namespace benchfs {
namespace {

TEST_SUITE("made files") {
  TEST_CASE("made files: what was added may exist until it is removed as often") {
    MadeFiles files;
    const ChunkFile first(make_inode(3, 4), 0), second(make_inode(3, 4), 1);
    CHECK_FALSE(files.may_exist(first));
    files.add(first);
    CHECK(files.may_exist(first));
    CHECK_FALSE(files.may_exist(second));
    files.add(first);
    files.remove(first);
    CHECK(files.may_exist(first));
    files.remove(first);
    CHECK_FALSE(files.may_exist(first));
    files.remove(first);
    CHECK_FALSE(files.may_exist(first));
  }

  TEST_CASE("made files: nothing that exists is denied, however many there are") {
    MadeFiles files;
    constexpr std::uint64_t kFiles = 300'000;
    for (std::uint64_t i = 0; i < kFiles; ++i) {
      files.add({make_inode(static_cast<Slot>(i % 65536), i), static_cast<unsigned>(i % 4)});
    }
    std::uint64_t denied = 0;
    for (std::uint64_t i = 0; i < kFiles; ++i) {
      const ChunkFile id(make_inode(static_cast<Slot>(i % 65536), i), static_cast<unsigned>(i % 4));
      denied += files.may_exist(id) ? 0 : 1;
    }
    CHECK(denied == 0);
  }

  TEST_CASE("made files: a count that is full never says no again") {
    MadeFiles files;
    const ChunkFile id(make_inode(1, 2), 3);
    for (int i = 0; i < 70'000; ++i) files.add(id);
    for (int i = 0; i < 80'000; ++i) files.remove(id);
    CHECK(files.may_exist(id));
  }
}

}  // namespace
}  // namespace benchfs
