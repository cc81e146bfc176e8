// Space through real servers: what statfs says.
#include <fcntl.h>
#include <sys/statvfs.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cluster.hpp"

namespace benchfs::test {
namespace {

constexpr std::uint64_t kChunk = 64 << 10;

using Space = struct benchfs_statfs;

Space space_of(benchfs_t* fs) {
  Space space{};
  const int error = benchfs_statfs(fs, &space);
  REQUIRE_MESSAGE(error == 0, benchfs_error());
  return space;
}

/// A server hears a moment later that a client has closed what it wrote itself.
bool soon_stored(benchfs_t* fs, std::uint64_t bytes) {
  for (int i = 0; i < 10'000; ++i) {
    if (space_of(fs).stored_bytes == bytes) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST_SUITE("space") {
  TEST_CASE("space: statfs says what is stored, and counts storage that servers share once") {
    Cluster cluster(2);
    Session session(cluster);
    const Space before = space_of(session);
    CHECK(before.stored_bytes == 0);
    CHECK(before.files == 0);
    struct statvfs device {};
    REQUIRE(statvfs(cluster.data_dir(0).c_str(), &device) == 0);
    CHECK(before.total_bytes == device.f_blocks * device.f_frsize);
    CHECK(before.free_bytes <= before.total_bytes);
    CHECK(before.available_bytes <= before.free_bytes);
    CHECK(before.available_bytes > 0);
    CHECK(before.free_files > 0);
    CHECK(before.block_bytes >= device.f_frsize);  // larger where the storage is memory

    const auto data = pattern(8 * kChunk, 1);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) > 0);
    REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) > 0);
    CHECK(space_of(session).stored_bytes == data.size());
    REQUIRE(benchfs_pwrite(file, data.data(), kChunk, 1 << 30) > 0);  // behind a hole
    CHECK(space_of(session).stored_bytes == data.size() + kChunk);
    CHECK(space_of(session).files == 1);
    Space one{};
    std::uint64_t stored = 0;
    for (int i = 0; i < 2; ++i) {
      REQUIRE(benchfs_server_statfs(session, i, &one) == 0);
      CHECK(one.total_bytes == before.total_bytes);
      stored += one.stored_bytes;
    }
    CHECK(stored == data.size() + kChunk);
    REQUIRE(benchfs_ftruncate(file, kChunk) == 0);
    CHECK(space_of(session).stored_bytes == kChunk);
    CHECK(benchfs_close(file) == 0);
    CHECK(benchfs_unlink(session, "/f") == 0);
    CHECK(soon_stored(session, 0));
    CHECK(benchfs_server_statfs(session, 2, &one) == -EINVAL);
    CHECK(std::string(benchfs_error()) == "statfs: no server 2 (there are 2)");
  }

  TEST_CASE("space: statfs tells which server does not answer") {
    Cluster cluster(1);
    Session session(cluster);
    Space space = space_of(session);
    cluster.stop();
    const int error = benchfs_statfs(session, &space);
    CHECK((error == -EHOSTUNREACH || error == -ETIMEDOUT || error == -ESHUTDOWN));
    CHECK(std::string(benchfs_error()).starts_with("statfs: server s0 ("));
  }

  // With max_storage; the script by_messages.sh has these without local access.

