// Small files of a chunk store in memory: in the pack as long as they are small, and to everybody
// like any other file.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>

#include "storage/chunk_store.hpp"
#include "storage/loop_fixture.hpp"

namespace benchfs {
namespace {

using testing::LoopFixture;
using testing::random_bytes;
using testing::TempDir;
using Bytes = std::vector<std::byte>;

constexpr InodeId kInode = make_inode(17, 42);

bool in_memory(const std::string& path) {
  struct statfs facts {};
  return statfs(path.c_str(), &facts) == 0 && facts.f_type == TMPFS_MAGIC;
}
/// Where there is no storage in memory all files are local ones, and the cases hold as well.
std::string memory() {
  return in_memory("/dev/shm") && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "";
}

struct PackFixture : LoopFixture {
  TempDir data{memory()};
  bool packs = in_memory(data.path());
  std::unique_ptr<ChunkStore> store = open(data.path());

  std::unique_ptr<ChunkStore> open(const std::string& path) {
    auto made = ChunkStore::create({.data_dir = path, .open_files_max = 64}, ring.get(), *offload);
    REQUIRE(made.has_value());
    return std::move(*made);
  }
  void close() {
    if (store) run(store->close());
    store.reset();
  }
  void restart() {
    close();
    store = open(data.path());
  }
  ~PackFixture() { close(); }

