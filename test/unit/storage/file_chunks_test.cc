// Chunk stores with local files, in every mode: what is written is read, holes are zeros, errors
// keep their cause, and nothing outside of the data directory is touched.
#include "storage/file_chunks.hpp"
#include "storage/chunk_store.hpp"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "storage/buffer_pool.hpp"
#include "storage/loop_fixture.hpp"

namespace benchfs {
namespace {

using testing::LoopFixture;
using testing::random_bytes;
using testing::TempDir;

constexpr InodeId kInode = make_inode(17, 42);
constexpr IoMode kModes[] = {IoMode::automatic, IoMode::ring, IoMode::direct, IoMode::plain};
const char* name_of(IoMode mode) {
  return EnumNames<IoMode>::kNames[static_cast<std::size_t>(mode)].data();
}

struct StoreFixture : LoopFixture {
  std::unique_ptr<ChunkStore> store;

  void open(IoMode mode, const std::string& data_dir, std::size_t files_max = 64) {
    auto made = ChunkStore::create(
        {.data_dir = data_dir, .io_mode = mode, .open_files_max = files_max}, ring.get(), *offload);
    REQUIRE(made.has_value());
    store = std::move(*made);
  }
  void open(IoMode mode, std::size_t files_max = 64) { open(mode, dir.path(), files_max); }
  void close() {
    if (store) run(store->close());
    store.reset();
  }
  ~StoreFixture() { close(); }

  Status write(InodeId inode, std::uint64_t offset, std::span<const std::byte> data) {
    return run(store->write(inode, offset, data));
  }
  std::vector<std::byte> read(InodeId inode, std::uint64_t offset, std::size_t bytes) {
    std::vector<std::byte> into(bytes, std::byte{0xee});
    const auto count = run(store->read(inode, offset, into));
    REQUIRE(count.has_value());
    into.resize(*count);
    return into;
  }
  std::string path(InodeId inode) { return dir.path() + "/" + FileChunks::path_of(inode); }
};

/// Runs `test` with the file-size limit lowered; a write beyond it then fails with EFBIG.
template <class F>
void with_file_size_limit(rlim_t bytes, F test) {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  rlimit lowered = before;
  lowered.rlim_cur = bytes;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &lowered) == 0);
  test();
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
}

