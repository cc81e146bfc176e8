// Files that are open when they lose their last name: they can be used until the last close, or the
// end of the session, and then they go.
#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "cluster.hpp"
#include "data_files.hpp"

namespace benchfs::test {
namespace {

constexpr std::uint64_t kChunk = 64 << 10;

/// Local files of all servers that hold data.
/// Data go in the background.
bool all_data_go(const Cluster& cluster, int servers) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (data_files(cluster, servers) > 0) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}
std::uint64_t requests(benchfs_t* fs) {
  std::uint64_t sum = 0;
  for (int i = 0; i < benchfs_server_count(fs); ++i) {
    struct benchfs_server_status status {};
    REQUIRE(benchfs_server_status(fs, i, &status) == 0);
    sum += status.requests;
  }
  return sum;
}
std::uint64_t files(benchfs_t* fs) {
  struct benchfs_statfs space {};
  REQUIRE(benchfs_statfs(fs, &space) == 0);
  return space.files;
}
void check_clean(benchfs_t* fs) {
  struct benchfs_fsck_result result {};
  const auto show = [](const struct benchfs_fsck_finding* finding, void*) {
    FAIL_CHECK(finding->text);
  };
  CHECK(benchfs_fsck(fs, 0, show, nullptr, &result) == 0);
  CHECK(result.undecided == 0);
}
benchfs_file_t* written(Session& session, const std::string& path,
                        const std::vector<unsigned char>& data) {
  benchfs_file_t* file = session.open(path, O_RDWR | O_CREAT, kChunk);
  const auto bytes = static_cast<std::int64_t>(data.size());
  REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) == bytes);
  return file;
}
void check_content(benchfs_file_t* file, const std::vector<unsigned char>& data) {
  std::vector<unsigned char> back(data.size() + 100, 'x');
  CHECK(benchfs_pread(file, back.data(), back.size(), 0) == static_cast<std::int64_t>(data.size()));
  CHECK(std::memcmp(back.data(), data.data(), data.size()) == 0);
}