  void write(InodeId inode, std::uint64_t offset, std::span<const std::byte> from) {
    REQUIRE(run(store->write(inode, offset, from)).has_value());
  }
  Bytes read(InodeId inode, std::uint64_t offset = 0, std::size_t bytes = 1u << 20) {
    Bytes into(bytes, std::byte{0xee});
    const auto count = run(store->read(inode, offset, into));
    REQUIRE(count.has_value());
    into.resize(*count);
    return into;
  }
  bool has_file(InodeId inode) const {
    return std::filesystem::exists(data.path() + "/" + ChunkStore::path_of(inode));
  }
};

TEST_SUITE("chunk pack") {
  TEST_CASE_FIXTURE(PackFixture, "chunk pack: a small file has no local file until it grows") {
    const auto small = random_bytes(3901, 1), more = random_bytes(5000, 2);
    write(kInode, 0, small);
    CHECK(has_file(kInode) == !packs);
    CHECK(read(kInode) == small);
    CHECK(store->usage()->stored_bytes == 4096);
    CHECK(*store->allocated_bytes(kInode) == 4096);
    CHECK(**store->stored(kInode) == 4096);
    CHECK(*store->unallocated(kInode, 0, 8192, 4096) == 4096);
    CHECK(*store->unallocated(kInode, 4096, 8192, 4096) == 4096);
    write(kInode, 3901, more);
    CHECK(has_file(kInode));
    Bytes both = small;
    both.insert(both.end(), more.begin(), more.end());
    CHECK(read(kInode) == both);
    CHECK(store->usage()->stored_bytes == 3 * 4096);
    write(kInode, 0, more);  // it does not come back
    CHECK(has_file(kInode));
    CHECK(run(store->remove(kInode)).has_value());
    CHECK_FALSE(has_file(kInode));
    CHECK(read(kInode).empty());
    CHECK(store->usage()->stored_bytes == 0);
  }

  TEST_CASE_FIXTURE(PackFixture, "chunk pack: it is there again after the process has died") {
    const auto small = random_bytes(100, 1);
    for (InodeId i = 1; i <= 500; ++i) write(kInode + i, i, small);
    restart();
    CHECK(store->usage()->stored_bytes == 500 * 4096);
    for (InodeId i = 1; i <= 500; ++i) {
      const auto got = read(kInode + i);
      REQUIRE(got.size() == i + 100);
      CHECK(std::equal(small.begin(), small.end(), got.begin() + static_cast<std::ptrdiff_t>(i)));
    }
  }

  TEST_CASE_FIXTURE(PackFixture, "chunk pack: a death while the file was made loses nothing") {
    if (!packs) return;
    const auto small = random_bytes(3901, 1);
    write(kInode, 0, small);
    std::ofstream(data.path() + "/" + ChunkStore::path_of(kInode)) << "half";
    restart();
    CHECK(read(kInode) == small);
    CHECK(has_file(kInode));
    CHECK(store->usage()->stored_bytes == 4096);
    restart();
    CHECK(read(kInode) == small);
  }

  TEST_CASE_FIXTURE(PackFixture, "chunk pack: copied to a device the files have local ones") {
    const auto small = random_bytes(3901, 1);
    for (InodeId i = 0; i < 100; ++i) write(kInode + i, 0, small);
    close();
    const TempDir device;
    if (in_memory(device.path())) return;
    std::filesystem::copy(data.path(), device.path(), std::filesystem::copy_options::recursive);
    store = open(device.path());
    for (InodeId i = 0; i < 100; ++i) {
      CHECK(read(kInode + i) == small);
      CHECK(run(store->sync(kInode + i)).has_value());
      CHECK(std::filesystem::exists(device.path() + "/" + ChunkStore::path_of(kInode + i)));
    }
    CHECK_FALSE(std::filesystem::exists(device.path() + "/chunks/pack"));
    close();
  }

  TEST_CASE_FIXTURE(PackFixture, "chunk pack: whoever shares the file gets it, with what it has") {
    std::atomic<std::uint64_t> made = 0;
    store->count_made_in(&made);
    CHECK_FALSE(store->share(kInode, false).has_value());
    const auto small = random_bytes(3901, 1), other = random_bytes(50, 2);
    write(kInode, 0, small);
    CHECK(made.load() > 0);  // so he asks again
    {
      auto share = store->share(kInode, false);
      REQUIRE(share.has_value());
      Bytes into(4096);
      CHECK(pread(share->descriptor(), into.data(), into.size(), 0) == 3901);
      CHECK(std::equal(small.begin(), small.end(), into.begin()));
      CHECK(pwrite(share->descriptor(), other.data(), other.size(), 0) == 50);
    }
    Bytes expected = small;
    std::copy(other.begin(), other.end(), expected.begin());
    CHECK(read(kInode) == expected);
  }

  TEST_CASE_FIXTURE(PackFixture, "chunk pack: random changes, holes and restarts, beside a model") {
    std::mt19937_64 random(3);
    constexpr std::size_t kBytes = 12'000;
    Bytes model;
    for (int i = 0; i < 3'000; ++i) {
      const std::size_t offset = random() % (random() % 2 == 0 ? 4096 : kBytes);
      const std::size_t bytes = 1 + random() % (random() % 2 == 0 ? 4096 : kBytes);
      const auto clear = [&](std::size_t begin, std::size_t end) {
        end = std::min(end, model.size());
        if (begin < end) {
          std::fill(model.begin() + static_cast<std::ptrdiff_t>(begin),
                    model.begin() + static_cast<std::ptrdiff_t>(end), std::byte{0});
        }
      };
      switch (random() % 9) {
        case 0:
          REQUIRE(run(store->truncate(kInode, offset)).has_value());
          clear(offset, model.size());
          break;
        case 1:
          REQUIRE(run(store->punch(kInode, offset, bytes)).has_value());
          clear(offset, offset + bytes);
          break;
        case 2:
          REQUIRE(run(store->allocate(kInode, offset, bytes)).has_value());
          break;
        case 3:
          REQUIRE(run(store->remove(kInode)).has_value());
          model.clear();
          break;
        case 4:
          restart();
          break;
        default: {
          const auto from = random_bytes(bytes, random());
          write(kInode, offset, from);
          model.resize(std::max(model.size(), offset + bytes));
          std::copy(from.begin(), from.end(), model.begin() + static_cast<std::ptrdiff_t>(offset));
        }
      }
      Bytes got = read(kInode, 0, 2 * kBytes + 4096);
      got.resize(std::max(got.size(), model.size()));
      Bytes expected = model;
      expected.resize(got.size());
      REQUIRE(got == expected);
      // Where data are said to be none, there are none.
      const auto first = store->next_data(kInode, 0, 4 * kBytes);
      REQUIRE(first.has_value());
      const std::size_t zeros =
          std::min<std::size_t>(first->value_or(expected.size()), expected.size());
      REQUIRE(std::all_of(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(zeros),
                          [](std::byte byte) { return byte == std::byte{0}; }));
      ChunkStore::HoleSearch holes(*store, kInode);
      REQUIRE(holes.next(0, 4096).has_value());
    }
    REQUIRE(run(store->remove(kInode)).has_value());
    CHECK(store->usage()->stored_bytes == 0);
  }

  TEST_CASE_FIXTURE(PackFixture, "chunk pack: lists have all files, in parts and in one order") {
    std::vector<InodeId> expected;
    for (InodeId i = 0; i < 300; ++i) {
      expected.push_back(make_inode(static_cast<Slot>(i * 7), 100 + i));
      write(expected.back(), 0, random_bytes(i % 3 == 0 ? 9000 : 90, i));
    }
    std::vector<InodeId> listed;
    for (InodeId after = 0;;) {
      const auto part = run(store->list(after, 17));
      REQUIRE(part.has_value());
      if (part->empty()) break;
      listed.insert(listed.end(), part->begin(), part->end());
      after = part->back();
    }
    std::sort(listed.begin(), listed.end());
    CHECK(listed == expected);
  }

  TEST_CASE_FIXTURE(PackFixture, "chunk pack: storage of removed files goes back to the device") {
    constexpr InodeId kFiles = 6'000;
    const auto small = random_bytes(4096, 1);
    for (InodeId i = 0; i < kFiles; ++i) write(kInode + i, 0, small);
    const auto full = store->device()->free_bytes;
    for (InodeId i = 0; i < kFiles; ++i) REQUIRE(run(store->remove(kInode + i)).has_value());
    CHECK(store->usage()->stored_bytes == 0);
    run(store->close());  // waits for what runs in the background
    if (packs) {
      struct stat facts {};
      REQUIRE(stat((data.path() + "/chunks/pack").c_str(), &facts) == 0);
      CHECK(facts.st_blocks * 512 <= 2'100 * 4096);
    }
    CHECK(store->device()->free_bytes + (1u << 20) > full);
  }

  TEST_CASE_FIXTURE(PackFixture,
                    "chunk pack: without room in the pack a small file has a local one") {
    const auto small = random_bytes(100, 1);
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto handler = signal(SIGXFSZ, SIG_IGN);
    rlimit lowered = before;
    lowered.rlim_cur = 10 * 4096;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &lowered) == 0);
    bool all = true;
    for (InodeId i = 0; i < 50; ++i) {
      all = all && run(store->write(kInode + i, 0, small)).has_value();
    }
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    CHECK(all);
    for (InodeId i = 0; i < 50; ++i) CHECK(read(kInode + i) == small);
    CHECK(has_file(kInode + 49));
    CHECK(store->usage()->stored_bytes == 50 * 4096);
  }
}

}  // namespace
}  // namespace benchfs