TEST_SUITE("chunk store") {
  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: in every mode, random reads see the writes before them") {
    constexpr std::size_t kBytes = 300'000;
    for (const IoMode mode : kModes) {
      CAPTURE(name_of(mode));
      const TempDir own(dir.path());
      open(mode, own.path());
      auto pool = *BufferPool::create(4u << 20, 1u << 20);
      auto lease = run(pool->acquire(1u << 20));
      std::mt19937_64 random(7);
      std::vector<std::byte> model;
      for (int i = 0; i < 300; ++i) {
        // Aligned ones in all respects among them, so that O_DIRECT has its part.
        const bool aligned = random() % 2 == 0;
        const std::size_t unit = aligned ? 4096 : 1;
        const std::size_t offset = random() % kBytes / unit * unit;
        const std::size_t bytes = std::max<std::size_t>(random() % 40'000 / unit * unit, 1);
        const auto memory = lease.bytes().subspan(aligned ? 0 : random() % 5000, bytes);
        if (random() % 2 == 0) {
          const auto data = random_bytes(bytes, random());
          std::copy(data.begin(), data.end(), memory.begin());
          REQUIRE(write(kInode, offset, memory).has_value());
          if (model.size() < offset + bytes) model.resize(offset + bytes);
          std::copy(data.begin(), data.end(), model.begin() + static_cast<std::ptrdiff_t>(offset));
        } else {
          std::fill(memory.begin(), memory.end(), std::byte{0xee});
          const auto count = run(store->read(kInode, offset, memory));
          REQUIRE(count.has_value());
          const std::size_t exist = offset < model.size() ? model.size() - offset : 0;
          REQUIRE(*count == std::min(bytes, exist));
          REQUIRE(std::equal(memory.begin(), memory.begin() + static_cast<std::ptrdiff_t>(*count),
                             model.begin() + static_cast<std::ptrdiff_t>(offset)));
        }
      }
      lease.release();
      close();
    }
  }

  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: many unaligned neighbours written at once stay whole") {
    for (const IoMode mode : kModes) {
      CAPTURE(name_of(mode));
      const TempDir own(dir.path());
      open(mode, own.path());
      auto pool = *BufferPool::create(8u << 20, 1u << 20);
      constexpr std::size_t kPart = 10'000, kParts = 100;
      auto lease = run(pool->acquire(kPart * kParts));
      const auto data = random_bytes(kPart * kParts, 3);
      const auto memory = lease.first(data.size());
      std::copy(data.begin(), data.end(), memory.begin());
      std::vector<Task<Status>> writes;
      for (std::size_t i = 0; i < kParts; ++i) {
        const std::size_t part = (i * 37) % kParts;
        writes.push_back(store->write(kInode, part * kPart, memory.subspan(part * kPart, kPart)));
      }
      loop->run_until([&] {
        return std::all_of(writes.begin(), writes.end(), [](auto& w) { return w.done(); });
      });
      for (auto& each : writes) CHECK(each.take().has_value());
      CHECK(read(kInode, 0, data.size() + 10) == data);
      lease.release();
      close();
    }
  }

  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: a file without data here reads as nothing and is not made") {
    open(IoMode::automatic);
    CHECK(read(kInode, 0, 100).empty());
    CHECK_FALSE(std::filesystem::exists(path(kInode)));
    CHECK(run(store->sync(kInode)).has_value());
    CHECK(run(store->truncate(kInode, 0)).has_value());
    CHECK(run(store->remove(kInode)).has_value());
  }

  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: a read is short where the data ends, and a hole is zeros") {
    open(IoMode::automatic);
    const auto data = random_bytes(100, 1);
    REQUIRE(write(kInode, 1'000'000, data).has_value());
    CHECK(read(kInode, 1'000'050, 100).size() == 50);
    CHECK(read(kInode, 1'000'100, 100).empty());
    CHECK(read(kInode, 5'000'000, 100).empty());
    const auto hole = read(kInode, 500'000, 4096);
    CHECK(hole == std::vector<std::byte>(4096, std::byte{0}));
    const auto usage = *store->usage();
    CHECK(usage.stored_bytes < 100'000);  // the hole takes no room
  }

  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: truncate drops what is beyond, and adds at most zeros") {
    open(IoMode::automatic);
    const auto data = random_bytes(100'000, 1);
    REQUIRE(write(kInode, 0, data).has_value());
    CHECK(run(store->truncate(kInode, 500'000)).has_value());
    const auto longer = read(kInode, 0, 200'000);
    REQUIRE(longer.size() >= 100'000);
    CHECK(std::equal(data.begin(), data.end(), longer.begin()));
    CHECK(std::all_of(longer.begin() + 100'000, longer.end(),
                      [](auto b) { return b == std::byte{0}; }));
    CHECK(run(store->truncate(kInode, 10)).has_value());
    CHECK(read(kInode, 0, 200'000).size() == 10);
    REQUIRE(write(kInode, 50'000, std::span(data).first(1)).has_value());
    const auto again = read(kInode, 0, 50'000);
    CHECK(std::all_of(again.begin() + 10, again.end(), [](auto b) { return b == std::byte{0}; }));
  }

  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: a removed file is gone, also a big one, also an unopened one") {
    open(IoMode::automatic);
    const auto data = random_bytes(1u << 20, 1);
    const InodeId big = kInode + 1;
    REQUIRE(write(kInode, 0, data).has_value());
    for (std::uint64_t i = 0; i < 20; ++i) REQUIRE(write(big, i << 20, data).has_value());
    CHECK(store->usage()->stored_bytes >= 21u << 20);
    SUBCASE("open ones") {}
    SUBCASE("after a new start") {
      close();
      open(IoMode::automatic);
      CHECK(store->usage()->stored_bytes >= 21u << 20);
    }
    CHECK(run(store->remove(kInode)).has_value());
    CHECK(run(store->remove(big)).has_value());
    CHECK_FALSE(std::filesystem::exists(path(kInode)));
    CHECK_FALSE(std::filesystem::exists(path(big)));
    CHECK(read(kInode, 0, 100).empty());
    CHECK(store->usage()->stored_bytes == 0);
  }

  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: a write in progress survives the removal of its file") {
    open(IoMode::ring);
    const auto data = random_bytes(1u << 20, 1);
    auto writing = store->write(kInode, 0, data);
    auto removing = store->remove(kInode);
    loop->run_until([&] { return writing.done() && removing.done(); });
    CHECK(writing.take().has_value());
    CHECK(removing.take().has_value());
    CHECK(read(kInode, 0, 10).empty());
  }

  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: the limit on open files holds, and all files stay right") {
    open(IoMode::automatic, 16);
    for (std::uint64_t i = 0; i < 200; ++i)
      REQUIRE(write(make_inode(3, i), i, random_bytes(64, i)).has_value());
    CHECK(store->files()->open_files() <= 16);
    for (std::uint64_t i = 0; i < 200; ++i)
      CHECK(read(make_inode(3, i), i, 64) == random_bytes(64, i));
    CHECK(store->files()->open_files() <= 16);
  }

  TEST_CASE_FIXTURE(
      StoreFixture,
      "chunk store: across local files, writes, holes and truncates are as in one file") {
    constexpr std::size_t kBytes = 9u << 20;
    open(IoMode::plain);
    std::mt19937_64 random(11);
    std::vector<std::byte> model(kBytes);
    std::size_t size = 0;  // nothing lies beyond it
    for (int i = 0; i < 120; ++i) {
      const std::size_t offset = random() % kBytes;
      const std::size_t bytes = 1 + random() % std::min<std::size_t>(kBytes - offset, 3u << 20);
      const auto at = model.begin() + static_cast<std::ptrdiff_t>(offset);
      if (i % 10 == 9) {
        REQUIRE(run(store->truncate(kInode, offset)).has_value());
        std::fill(at, model.end(), std::byte{0});
        size = std::min(size, offset);
      } else if (i % 2 == 0) {
        const auto data = random_bytes(bytes, random());
        REQUIRE(write(kInode, offset, data).has_value());
        std::copy(data.begin(), data.end(), at);
        size = std::max(size, offset + bytes);
      } else {
        auto got = read(kInode, offset, bytes);
        got.resize(bytes, std::byte{0});  // what is not given is not there
        CHECK(std::equal(got.begin(), got.end(), at));
      }
    }
    const auto all = read(kInode, 0, kBytes);
    CHECK(all.size() == size);
  }

  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: with no descriptor left in the process it makes room") {
    open(IoMode::plain, 10'000);
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit lowered = before;
    lowered.rlim_cur = 100;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &lowered) == 0);
    bool all = true;
    for (std::uint64_t i = 0; i < 300; ++i)
      all = all && write(make_inode(3, i), 0, random_bytes(8, i)).has_value();
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK(all);
    CHECK(read(make_inode(3, 0), 0, 8) == random_bytes(8, 0));
  }

  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: a file that may not grow gives too_big, in every mode") {
    for (const IoMode mode : kModes) {
      CAPTURE(name_of(mode));
      const TempDir own(dir.path());
      open(mode, own.path());
      const auto data = random_bytes(4096, 1);
      Status refused;
      with_file_size_limit(1u << 20, [&] { refused = write(kInode, 8u << 20, data); });
      REQUIRE_FALSE(refused.has_value());
      CHECK(refused.error().code == Errc::too_big);
      close();
    }
  }

  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: full storage gives no_space, and goes on once there is room") {
    const std::string small = dir.path() + "/small";
    REQUIRE(mkdir(small.c_str(), 0700) == 0);
    if (mount("tmpfs", small.c_str(), "tmpfs", 0, "size=2m,nr_inodes=1000") != 0) {
      MESSAGE("not allowed to mount a small file system: not tried");
      return;
    }
    open(IoMode::automatic, small);
    CHECK(store->mode() == IoMode::plain);
    const auto data = random_bytes(1u << 20, 1);
    CHECK(write(kInode, 0, data).has_value());
    Status full;
    for (std::uint64_t i = 1; i < 4 && full; ++i) full = write(kInode + 1, i << 20, data);
    REQUIRE_FALSE(full.has_value());
    CHECK(full.error().code == Errc::no_space);
    CHECK(run(store->remove(kInode + 1)).has_value());
    CHECK(write(kInode + 2, 0, std::span(data).first(500'000)).has_value());
    CHECK(run(store->sync(kInode + 2)).has_value());
    close();
    umount2(small.c_str(), MNT_DETACH);
  }

  TEST_CASE_FIXTURE(StoreFixture,
                    "chunk store: sync of written, unwritten, new and evicted files") {
    for (const IoMode mode : {IoMode::ring, IoMode::plain}) {
      CAPTURE(name_of(mode));
      const TempDir own(dir.path());
      open(mode, own.path(), 16);
      const auto data = random_bytes(100'000, 1);
      REQUIRE(write(kInode, 0, data).has_value());
      CHECK(run(store->sync(kInode)).has_value());
      CHECK(run(store->sync(kInode)).has_value());
      for (std::uint64_t i = 0; i < 32; ++i) REQUIRE(write(make_inode(5, i), 0, data).has_value());
      std::vector<Task<Status>> syncs;
      for (std::uint64_t i = 0; i < 32; ++i) syncs.push_back(store->sync(make_inode(5, i)));
      loop->run_until([&] {
        return std::all_of(syncs.begin(), syncs.end(), [](auto& s) { return s.done(); });
      });
      for (auto& each : syncs) CHECK(each.take().has_value());
      REQUIRE(write(kInode, 7, data).has_value());
      CHECK(run(store->sync_all()).has_value());
      close();
    }
  }

  TEST_CASE_FIXTURE(StoreFixture, "chunk store: without a ring it moves data by system calls") {
    auto made =
        ChunkStore::create({.data_dir = dir.path(), .io_mode = IoMode::ring}, nullptr, *offload);
    REQUIRE(made.has_value());
    store = std::move(*made);
    CHECK(store->mode() == IoMode::plain);
    const auto data = random_bytes(5000, 1);
    CHECK(write(kInode, 10, data).has_value());
    CHECK(read(kInode, 10, 5000) == data);
    CHECK(run(store->sync(kInode)).has_value());
  }

  TEST_CASE_FIXTURE(StoreFixture, "chunk store: links that lead elsewhere are not followed") {
    open(IoMode::plain);
    const TempDir outside;
    const std::string secret = outside.path() + "/secret";
    std::ofstream(secret) << "not yours";
    const auto data = random_bytes(10, 1);
    SUBCASE("a link in the file's place") {
      std::filesystem::create_symlink(secret, path(kInode));
    }
    SUBCASE("a link in the folder's place") {
      const auto folder = std::filesystem::path(path(kInode)).parent_path();
      std::filesystem::remove(folder);
      std::filesystem::create_directory_symlink(outside.path(), folder);
      std::filesystem::rename(
          secret, outside.path() + "/" + std::filesystem::path(path(kInode)).filename().string());
    }
    std::vector<std::byte> into(10);
    CHECK_FALSE(write(kInode, 0, data).has_value());
    CHECK_FALSE(run(store->read(kInode, 0, into)).has_value());
    for (const auto& entry : std::filesystem::directory_iterator(outside.path())) {
      std::string text;
      std::getline(std::ifstream(entry.path()), text);
      CHECK(text == "not yours");
    }
    close();
  }

  TEST_CASE_FIXTURE(StoreFixture, "chunk store: a data directory that cannot be used is an error") {
    const std::string file = dir.path() + "/file";
    std::ofstream(file) << "x";
    const auto made = ChunkStore::create({.data_dir = file}, ring.get(), *offload);
    REQUIRE_FALSE(made.has_value());
    CHECK(made.error().code == Errc::not_directory);
    std::filesystem::create_symlink("/tmp", dir.path() + "/chunks");
    const auto linked = ChunkStore::create({.data_dir = dir.path()}, ring.get(), *offload);
    CHECK_FALSE(linked.has_value());
  }

  TEST_CASE_FIXTURE(StoreFixture, "chunk store: storage in memory is told from a device") {
    struct stat facts {};
    if (stat("/dev/shm", &facts) != 0 || access("/dev/shm", W_OK) != 0) return;
    const TempDir memory("/dev/shm");
    open(IoMode::automatic, memory.path());
    CHECK(store->mode() == IoMode::memory);
    const auto data = random_bytes(10'000, 1);
    CHECK(write(kInode, 0, data).has_value());
    CHECK(run(store->sync(kInode)).has_value());
    CHECK(read(kInode, 0, 10'000) == data);
    const auto usage = *store->usage();
    CHECK(usage.stored_bytes >= 10'000);
    CHECK(usage.capacity_bytes >= usage.free_bytes);
    close();
  }
}

}  // namespace
}  // namespace benchfs