TEST_SUITE("orphans") {
  TEST_CASE("orphans: an open file without a name is read, written, cut and synced as ever") {
    for (const int servers : {1, 3}) {
      CAPTURE(servers);
      Cluster cluster(servers);
      Session session(cluster);
      Session other(cluster);
      auto data = pattern(9 * kChunk + 77, 3);
      benchfs_file_t* file = written(session, "/f", data);
      benchfs_file_t* reader = other.open("/f", O_RDONLY);
      REQUIRE(benchfs_sync(file) == 0);
      // The holder removes it, or another one.
      REQUIRE(benchfs_unlink(servers == 1 ? session : other, "/f") == 0);
      struct benchfs_stat st {};
      CHECK(benchfs_stat(session, "/f", &st) == -ENOENT);
      REQUIRE(benchfs_fstat(file, &st) == 0);
      CHECK(st.nlink == 0);
      CHECK(st.size == data.size());
      check_content(file, data);
      check_content(reader, data);
      check_clean(other);

      const auto more = pattern(5000, 4);
      REQUIRE(benchfs_pwrite(file, more.data(), more.size(), data.size()) == 5000);
      data.insert(data.end(), more.begin(), more.end());
      REQUIRE(benchfs_sync(file) == 0);
      check_content(reader, data);
      data.resize(7 * kChunk + 5);
      REQUIRE(benchfs_ftruncate(file, data.size()) == 0);
      check_content(reader, data);
      REQUIRE(benchfs_fallocate(file, 0, 0, data.size() + 1000) == 0);
      data.resize(data.size() + 1000);
      check_content(file, data);
      REQUIRE(benchfs_fchmod(file, 0400) == 0);
      REQUIRE(benchfs_fstat(reader, &st) == 0);
      CHECK((st.mode & 07777) == 0400);
      CHECK(benchfs_lseek(file, 0, SEEK_END) == static_cast<std::int64_t>(data.size()));

      // The name is free for another file.
      benchfs_file_t* second = written(other, "/f", pattern(100, 5));
      CHECK(benchfs_close(second) == 0);
      check_content(file, data);
      REQUIRE(benchfs_unlink(other, "/f") == 0);

      CHECK(files(session) == 1);
      CHECK(benchfs_close(file) == 0);
      check_content(reader, data);
      CHECK(data_files(cluster, servers) > 0);
      CHECK(benchfs_close(reader) == 0);
      CHECK(all_data_go(cluster, servers));
      CHECK(files(session) == 0);
      check_clean(session);
    }
  }

  TEST_CASE("orphans: data that is written to other servers only afterwards goes as well") {
    Cluster cluster(3);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    REQUIRE(benchfs_unlink(session, "/f") == 0);
    const auto data = pattern(12 * kChunk, 1);
    REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) == 12 * kChunk);
    check_content(file, data);
    CHECK(data_files(cluster, 3) >= 3);
    CHECK(benchfs_close(file) == 0);
    CHECK(all_data_go(cluster, 3));
  }

  TEST_CASE("orphans: a file that a rename has replaced, and one that has another home than name") {
    Cluster cluster(3);
    Session session(cluster);
    Session other(cluster);
    for (int i = 0; i < 12; ++i) {  // servers of the entry and of the inode: all pairs
      CAPTURE(i);
      const auto data = pattern(3 * kChunk, static_cast<std::uint64_t>(i));
      const std::string name = "/f" + std::to_string(i);
      const std::string moved = "/moved" + std::to_string(i);
      CHECK(benchfs_close(written(session, name, data)) == 0);
      REQUIRE(benchfs_rename(session, name.c_str(), moved.c_str(), 0) == 0);
      benchfs_file_t* file = session.open(moved, O_RDONLY);
      benchfs_file_t* next = written(other, "/next", pattern(10, 1));
      CHECK(benchfs_close(next) == 0);
      if (i % 2 == 0) {
        REQUIRE(benchfs_rename(other, "/next", moved.c_str(), 0) == 0);
        CHECK(other.stat(moved).size == 10);
      }
      REQUIRE(benchfs_unlink(other, moved.c_str()) == 0);
      if (i % 2 != 0) REQUIRE(benchfs_unlink(other, "/next") == 0);
      check_content(file, data);
      CHECK(benchfs_close(file) == 0);
    }
    CHECK(all_data_go(cluster, 3));
    check_clean(session);
  }

  TEST_CASE("orphans: with several names and several opens it goes with the last of both") {
    Cluster cluster(2);
    Session session(cluster);
    const auto data = pattern(2 * kChunk, 8);
    benchfs_file_t* first = written(session, "/a", data);
    REQUIRE(benchfs_link(session, "/a", "/b") == 0);
    benchfs_file_t* second = session.open("/b", O_RDONLY);
    REQUIRE(benchfs_unlink(session, "/a") == 0);
    CHECK(benchfs_close(first) == 0);
    REQUIRE(benchfs_unlink(session, "/b") == 0);
    check_content(second, data);
    benchfs_file_t* third = nullptr;
    CHECK(benchfs_open(session, "/b", O_RDONLY, 0, 0, &third) == -ENOENT);
    CHECK(benchfs_link(session, "/b", "/c") == -ENOENT);
    CHECK(benchfs_close(second) == 0);
    CHECK(all_data_go(cluster, 2));
    // Opened, closed and then removed: nothing is left that somebody would have to close.
    first = written(session, "/a", pattern(100, 1));
    CHECK(benchfs_close(first) == 0);
    REQUIRE(benchfs_unlink(session, "/a") == 0);
    CHECK(all_data_go(cluster, 2));
  }

  TEST_CASE("orphans: an open keeps the file also for those that have imported it") {
    Cluster cluster(2);
    Session session(cluster);
    Session other(cluster);
    const auto data = pattern(4 * kChunk, 2);
    benchfs_file_t* file = written(session, "/f", data);
    REQUIRE(benchfs_sync(file) == 0);
    char handle[BENCHFS_HANDLE_BYTES];
    const int bytes = benchfs_export(file, handle, sizeof(handle));
    REQUIRE(bytes > 0);
    benchfs_file_t* same = nullptr;
    const auto size = static_cast<std::size_t>(bytes);
    REQUIRE(benchfs_import(other, handle, size, O_RDWR, &same) == 0);
    REQUIRE(benchfs_unlink(other, "/f") == 0);
    check_content(same, data);
    REQUIRE(benchfs_pwrite(same, "x", 1, data.size()) == 1);
    CHECK(benchfs_close(file) == 0);
    CHECK(benchfs_close(same) == 0);  // what it wrote last is nobody's loss
    CHECK(all_data_go(cluster, 2));
    // Too late: there is no such file any more.
    REQUIRE(benchfs_import(other, handle, size, O_RDWR, &same) == 0);
    char byte = 0;
    CHECK(benchfs_pread(same, &byte, 1, 0) == -ESTALE);
    CHECK(std::strstr(benchfs_error(), "no name any more") != nullptr);
    struct benchfs_stat st {};
    CHECK(benchfs_fstat(same, &st) == -ESTALE);
    CHECK(benchfs_ftruncate(same, 0) == -ESTALE);
    CHECK(benchfs_close(same) == 0);
  }

  TEST_CASE("orphans: who tells the size of others takes back what they wrote too late") {
    Cluster cluster(3);
    Session session(cluster);
    Session other(cluster);
    benchfs_file_t* file = written(session, "/f", pattern(100, 2));
    char handle[BENCHFS_HANDLE_BYTES];
    const int bytes = benchfs_export(file, handle, sizeof(handle));
    REQUIRE(bytes > 0);
    const auto size = static_cast<std::size_t>(bytes);
    benchfs_file_t* teller = nullptr;
    benchfs_file_t* writer = nullptr;
    REQUIRE(benchfs_import(session, handle, size, O_RDWR, &teller) == 0);
    REQUIRE(benchfs_import(other, handle, size, O_RDWR, &writer) == 0);
    REQUIRE(benchfs_unlink(session, "/f") == 0);
    CHECK(benchfs_close(file) == 0);
    REQUIRE(all_data_go(cluster, 3));
    // Servers take data of a file that they have not heard of.
    for (std::uint64_t chunk = 0; chunk < 9; ++chunk)
      benchfs_pwrite(writer, "too late", 8, chunk * kChunk);
    REQUIRE(data_files(cluster, 3) > 1);
    std::uint64_t end = 0;
    REQUIRE(benchfs_take_size(writer, &end) == 1);
    CHECK(end >= 8);
    CHECK(benchfs_close(writer) == 0);
    benchfs_give_size(teller, end);
    CHECK(benchfs_close(teller) == 0);
    CHECK(all_data_go(cluster, 3));
  }

  TEST_CASE("orphans: a restart of the servers collects what was open; the session hears of it") {
    Cluster cluster(2);
    auto session = std::make_unique<Session>(cluster);
    benchfs_file_t* file = written(*session, "/f", pattern(6 * kChunk, 2));
    benchfs_file_t* named = written(*session, "/named", pattern(100, 2));
    REQUIRE(benchfs_unlink(*session, "/f") == 0);
    REQUIRE(benchfs_flush_size(named) == 0);
    cluster.stop();
    cluster.start();
    char byte = 0;
    const std::int64_t got = benchfs_pread(file, &byte, 1, 0);
    CHECK((got == -EHOSTUNREACH || got == -ESTALE));
    benchfs_close(file);
    benchfs_close(named);
    Session fresh(cluster);
    CHECK(files(fresh) == 1);
    check_clean(fresh);
    REQUIRE(benchfs_unlink(fresh, "/named") == 0);
    CHECK(all_data_go(cluster, 2));
  }

  TEST_CASE("orphans: closes of small files are told by the way, and large ones at once") {
    Cluster cluster(1);
    Session session(cluster);
    Session other(cluster);
    benchfs_close(session.open("/warm", O_RDWR | O_CREAT));
    const auto data = pattern(3901, 1);
    const std::uint64_t before = requests(session);
    constexpr int kFiles = 640;
    for (int i = 0; i < kFiles; ++i) {
      benchfs_file_t* file = written(session, "/f" + std::to_string(i), data);
      CHECK(benchfs_close(file) == 0);
    }
    const std::uint64_t asked = requests(session) - before;
    CHECK(asked >= 2 * kFiles);
    CHECK(asked <= 2 * kFiles + kFiles / 64 + 10);
    // What others remove of it meanwhile takes room until it is told; a look at the room tells it.
    for (int i = 0; i < kFiles; ++i) {
      REQUIRE(benchfs_unlink(other, ("/f" + std::to_string(i)).c_str()) == 0);
    }
    CHECK(files(session) <= 1 + 64);
    CHECK(all_data_go(cluster, 1));
    CHECK(files(other) == 1);
    // One that has become large since the open, too, if that was seen.
    benchfs_file_t* file = session.open("/grown", O_RDONLY | O_CREAT);
    const auto large = pattern(2 * kChunk, 1);
    CHECK(benchfs_close(written(other, "/grown", large)) == 0);
    check_content(file, large);
    CHECK(benchfs_close(file) == 0);
    REQUIRE(benchfs_unlink(other, "/grown") == 0);
    CHECK(all_data_go(cluster, 1));
    CHECK(benchfs_close(written(session, "/large", large)) == 0);
    REQUIRE(benchfs_unlink(other, "/large") == 0);
    CHECK(all_data_go(cluster, 1));
  }
}

}  // namespace
}  // namespace benchfs::test