  TEST_CASE("space: what is set aside counts, and is refused beyond the limit") {
    Cluster cluster(1, [](ServerConfig& config) { config.max_storage_bytes = 8 << 20; });
    Session session(cluster);
    benchfs_file_t* file = session.open("/d", O_RDWR | O_CREAT, kChunk);
    CHECK(benchfs_fallocate(file, 0, 0, 9 << 20) == -ENOSPC);
    CHECK(std::string(benchfs_error()).starts_with("fallocate benchfs:/d: server s0 ("));
    CHECK(session.stat("/d").size == 0);
    REQUIRE(benchfs_fallocate(file, 0, 0, 6 << 20) == 0);
    CHECK(space_of(session).available_bytes <= 2 << 20);
    const auto data = pattern(3 << 20, 1);
    CHECK(benchfs_pwrite(file, data.data(), data.size(), 6 << 20) == -ENOSPC);
    CHECK(benchfs_fallocate(file, 0, 6 << 20, 3 << 20) == -ENOSPC);
    CHECK(benchfs_fallocate(file, 0, 6 << 20, 1 << 20) == 0);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("space: a write that does not fit names file and server, and changes nothing") {
    Cluster cluster(1, [](ServerConfig& config) { config.max_storage_bytes = 4 << 20; });
    Session session(cluster);
    CHECK(space_of(session).total_bytes == 4 << 20);
    const auto data = pattern(4 << 20, 1);
    benchfs_file_t* file = session.open("/d", O_RDWR | O_CREAT, kChunk);
    REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) == 4 << 20);
    CHECK(space_of(session).available_bytes == 0);
    CHECK(benchfs_pwrite(file, data.data(), 1, 4 << 20) == -ENOSPC);
    const std::string text = benchfs_error();
    CHECK(text.starts_with("write benchfs:/d: server s0 (127.0.0.1:"));
    CHECK(text.ends_with("no space left on the server's storage"));
    CHECK(benchfs_pwrite(file, data.data(), data.size(), 1 << 30) == -ENOSPC);
    std::vector<unsigned char> back(4 << 20);
    REQUIRE(benchfs_pread(file, back.data(), back.size(), 0) == 4 << 20);
    CHECK(back == data);
    CHECK(session.stat("/d").size == 4 << 20);
    // What is there may be changed; files may be made, and removed.
    for (int i = 0; i < 3; ++i) {
      CHECK(benchfs_pwrite(file, data.data(), data.size(), 0) == 4 << 20);
    }
    CHECK(benchfs_mkdir(session, "/dir", 0755) == 0);
    CHECK(benchfs_close(session.open("/dir/f", O_RDWR | O_CREAT)) == 0);
    REQUIRE(benchfs_ftruncate(file, 3 << 20) == 0);
    CHECK(benchfs_pwrite(file, data.data(), 1 << 20, 10 << 20) == 1 << 20);
    CHECK(benchfs_pwrite(file, data.data(), 1, 20 << 20) == -ENOSPC);
    CHECK(benchfs_close(file) == 0);
    CHECK(benchfs_unlink(session, "/d") == 0);
    CHECK(benchfs_unlink(session, "/dir/f") == 0);
    CHECK(benchfs_rmdir(session, "/dir") == 0);
    CHECK(soon_stored(session, 0));
    CHECK(space_of(session).available_bytes == 4 << 20);
    file = session.open("/again", O_RDWR | O_CREAT, kChunk);
    for (int i = 0; i < 5; ++i) {  // room that has just been made is there
      CHECK(benchfs_pwrite(file, data.data(), data.size(), 0) == 4 << 20);
      CHECK(benchfs_close(file) == 0);
      CHECK(benchfs_unlink(session, "/again") == 0);
      file = session.open("/again", O_RDWR | O_CREAT, kChunk);
    }
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("space: many who write until it is full end at the limit, and lose nothing") {
    constexpr std::uint64_t kLimit = 24 << 20;
    Cluster cluster(2, [](ServerConfig& config) { config.max_storage_bytes = kLimit; });
    std::vector<std::thread> writers;
    std::atomic<std::uint64_t> written{0};
    std::atomic<int> wrong{0};
    for (unsigned id = 0; id < 4; ++id) {
      writers.emplace_back([&, id] {
        benchfs_t* fs = nullptr;
        benchfs_file_t* file = nullptr;
        const std::string path = "/f" + std::to_string(id);
        if (benchfs_connect(cluster.registry().c_str(), &fs) != 0 ||
            benchfs_open(fs, path.c_str(), O_RDWR | O_CREAT, 0644, 1 << 20, &file) != 0) {
          ++wrong;
          return;
        }
        // Each piece is on one server.
        const std::size_t bytes = id % 2 == 0 ? 1 << 20 : 16384;
        std::vector<std::pair<std::uint64_t, std::vector<unsigned char>>> kept;
        int refused = 0;
        for (std::uint64_t i = 0; refused < 20 && i < 20'000; ++i) {
          const std::uint64_t offset = i << 20;
          const auto data = pattern(bytes, id + i);
          const std::int64_t done = benchfs_pwrite(file, data.data(), bytes, offset);
          if (done == static_cast<std::int64_t>(bytes)) {
            written += bytes;
            kept.emplace_back(offset, data);
          } else if (done == -ENOSPC) {
            ++refused;
          } else {
            ++wrong;
          }
        }
        if (refused != 20) ++wrong;
        std::vector<unsigned char> back(bytes);
        for (const auto& [offset, data] : kept) {
          if (benchfs_pread(file, back.data(), bytes, offset) != static_cast<std::int64_t>(bytes) ||
              back != data) {
            ++wrong;
          }
        }
        if (benchfs_close(file) != 0 || benchfs_disconnect(fs) != 0) ++wrong;
      });
    }
    for (std::thread& writer : writers) writer.join();
    CHECK(wrong == 0);
    Session session(cluster);
    const Space space = space_of(session);
    // The file system may need blocks of its own to find so many pieces.
    CHECK(written.load() <= 2 * kLimit);
    CHECK(space.stored_bytes >= written.load());
    CHECK(space.stored_bytes <= written.load() + (1 << 20));
    CHECK(space.stored_bytes > 2 * kLimit - (4 << 20));
  }

  TEST_CASE("space: a restart counts again what is stored") {
    Cluster cluster(1, [](ServerConfig& config) { config.max_storage_bytes = 2 << 20; });
    const auto data = pattern(1 << 20, 7);
    {
      Session session(cluster);
      benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT);
      REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) > 0);
      CHECK(benchfs_close(file) == 0);
    }
    cluster.stop();
    cluster.start();
    Session session(cluster);
    CHECK(space_of(session).stored_bytes == 1 << 20);
    benchfs_file_t* file = session.open("/f", O_RDWR);
    CHECK(benchfs_pwrite(file, data.data(), data.size(), 1 << 20) == 1 << 20);
    CHECK(benchfs_pwrite(file, data.data(), 1, 2 << 20) == -ENOSPC);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("space: far from the limit a client writes itself, and near it asks") {
    Cluster cluster(1, [](ServerConfig& config) { config.max_storage_bytes = 65 << 20; });
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT);
    const auto data = pattern(1 << 20, 3);
    for (std::uint64_t i = 0; i < 64; ++i) {
      REQUIRE(benchfs_pwrite(file, data.data(), data.size(), i << 20) == 1 << 20);
    }
    benchfs_pwrite(file, data.data(), data.size(), 64 << 20);  // may just fit
    CHECK(benchfs_pwrite(file, data.data(), data.size(), 65 << 20) == -ENOSPC);
    for (std::uint64_t i = 0; i < 64; i += 9) {  // overwritten on the full server
      REQUIRE(benchfs_pwrite(file, data.data(), data.size(), i << 20) == 1 << 20);
    }
    CHECK(space_of(session).stored_bytes <= 65 << 20);
    CHECK(benchfs_close(file) == 0);
  }
}

}  // namespace
}  // namespace benchfs::test
