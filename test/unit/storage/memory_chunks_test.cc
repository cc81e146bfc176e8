// A chunk store in memory: small files in the pack as long as they are small, all others in the
// arena, and to everybody like any other file.
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>

#include "storage/arena.hpp"
#include "storage/file_chunks.hpp"
#include "storage/loop_fixture.hpp"
#include "storage/memory_fixture.hpp"

namespace benchfs {
namespace {

using testing::LoopFixture;
using testing::random_bytes;
using testing::TempDir;
using Bytes = std::vector<std::byte>;

constexpr InodeId kInode = make_inode(17, 42);
constexpr std::uint64_t kBlock = arena::kBlockBytes;

struct MemoryFixture : LoopFixture {
  TempDir data{testing::memory()};
  bool memory = testing::in_memory(data.path());
  std::unique_ptr<ChunkStore> store = open(data.path());

  std::unique_ptr<ChunkStore> open(const std::string& path, IoMode mode = IoMode::automatic) {
    auto made = ChunkStore::create({.data_dir = path, .io_mode = mode, .open_files_max = 64},
                                   ring.get(), *offload);
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
  ~MemoryFixture() { close(); }

  Task<void> pause() { co_await loop->sleep_ns(1'000'000); }
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
  std::string path(InodeId inode) const { return data.path() + "/" + FileChunks::path_of(inode); }
  bool in_arena(InodeId inode) { return store->arena() != nullptr && store->arena()->has(inode); }
};

TEST_SUITE("memory chunks") {
  TEST_CASE_FIXTURE(MemoryFixture, "memory chunks: a small file is in the pack until it grows") {
    if (!memory) return;
    CHECK(store->mode() == IoMode::memory);
    const auto small = random_bytes(3901, 1), more = random_bytes(15'000, 2);
    write(kInode, 0, small);
    CHECK_FALSE(in_arena(kInode));
    CHECK(read(kInode) == small);
    CHECK(store->usage()->stored_bytes == 4096);
    CHECK(*store->allocated_bytes(kInode) == 4096);
    CHECK(**store->stored(kInode) == 4096);
    CHECK(*store->unallocated(kInode, 0, kBlock, kBlock) == 0);
    CHECK(*store->unallocated(kInode, 0, 2 * kBlock, kBlock) == 2 * kBlock);
    write(kInode, 3901, more);
    CHECK(in_arena(kInode));
    Bytes both = small;
    both.insert(both.end(), more.begin(), more.end());
    CHECK(read(kInode) == both);
    CHECK(store->usage()->stored_bytes == 2 * kBlock);
    CHECK(*store->unallocated(kInode, 0, 3 * kBlock, kBlock) == kBlock);
    write(kInode, 0, more);  // it does not come back
    CHECK(in_arena(kInode));
    CHECK(run(store->remove(kInode)).has_value());
    CHECK_FALSE(in_arena(kInode));
    CHECK(read(kInode).empty());
    CHECK(store->usage()->stored_bytes == 0);
  }

  TEST_CASE_FIXTURE(MemoryFixture, "memory chunks: it is there again after the process has died") {
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

  TEST_CASE_FIXTURE(MemoryFixture,
                    "memory chunks: a death on the way from the pack loses nothing") {
    if (!memory) return;
    const auto small = random_bytes(3901, 1);
    write(kInode, 0, small);
    // A half of it has been copied, as if the process had died then.
    REQUIRE(store->arena()->write(kInode, 0, random_bytes(1000, 2)).has_value());
    restart();
    CHECK(read(kInode) == small);
    CHECK(in_arena(kInode));
    CHECK(store->usage()->stored_bytes == kBlock);
    restart();
    CHECK(read(kInode) == small);
  }

  TEST_CASE_FIXTURE(MemoryFixture, "memory chunks: copied to a device, and back, all is there") {
    const auto small = random_bytes(3901, 1), large = random_bytes(5'000'000, 2);
    constexpr InodeId kLarge = kInode + 1000, kBoth = kInode + 2000;
    for (InodeId i = 0; i < 100; ++i) write(kInode + i, 0, small);
    write(kLarge, 0, large);
    write(kLarge, 20u << 20, small);
    write(kBoth, 0, small);  // in the pack, and another segment in the arena
    write(kBoth, 9u << 20, small);
    const auto check = [&] {
      for (InodeId i = 0; i < 100; ++i) {
        CHECK(read(kInode + i) == small);
        CHECK(run(store->sync(kInode + i)).has_value());
      }
      CHECK(read(kLarge, 0, large.size()) == large);
      CHECK(read(kLarge, 20u << 20) == small);
      CHECK(read(kBoth, 0, 3901) == small);
      CHECK(read(kBoth, 9u << 20) == small);
      CHECK(**store->next_data(kLarge, 6u << 20, 1u << 30) == 20u << 20);
      CHECK(store->usage()->stored_bytes < 6'000'000);
    };
    close();
    const TempDir device;
    if (!memory || testing::in_memory(device.path())) return;
    // As with cp --sparse: the arena is mostly holes.
    REQUIRE(system(("cp -r --sparse=always " + data.path() + "/chunks " + device.path()).c_str()) ==
            0);
    store = open(device.path());
    CHECK(store->mode() != IoMode::memory);
    CHECK_FALSE(std::filesystem::exists(device.path() + "/chunks/pack"));
    CHECK_FALSE(std::filesystem::exists(device.path() + "/chunks/arena"));
    CHECK(std::filesystem::exists(device.path() + "/" + FileChunks::path_of(kInode)));
    check();
    close();
    std::filesystem::remove_all(data.path() + "/chunks");
    REQUIRE(system(("cp -r " + device.path() + "/chunks " + data.path()).c_str()) == 0);
    store = open(data.path());
    CHECK(store->mode() == IoMode::memory);
    CHECK_FALSE(std::filesystem::exists(path(kInode)));
    check();
    close();
    store = open(data.path(), IoMode::plain);  // the same, within memory
    CHECK(store->mode() == IoMode::plain);
    CHECK(std::filesystem::exists(path(kInode)));
    check();
    close();
  }

  TEST_CASE_FIXTURE(MemoryFixture, "memory chunks: for a client all of a file is in the arena") {
    if (!memory) return;
    std::atomic<std::uint64_t> made = 0;
    store->count_made_in(&made);
    const auto before = store->open_up(kInode, false);
    REQUIRE_FALSE(before.has_value());
    CHECK(before.error().code == Errc::not_found);
    const auto small = random_bytes(3901, 1);
    write(kInode, 0, small);
    CHECK(made.load() > 0);  // so he asks again
    REQUIRE(store->open_up(kInode, false).has_value());
    CHECK(in_arena(kInode));
    CHECK(read(kInode) == small);
    CHECK(store->open_up(kInode + 1, true).has_value());
    store->count_made_in(nullptr);
  }

  TEST_CASE_FIXTURE(MemoryFixture,
                    "memory chunks: random changes, holes and restarts, beside a model") {
    std::mt19937_64 random(3);
    constexpr std::size_t kBytes = 40'000;
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
      REQUIRE(store->search_holes(kInode)->next(0, 4096).has_value());
    }
    REQUIRE(run(store->remove(kInode)).has_value());
    CHECK(store->usage()->stored_bytes == 0);
  }

  TEST_CASE_FIXTURE(MemoryFixture,
                    "memory chunks: lists have all files, in parts and in one order") {
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

  TEST_CASE_FIXTURE(MemoryFixture,
                    "memory chunks: storage of removed files goes back to the device") {
    constexpr InodeId kFiles = 6'000;
    const auto small = random_bytes(4096, 1);
    for (InodeId i = 0; i < kFiles; ++i) write(kInode + i, 0, small);
    const auto full = store->device()->free_bytes;
    for (InodeId i = 0; i < kFiles; ++i) REQUIRE(run(store->remove(kInode + i)).has_value());
    CHECK(store->usage()->stored_bytes == 0);
    run(store->close());  // waits for what runs in the background
    if (memory) {
      struct stat facts {};
      REQUIRE(stat((data.path() + "/chunks/pack").c_str(), &facts) == 0);
      CHECK(facts.st_blocks * 512 <= 2'100 * 4096);
    }
    CHECK(store->device()->free_bytes + (1u << 20) > full);
  }

  TEST_CASE_FIXTURE(MemoryFixture,
                    "memory chunks: without room in the pack a small file is in the arena") {
    if (!memory) return;
    const auto small = random_bytes(100, 1);
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto handler = signal(SIGXFSZ, SIG_IGN);
    rlimit lowered = before;
    lowered.rlim_cur = 10 * 4096;
    write(kInode + 100, 0, random_bytes(100'000, 1));  // the arena has storage
    REQUIRE(setrlimit(RLIMIT_FSIZE, &lowered) == 0);
    bool all = true;
    for (InodeId i = 0; i < 50; ++i) {
      all = all && run(store->write(kInode + i, 0, small)).has_value();
    }
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    CHECK(all);
    for (InodeId i = 0; i < 50; ++i) CHECK(read(kInode + i) == small);
    CHECK(in_arena(kInode + 49));
  }

  TEST_CASE_FIXTURE(MemoryFixture,
                    "memory chunks: where an arena cannot be made there are local files") {
    if (!memory) return;
    const TempDir other(testing::memory());
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto handler = signal(SIGXFSZ, SIG_IGN);
    rlimit lowered = before;
    lowered.rlim_cur = 1u << 20;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &lowered) == 0);
    auto made = ChunkStore::create({.data_dir = other.path()}, ring.get(), *offload);
    auto asked = ChunkStore::create({.data_dir = other.path(), .io_mode = IoMode::memory},
                                    ring.get(), *offload);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    REQUIRE(made.has_value());
    CHECK((*made)->mode() == IoMode::plain);
    CHECK_FALSE(Arena::exists(other.path() + "/chunks"));
    REQUIRE_FALSE(asked.has_value());
    CHECK(asked.error().code == Errc::too_big);
    REQUIRE(run((*made)->write(kInode, 0, random_bytes(3901, 1))).has_value());
    run((*made)->close());
    made->reset();
    const auto later = open(other.path());  // what the files have is there
    CHECK(later->mode() == IoMode::memory);
    Bytes back(3901);
    CHECK(*run(later->read(kInode, 0, back)) == 3901);
    CHECK(back == random_bytes(3901, 1));
    run(later->close());
  }

  TEST_CASE_FIXTURE(MemoryFixture,
                    "memory chunks: some blocks are kept ready, and too many of them given back") {
    if (!memory) return;
    close();
    auto made = ChunkStore::create({.data_dir = data.path(), .limit_bytes = 64u << 20}, ring.get(),
                                   *offload);
    REQUIRE(made.has_value());
    store = std::move(*made);
    const Arena& arena = *store->arena();
    const auto tended = [&](auto done) {
      for (int i = 0; i < 1000 && !done(); ++i) {
        store->tend();
        run(pause());
      }
      return done();
    };
    CHECK(arena.free_bytes() == 0);
    CHECK(tended([&] { return arena.free_bytes() >= 4u << 20; }));
    CHECK(arena.free_bytes() < 16u << 20);  // the limit is small
    const auto storage = [&] {
      struct stat facts {};
      REQUIRE(fstat(arena.data_fd(), &facts) == 0);
      return facts.st_blocks * 512;
    };
    const Bytes large = random_bytes(40u << 20, 1);
    write(kInode, 0, large);
    CHECK(storage() >= 40 << 20);
    REQUIRE(run(store->remove(kInode)).has_value());
    CHECK(store->device()->set_aside_bytes >= 40u << 20);
    CHECK(tended([&] { return storage() <= 16 << 20; }));
    write(kInode, 0, large);
    CHECK(read(kInode, 0, large.size()) == large);
  }

  TEST_CASE_FIXTURE(MemoryFixture, "memory chunks: how much is ready at start is a matter of time") {
    if (!memory) return;
    close();
    std::uint64_t ready[2] = {0, 0};
    for (const int turn : {0, 1}) {
      auto made =
          ChunkStore::create({.data_dir = data.path(), .warm_up_ms = turn == 0 ? 0 : 60'000},
                             ring.get(), *offload);
      REQUIRE(made.has_value());
      store = std::move(*made);
      const std::uint64_t wanted = turn == 0 ? 16u << 20 : 40u << 20;
      for (int i = 0; i < 5000 && store->arena()->free_bytes() < wanted; ++i) {
        store->tend();
        run(pause());
      }
      ready[turn] = store->arena()->free_bytes();
      close();
      std::filesystem::remove_all(data.path() + "/chunks");
    }
    CHECK(ready[0] >= 16u << 20);
    CHECK(ready[0] <= 24u << 20);
    CHECK(ready[1] >= 40u << 20);
    store = open(data.path());
  }
}

}  // namespace
}  // namespace benchfs
