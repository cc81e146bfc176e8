// Names through real servers: create, exclusive, directories, unlink with its data, handles,
// persistence over a restart, and error texts.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include "cluster.hpp"
#include "data_files.hpp"

namespace benchfs::test {
namespace {

int try_open(benchfs_t* fs, const char* path, int flags) {
  benchfs_file_t* file = nullptr;
  const int error = benchfs_open(fs, path, flags, 0600, 0, &file);
  if (error == 0) CHECK(benchfs_close(file) == 0);
  return error;
}

TEST_SUITE("namespace") {
  TEST_CASE("names: create, exclusive create, and the errors of what is not there") {
    Cluster cluster(3);
    Session session(cluster);
    CHECK(try_open(session, "/f", O_RDWR) == -ENOENT);
    CHECK(try_open(session, "/f", O_RDWR | O_CREAT | O_EXCL) == 0);
    CHECK(try_open(session, "/f", O_RDWR | O_CREAT | O_EXCL) == -EEXIST);
    CHECK(std::string_view(benchfs_error()).find("benchfs:/f") != std::string_view::npos);
    CHECK(try_open(session, "f", O_RDWR) == 0);
    CHECK(try_open(session, "//./f", O_RDONLY | O_CREAT) == 0);
    CHECK(try_open(session, "/f/g", O_RDWR | O_CREAT) == -ENOTDIR);
    CHECK(try_open(session, "/no/g", O_RDWR | O_CREAT) == -ENOENT);
    CHECK(try_open(session, "/", O_RDONLY) == -EISDIR);
    CHECK(try_open(session, "", O_RDONLY) == -ENOENT);
    CHECK(try_open(session, ("/" + std::string(256, 'x')).c_str(), O_RDWR | O_CREAT) ==
          -ENAMETOOLONG);
    CHECK(try_open(session, ("/" + std::string(255, 'x')).c_str(), O_RDWR | O_CREAT) == 0);
    CHECK(try_open(session, "/a:b c\nd", O_RDWR | O_CREAT) == 0);
    CHECK(try_open(session, "/f", O_RDWR | O_DIRECT) == -EINVAL);
    benchfs_file_t* file = nullptr;
    CHECK(benchfs_open(session, "/g", O_RDWR | O_CREAT, 0600, 100'000, &file) == -EINVAL);
  }

  TEST_CASE("names: directories hold files, and stat tells what is what") {
    Cluster cluster(3);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0750) == 0);
    CHECK(benchfs_mkdir(session, "/d", 0750) == -EEXIST);
    REQUIRE(benchfs_mkdir(session, "/d/e", 0700) == 0);
    CHECK(benchfs_mkdir(session, "/x/e", 0700) == -ENOENT);
    CHECK(try_open(session, "/d/e/f", O_RDWR | O_CREAT) == 0);
    CHECK(try_open(session, "/d", O_RDWR) == -EISDIR);
    CHECK(benchfs_unlink(session, "/d") == -EISDIR);
    const auto directory = session.stat("/d");
    CHECK(S_ISDIR(directory.mode));
    CHECK((directory.mode & 07777) == 0750);
    CHECK(directory.chunk_bytes == 0);
    const auto file = session.stat("/d/../d/e/f");
    CHECK(S_ISREG(file.mode));
    CHECK((file.mode & 07777) == 0600);
    CHECK(file.size == 0);
    CHECK(file.uid == geteuid());
    CHECK(file.inode != directory.inode);
    CHECK(S_ISDIR(session.stat("/").mode));
  }

  TEST_CASE("names: of many sessions that create one name exclusively, one succeeds") {
    Cluster cluster(2);
    constexpr int kThreads = 6;
    for (int round = 0; round < 10; ++round) {
      const std::string path = "/once" + std::to_string(round);
      std::atomic<int> made{0};
      std::atomic<int> refused{0};
      std::vector<std::thread> threads;
      for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
          Session session(cluster);
          const int outcome = try_open(session, path.c_str(), O_RDWR | O_CREAT | O_EXCL);
          if (outcome == 0) ++made;
          if (outcome == -EEXIST) ++refused;
        });
      }
      for (auto& thread : threads) thread.join();
      CHECK(made == 1);
      CHECK(refused == kThreads - 1);
    }
  }

  TEST_CASE("names: unlink takes the data from every server, and the name can be used again") {
    Cluster cluster(3);
    Session session(cluster);
    const auto data = pattern(40 * 65536, 3);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, 65536);
    REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) > 0);
    REQUIRE(benchfs_close(file) == 0);
    const auto before = session.stat("/f").inode;
    // 2.5 MiB: three stripes, or segments, with chunks of all servers in each.
    CHECK(data_files(cluster, 3) == 9);
    REQUIRE(benchfs_unlink(session, "/f") == 0);
    CHECK(benchfs_unlink(session, "/f") == -ENOENT);
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (data_files(cluster, 3) > 0 && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    CHECK(data_files(cluster, 3) == 0);
    file = session.open("/f", O_RDWR | O_CREAT, 65536);
    char byte = 'x';
    CHECK(benchfs_pread(file, &byte, 1, 0) == 0);
    CHECK(session.stat("/f").inode != before);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("names: O_TRUNC empties a file on every server") {
    Cluster cluster(2);
    Session session(cluster);
    const auto data = pattern(10 * 65536, 4);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, 65536);
    REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) > 0);
    REQUIRE(benchfs_close(file) == 0);
    file = session.open("/f", O_RDWR | O_TRUNC);
    CHECK(session.stat("/f").size == 0);
    REQUIRE(benchfs_ftruncate(file, data.size()) == 0);
    std::vector<unsigned char> back(data.size(), 0xee);
    REQUIRE(benchfs_pread(file, back.data(), back.size(), 0) ==
            static_cast<std::int64_t>(back.size()));
    CHECK(std::all_of(back.begin(), back.end(), [](auto one) { return one == 0; }));
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE(
      "handles: a file opened once is used by other sessions, and a foreign blob is refused") {
    Cluster cluster(2);
    Session first(cluster);
    Session second(cluster);
    benchfs_file_t* file = first.open("/f", O_RDWR | O_CREAT, 65536);
    char blob[BENCHFS_HANDLE_BYTES];
    const int bytes = benchfs_export(file, blob, sizeof(blob));
    REQUIRE(bytes > 0);
    CHECK(benchfs_export(file, blob, 8) == -ERANGE);
    benchfs_file_t* same = nullptr;
    REQUIRE(benchfs_import(second, blob, static_cast<std::size_t>(bytes), O_RDWR, &same) == 0);
    CHECK(std::string_view(benchfs_path(same)) == "/f");
    CHECK(benchfs_owner(same, 7 * 65536) == benchfs_owner(file, 7 * 65536));
    REQUIRE(benchfs_pwrite(same, "abc", 3, 70'000) == 3);
    char back[3];
    REQUIRE(benchfs_pread(file, back, 3, 70'000) == 3);
    CHECK(std::memcmp(back, "abc", 3) == 0);
    CHECK(benchfs_close(same) == 0);
    CHECK(benchfs_import(second, blob, 10, O_RDWR, &same) == -EINVAL);
    Cluster elsewhere(1);
    Session stranger(elsewhere);
    CHECK(benchfs_import(stranger, blob, static_cast<std::size_t>(bytes), O_RDWR, &same) ==
          -ESTALE);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("handles: one session tells the size that the others wrote, in one message") {
    Cluster cluster(2);
    Session first(cluster);
    Session second(cluster);
    Session third(cluster);
    benchfs_file_t* file = first.open("/f", O_RDWR | O_CREAT, 65536);
    char blob[BENCHFS_HANDLE_BYTES];
    const int bytes = benchfs_export(file, blob, sizeof(blob));
    REQUIRE(bytes > 0);
    benchfs_file_t* same[2] = {};
    std::uint64_t end = 77;
    REQUIRE(benchfs_import(second, blob, static_cast<std::size_t>(bytes), O_RDWR, &same[0]) == 0);
    REQUIRE(benchfs_import(third, blob, static_cast<std::size_t>(bytes), O_RDWR, &same[1]) == 0);
    CHECK(benchfs_take_size(same[0], &end) == 0);
    CHECK(end == 77);
    REQUIRE(benchfs_pwrite(same[0], "abc", 3, 500) == 3);
    REQUIRE(benchfs_pwrite(same[0], "abc", 3, 400) == 3);
    REQUIRE(benchfs_pwrite(same[1], "abc", 3, 5) == 3);
    std::uint64_t farthest = 0;
    for (benchfs_file_t* each : same) {
      REQUIRE(benchfs_take_size(each, &end) == 1);
      farthest = std::max(farthest, end);
      CHECK(benchfs_take_size(each, &end) == 0);  // it was taken
      CHECK(benchfs_close(each) == 0);
    }
    CHECK(farthest == 503);
    CHECK(third.stat("/f").size == 0);
    benchfs_give_size(file, farthest);
    CHECK(benchfs_flush_size(file) == 0);
    CHECK(third.stat("/f").size == 503);
    benchfs_give_size(file, 9);
    CHECK(benchfs_close(file) == 0);
    CHECK(third.stat("/f").size == 503);
  }

  TEST_CASE("sync of everything: tells sizes, and asks every server") {
    Cluster cluster(2);
    Session session(cluster), other(cluster);
    CHECK(benchfs_sync_all(session) == 0);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT);
    REQUIRE(benchfs_pwrite(file, "abc", 3, 70'000) == 3);
    CHECK(benchfs_sync_all(session) == 0);
    CHECK(other.stat("/f").size == 70'003);
    CHECK(benchfs_close(file) == 0);
    cluster.stop();
    CHECK(benchfs_sync_all(session) == -EHOSTUNREACH);
    CHECK(std::string(benchfs_error()).find("sync: server s") != std::string::npos);
  }

  TEST_CASE("restart: files, sizes and data are there again") {
    Cluster cluster(3);
    const auto data = pattern(1'000'000, 5);
    std::uint64_t inode = 0;
    {
      Session session(cluster);
      REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
      benchfs_file_t* file = session.open("/d/f", O_RDWR | O_CREAT, 65536);
      REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 123) > 0);
      REQUIRE(benchfs_sync(file) == 0);
      REQUIRE(benchfs_close(file) == 0);
      inode = session.stat("/d/f").inode;
    }
    cluster.stop();
    cluster.start();
    Session session(cluster);
    CHECK(session.stat("/d/f").inode == inode);
    CHECK(session.stat("/d/f").size == data.size() + 123);
    benchfs_file_t* file = session.open("/d/f", O_RDONLY);
    std::vector<unsigned char> back(data.size());
    REQUIRE(benchfs_pread(file, back.data(), back.size(), 123) ==
            static_cast<std::int64_t>(back.size()));
    CHECK(back == data);
    CHECK(benchfs_close(file) == 0);
    benchfs_file_t* fresh = session.open("/new", O_RDWR | O_CREAT);
    CHECK(session.stat("/new").inode != inode);
    CHECK(benchfs_close(fresh) == 0);
  }

  TEST_CASE("status: every server tells of itself, and the numbers add up") {
    Cluster cluster(2);
    Session session(cluster);
    const auto data = pattern(10 * 65536, 6);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, 65536);
    REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) > 0);
    CHECK(benchfs_close(file) == 0);
    REQUIRE(benchfs_server_count(session) == 2);
    std::uint64_t written = 0;
    std::uint64_t files = 0;
    for (int i = 0; i < 2; ++i) {
      struct benchfs_server_status status {};
      REQUIRE(benchfs_server_status(session, i, &status) == 0);
      CHECK(std::string(status.id) == "s" + std::to_string(i));
      CHECK(status.capacity_bytes > 0);
      CHECK(status.requests > 0);
      written += status.written_bytes;
      files += status.files;
    }
    CHECK(written == data.size());
    CHECK(files == 1);
    struct benchfs_server_status status {};
    CHECK(benchfs_server_status(session, 2, &status) == -EINVAL);
  }
}

}  // namespace
}  // namespace benchfs::test
