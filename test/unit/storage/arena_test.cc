// The arena: data of files in its blocks beside a model, what clients do on their own beside what
// the server takes away, and what is left when either of them dies.
#include "storage/arena.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "storage/loop_fixture.hpp"
#include "storage/memory_fixture.hpp"

namespace benchfs {
namespace {

using arena::kBlockBytes;
using arena::kSegmentBytes;
using testing::random_bytes;
using testing::TempDir;
using Bytes = std::vector<std::byte>;

constexpr InodeId kInode = make_inode(17, 42);
constexpr std::uint64_t kMiB = 1 << 20;

struct ArenaFixture {
  TempDir dir{testing::memory()};
  std::unique_ptr<Arena> arena = open();

  std::unique_ptr<Arena> open(std::uint64_t bytes_max = 256 * kMiB) {
    auto opened = Arena::open(dir.path(), bytes_max);
    REQUIRE(opened.has_value());
    return std::move(*opened);
  }
  void restart() {
    arena.reset();
    arena = open();
  }
  /// As a client has it.
  std::unique_ptr<arena::View> view(std::uint32_t slot) const {
    auto mapped = arena::View::map(arena->data_fd(), ::dup(arena->index_fd()), slot);
    REQUIRE(mapped.has_value());
    return std::move(*mapped);
  }
  void write(InodeId inode, std::uint64_t offset, std::span<const std::byte> from) {
    REQUIRE(arena->write(inode, offset, from).has_value());
  }
  Bytes read(InodeId inode, std::uint64_t offset, std::size_t bytes) {
    Bytes into(bytes, std::byte{0xee});
    into.resize(arena->read(inode, offset, into));
    return into;
  }
  std::uint64_t all_bytes() const { return arena->free_bytes() + arena->used_bytes(); }
};

/// Writes as a client does, without the server.
bool client_write(arena::View& view, InodeId inode, std::uint64_t offset,
                  std::span<const std::byte> from) {
  const arena::View::Access access(view);
  if (!access.valid()) return false;
  arena::SegmentMap* map = view.find(inode, arena::segment_of(offset));
  return map != nullptr && view.write(*map, arena::within_segment(offset), from) == from.size();
}

TEST_SUITE("arena") {
  TEST_CASE_FIXTURE(ArenaFixture, "arena: random changes by server and client, beside a model") {
    constexpr std::size_t kBytes = 3 * kMiB + 5000;
    std::mt19937_64 random(11);
    Bytes model;
    std::uint32_t slot = *arena->attach();
    auto client = view(slot);
    for (int i = 0; i < 600; ++i) {
      const std::size_t offset = random() % kBytes;
      const std::size_t bytes = 1 + random() % (random() % 2 == 0 ? 2 * kBlockBytes : kMiB);
      const std::size_t end = std::min(model.size(), offset + bytes);
      switch (random() % 12) {
        case 0:
          arena->truncate(kInode, offset);
          if (offset < model.size()) model.resize(offset);
          break;
        case 1:
          arena->punch(kInode, offset, bytes);
          if (offset < end) std::memset(model.data() + offset, 0, end - offset);
          break;
        case 2:
          REQUIRE(arena->allocate(kInode, offset, bytes).has_value());
          break;
        case 3:
          if (random() % 8 == 0) {
            arena->remove(kInode);
            model.clear();
          }
          break;
        case 4:
          if (random() % 8 == 0) {
            client.reset();
            restart();
            slot = *arena->attach();
            client = view(slot);
          }
          break;
        default: {
          const auto from = random_bytes(bytes, random());
          bool done = false;
          if (random() % 2 == 0) {
            const auto part = std::min<std::size_t>(bytes, kSegmentBytes - offset % kSegmentBytes);
            if (part == bytes) {
              REQUIRE(arena->make(kInode, arena::segment_of(offset)).has_value());
              done = client_write(*client, kInode, offset, from);
            }
          }
          if (!done) write(kInode, offset, from);
          model.resize(std::max(model.size(), offset + bytes));
          std::memcpy(model.data() + offset, from.data(), bytes);
        }
      }
      Bytes got = read(kInode, 0, kBytes + 2 * kMiB);
      REQUIRE(got.size() <= model.size());  // a hole at the end is nowhere
      got.resize(model.size());
      REQUIRE(got == model);
      const auto first = arena->next_data(kInode, 0, 1ull << 40);
      const std::size_t zeros = std::min<std::size_t>(first.value_or(model.size()), model.size());
      REQUIRE(std::all_of(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(zeros),
                          [](std::byte byte) { return byte == std::byte{0}; }));
      REQUIRE(arena->used_bytes() == arena->allocated_bytes(kInode));
    }
    arena->remove(kInode);
    CHECK(arena->used_bytes() == 0);
    CHECK(arena->list(0, 10).empty());
  }

  TEST_CASE_FIXTURE(ArenaFixture,
                    "arena: data of many files are there after the process has died") {
    const auto data = random_bytes(100'000, 1);
    for (InodeId i = 1; i <= 300; ++i) write(kInode + i, i * 7919, data);
    const auto used = arena->used_bytes();
    restart();
    CHECK(arena->used_bytes() == used);
    for (InodeId i = 1; i <= 300; ++i) CHECK(read(kInode + i, i * 7919, data.size()) == data);
    std::vector<InodeId> listed;
    for (InodeId after = 0;;) {
      const auto part = arena->list(after, 17);
      if (part.empty()) break;
      listed.insert(listed.end(), part.begin(), part.end());
      after = part.back();
    }
    CHECK(listed.size() == 300);
    CHECK(std::is_sorted(listed.begin(), listed.end()));
  }

  TEST_CASE_FIXTURE(ArenaFixture, "arena: reused blocks show nothing of the file before") {
    const Bytes secret(8 * kMiB, std::byte{0x5e});
    write(kInode, 0, secret);
    const auto all = all_bytes();
    arena->remove(kInode);
    std::mt19937_64 random(5);
    for (int i = 0; i < 200; ++i) {
      write(kInode + 1, random() % (7 * kMiB), random_bytes(1 + random() % 30, random()));
      REQUIRE(
          arena->allocate(kInode + 2, random() % (7 * kMiB), 1 + random() % 30'000).has_value());
    }
    for (const InodeId inode : {kInode + 1, kInode + 2}) {
      Bytes into(8 * kMiB);
      arena->read(inode, 0, into);
      // Random data may have such a byte, but hardly three of them side by side.
      const Bytes three(3, std::byte{0x5e});
      CHECK(std::search(into.begin(), into.end(), three.begin(), three.end()) == into.end());
    }
    CHECK(all_bytes() <= all);  // no more was taken from the device
  }

  TEST_CASE_FIXTURE(ArenaFixture, "arena: what a client may be using is not used again before") {
    const auto data = random_bytes(3 * kMiB, 1);
    write(kInode, 0, data);
    const std::uint32_t slot = *arena->attach();
    auto client = view(slot);
    const auto free = arena->free_bytes();
    {
      const arena::View::Access access(*client);
      REQUIRE(access.valid());
      arena::SegmentMap* map = client->find(kInode, 1);
      REQUIRE(map != nullptr);
      arena->remove(kInode);
      CHECK(client->find(kInode, 1) == nullptr);  // new ones do not find it
      arena->reclaim();
      CHECK(arena->free_bytes() == free);
      write(kInode + 1, 0, Bytes(6 * kMiB, std::byte{1}));
      Bytes back(kMiB);
      CHECK(client->read(*map, 0, back) == kMiB);
      CHECK(std::equal(back.begin(), back.end(), data.begin() + kMiB));
    }
    arena->reclaim();
    CHECK(arena->used_bytes() == 6 * kMiB);
    arena->remove(kInode + 1);
    CHECK(arena->used_bytes() == 0);
    arena->detach(slot);
  }

  TEST_CASE_FIXTURE(ArenaFixture, "arena: what a client had taken is free when it has gone") {
    const auto one = random_bytes(100, 1);
    write(kInode, 0, one);
    const auto all = arena->free_bytes() + arena->used_bytes();
    const std::uint32_t slot = *arena->attach();
    {
      auto client = view(slot);
      REQUIRE(arena->make(kInode, 5).has_value());
      REQUIRE(client_write(*client, kInode, 5 * kMiB, one));
      CHECK(arena->free_bytes() <= all - kMiB);  // a group is his
      CHECK(arena->used_bytes() == 2 * kBlockBytes);
      // As if it died after it had put a block into a map, and before it had noted that.
      arena::Process& process = client->header().processes[slot];
      arena::SegmentMap* map = client->find(kInode, 5);
      const arena::Block block = map->blocks[0].load();
      process.free.fetch_or(arena::BlockSet{1} << block % arena::kSegmentBlocks);
      process.map = client->index_of(*map);
      process.first = block;
      process.at = 0;
      process.count = 1;
    }
    arena->detach(slot);
    CHECK(arena->free_bytes() + arena->used_bytes() == all);
    CHECK(arena->used_bytes() == 2 * kBlockBytes);
    CHECK(read(kInode, 5 * kMiB, 100) == one);
    CHECK(*arena->attach() == slot);  // and its place can be had again
  }

  TEST_CASE_FIXTURE(ArenaFixture, "arena: clients of an earlier server keep off") {
    write(kInode, 0, random_bytes(100, 1));
    auto client = view(*arena->attach());
    restart();
    const arena::View::Access access(*client);
    CHECK_FALSE(access.valid());
  }

  TEST_CASE_FIXTURE(ArenaFixture,
                    "arena: a process in the middle of an access delays what a new server frees") {
    write(kInode, 0, random_bytes(8 * kMiB, 1));
    write(kInode + 1, 0, random_bytes(100, 2));
    arena->remove(kInode);
    const std::uint32_t slot = *arena->attach();
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto mapped = arena::View::map(arena->data_fd(), ::dup(arena->index_fd()), slot);
      if (!mapped) ::_exit(1);
      const arena::View::Access access(**mapped);
      if (::write(ready[1], "x", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    REQUIRE(child > 0);
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    restart();
    CHECK(arena->free_bytes() == 0);
    arena->reclaim();
    CHECK(arena->free_bytes() == 0);
    write(kInode + 2, 0, random_bytes(100, 3));  // there is more storage
    CHECK(read(kInode + 1, 0, 100) == random_bytes(100, 2));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    arena->reclaim();
    CHECK(arena->free_bytes() >= 8 * kMiB);
    CHECK(arena->used_bytes() == 2 * kBlockBytes);
    ::close(ready[0]);
    ::close(ready[1]);
  }

  TEST_CASE_FIXTURE(ArenaFixture,
                    "arena: clients write and read while files are cut and removed: nobody sees "
                    "another file's data") {
    constexpr unsigned kClients = 3, kFiles = 4;
    constexpr int kRounds = 4'000;
    // Every word of a file is its number, and zeros are holes.
    const auto fill = [](std::span<std::byte> memory, std::uint64_t number) {
      for (std::size_t at = 0; at < memory.size(); at += 8) {
        std::memcpy(memory.data() + at, &number, 8);
      }
    };
    const auto clean = [](std::span<const std::byte> memory, std::uint64_t number) {
      for (std::size_t at = 0; at < memory.size(); at += 8) {
        std::uint64_t word;
        std::memcpy(&word, memory.data() + at, 8);
        if (word != 0 && word != number) return false;
      }
      return true;
    };
    std::vector<std::unique_ptr<arena::View>> views;
    for (unsigned i = 0; i < kClients; ++i) views.push_back(view(*arena->attach()));
    std::atomic<bool> sound{true}, stop{false};
    std::atomic<unsigned> written{0};
    std::vector<std::thread> clients;
    for (unsigned i = 0; i < kClients; ++i) {
      clients.emplace_back([&, i] {
        std::mt19937_64 random(i);
        Bytes memory(kMiB);
        while (!stop.load(std::memory_order_relaxed)) {
          const std::uint64_t file = 1 + random() % kFiles;
          const std::size_t bytes = 8 * (1 + random() % (random() % 4 == 0 ? kMiB / 8 : 4000));
          const auto within = static_cast<std::uint32_t>(random() % ((kMiB - bytes) / 8 + 1) * 8);
          const auto part = std::span(memory).first(bytes);
          const bool writes = random() % 2 == 0;
          if (writes) fill(part, file);
          const arena::View::Access access(*views[i]);
          arena::SegmentMap* map = views[i]->find(kInode + file, random() % 4);
          if (map == nullptr) continue;
          if (writes) {
            if (views[i]->write(*map, within, part) == bytes) ++written;
          } else {
            const std::size_t there = views[i]->read(*map, within, part);
            if (!clean(part.first(there), file)) sound = false;
          }
        }
      });
    }
    std::mt19937_64 random(99);
    Bytes memory(4 * kMiB);
    for (int round = 0; round < kRounds && sound; ++round) {
      const std::uint64_t file = 1 + random() % kFiles;
      const InodeId inode = kInode + file;
      const std::uint64_t at = random() % (4 * kMiB) / 8 * 8;
      switch (random() % 8) {
        case 0:
          arena->remove(inode);
          break;
        case 1:
          arena->truncate(inode, at);
          break;
        case 2:
          arena->punch(inode, at, random() % kMiB / 8 * 8);
          break;
        case 3: {
          const auto part = std::span(memory).first(8 * (1 + random() % 10'000));
          fill(part, file);
          REQUIRE(arena->write(inode, at, part).has_value());
          break;
        }
        case 4: {
          const std::size_t there = arena->read(inode, 0, memory);
          if (!clean(std::span(memory).first(there), file)) sound = false;
          break;
        }
        default:
          for (std::uint64_t segment = 0; segment < 4; ++segment) {
            REQUIRE(arena->make(inode, segment).has_value());
          }
      }
      arena->reclaim();
      if (arena->free_bytes() < 4 * kMiB) {
        const auto extent = arena->next_extent();
        if (extent) arena->added(*extent, arena->allocate_extent(*extent) == 0);
      }
      if (round % 16 == 0) std::this_thread::yield();
    }
    stop = true;
    for (auto& client : clients) client.join();
    CHECK(sound);
    CHECK(written > 100);
    for (std::uint64_t file = 1; file <= kFiles; ++file) arena->remove(kInode + file);
    arena->reclaim();
    CHECK(arena->used_bytes() == 0);
  }

  TEST_CASE_FIXTURE(ArenaFixture, "arena: full, it says so, and goes on when there is room") {
    arena.reset();
    std::filesystem::remove(dir.path() + "/arena.index");
    arena = open(32 * kMiB);
    const auto data = random_bytes(kMiB, 1);
    Status full;
    std::uint64_t written = 0;
    while (full && written < 64) {
      full = arena->write(kInode, written * kMiB, data);
      if (full) ++written;
    }
    REQUIRE_FALSE(full.has_value());
    CHECK(full.error().code == Errc::no_space);
    CHECK(written >= 30);
    CHECK(arena->allocate(kInode + 1, 0, kMiB).error().code == Errc::no_space);
    for (std::uint64_t i = 0; i < written; ++i) CHECK(read(kInode, i * kMiB, kMiB) == data);
    arena->truncate(kInode, 3 * kMiB);
    write(kInode + 1, 5 * kMiB, data);
    CHECK(read(kInode + 1, 5 * kMiB, kMiB) == data);
    CHECK(arena->used_bytes() >= 4 * kMiB);
  }

  TEST_CASE_FIXTURE(ArenaFixture, "arena: storage of what is free goes back, and comes again") {
    const auto data = random_bytes(32 * kMiB, 1);
    write(kInode, 0, data);
    write(kInode + 1, 0, random_bytes(100, 2));
    arena->remove(kInode);
    const auto storage = [&] {
      struct stat facts {};
      REQUIRE(::fstat(arena->data_fd(), &facts) == 0);
      return static_cast<std::uint64_t>(facts.st_blocks) * 512;
    };
    const auto before = storage();
    const auto extents = arena->take_surplus(8);
    CHECK(extents.size() == 8);
    CHECK(arena->give_back(extents) == 0);
    for (const auto extent : extents) arena->added(extent, false);
    CHECK(storage() == before - 16 * kMiB);
    restart();
    CHECK(read(kInode + 1, 0, 100) == random_bytes(100, 2));
    write(kInode, 0, data);
    CHECK(read(kInode, 0, data.size()) == data);
  }

  TEST_CASE_FIXTURE(ArenaFixture, "arena: an index that is none is an error, and is left alone") {
    arena.reset();
    const std::string index = dir.path() + "/arena.index";
    std::fstream(index, std::ios::in | std::ios::out | std::ios::binary) << "something else";
    const auto opened = Arena::open(dir.path(), 256 * kMiB);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::stale);
    std::filesystem::resize_file(index, 100);
    CHECK_FALSE(Arena::open(dir.path(), 256 * kMiB).has_value());
    CHECK(std::filesystem::file_size(index) == 100);
  }
}

}  // namespace
}  // namespace benchfs
