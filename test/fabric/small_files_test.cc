// Small files: how many messages they cost, and that their sizes are right all the same.
#include <fcntl.h>

#include <cstring>

#include "cluster.hpp"
#include "data_files.hpp"

namespace benchfs::test {
namespace {

constexpr std::uint64_t kChunk = 64 << 10;

/// Requests that the servers have served, without those that ask for it.
std::uint64_t requests(benchfs_t* fs) {
  std::uint64_t sum = 0;
  for (int i = 0; i < benchfs_server_count(fs); ++i) {
    struct benchfs_server_status status {};
    REQUIRE(benchfs_server_status(fs, i, &status) == 0);
    sum += status.requests - 1;  // this one
  }
  return sum;
}
/// Those since it was made.
class Requests {
 public:
  explicit Requests(benchfs_t* fs) : fs_(fs), before_(requests(fs)) {}
  std::uint64_t count() const {
    return requests(fs_) - before_ - static_cast<std::uint64_t>(benchfs_server_count(fs_));
  }

 private:
  benchfs_t* fs_;
  std::uint64_t before_;
};

TEST_SUITE("small files") {
  TEST_CASE("small files: create, write, close are two messages; open, read, close are two") {
    for (const int servers : {1, 3}) {
      CAPTURE(servers);
      Cluster cluster(servers);
      Session session(cluster);
      Session other(cluster);
      benchfs_close(session.open("/warm", O_RDWR | O_CREAT));
      REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
      for (const std::size_t bytes : {std::size_t{1}, std::size_t{3901}, std::size_t{32 << 10}}) {
        CAPTURE(bytes);
        const std::string path = "/d/" + std::to_string(bytes);
        const auto data = pattern(bytes, bytes);
        const auto count = static_cast<std::int64_t>(bytes);
        Requests writing(session);
        benchfs_file_t* file = session.open(path, O_WRONLY | O_CREAT | O_EXCL);
        REQUIRE(benchfs_pwrite(file, data.data(), bytes, 0) == count);
        CHECK(benchfs_close(file) == 0);
        CHECK(writing.count() == 2);
        CHECK(other.stat(path).size == bytes);

        std::vector<unsigned char> back(bytes + 1000, 'x');
        Requests reading(session);
        file = session.open(path, O_RDONLY);
        REQUIRE(benchfs_pread(file, back.data(), back.size(), 0) == count);  // to its end
        CHECK(benchfs_close(file) == 0);
        CHECK(reading.count() == 2);
        CHECK(std::memcmp(back.data(), data.data(), bytes) == 0);
        CHECK(back[bytes] == 'x');
      }
    }
  }

  TEST_CASE("small files: the size is known to all when the first small write returns") {
    Cluster cluster(2);
    Session writer(cluster);
    Session reader(cluster);
    benchfs_file_t* out = writer.open("/f", O_RDWR | O_CREAT, kChunk);
    REQUIRE(benchfs_pwrite(out, "hello", 5, 10) == 5);
    CHECK(reader.stat("/f").size == 15);
    // Later ones tell it when they must.
    REQUIRE(benchfs_pwrite(out, "hello", 5, 100) == 5);
    CHECK(writer.stat("/f").size == 105);
    REQUIRE(benchfs_pwrite(out, "hello", 5, 200) == 5);
    char back[300];
    CHECK(benchfs_pread(out, back, sizeof(back), 0) == 205);  // its own write, not told yet
    CHECK(benchfs_close(out) == 0);
    CHECK(reader.stat("/f").size == 205);
  }

  TEST_CASE("small files: a list that fits into one message tells its farthest end") {
    Cluster cluster(3);
    Session session(cluster);
    Session other(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    const benchfs_extent extents[] = {{5000, 3}, {10, 2}};
    const iovec memory{const_cast<char*>("abcde"), 5};
    Requests writing(session);
    REQUIRE(benchfs_write_list(file, extents, 2, &memory, 1) == 5);
    CHECK(writing.count() == 1);
    CHECK(other.stat("/f").size == 5003);
    CHECK(benchfs_close(file) == 0);
    // One that reaches beyond the first chunk does not, but at the close.
    file = session.open("/g", O_RDWR | O_CREAT, kChunk);
    const benchfs_extent far[] = {{0, 3}, {kChunk, 2}};
    REQUIRE(benchfs_write_list(file, far, 2, &memory, 1) == 5);
    CHECK(benchfs_close(file) == 0);
    CHECK(other.stat("/g").size == kChunk + 2);
  }

  TEST_CASE("small files: holes and the end of the file are told apart by the home's answer") {
    Cluster cluster(3);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    REQUIRE(benchfs_pwrite(file, "hello", 5, 0) == 5);
    REQUIRE(benchfs_ftruncate(file, 1000) == 0);
    std::vector<char> back(2000, 'x');
    CHECK(benchfs_pread(file, back.data(), back.size(), 0) == 1000);
    CHECK(std::memcmp(back.data(), "hello\0\0", 7) == 0);
    CHECK(back[999] == 0);
    CHECK(back[1000] == 'x');
    REQUIRE(benchfs_ftruncate(file, 3) == 0);
    CHECK(benchfs_pread(file, back.data(), back.size(), 0) == 3);
    REQUIRE(benchfs_ftruncate(file, 3 * kChunk) == 0);
    std::vector<char> all(4 * kChunk, 'x');
    CHECK(benchfs_pread(file, all.data(), all.size(), 0) == 3 * kChunk);
    CHECK(all[3 * kChunk - 1] == 0);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("small files: one that is removed while it is open is written, and closed") {
    Cluster cluster(1);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_WRONLY | O_CREAT);
    REQUIRE(benchfs_unlink(session, "/f") == 0);
    CHECK(benchfs_pwrite(file, "hello", 5, 0) == 5);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("small files: they are there after a restart, and gone when removed after it") {
    Cluster cluster(2);
    const auto data = pattern(3901, 1);
    {
      Session session(cluster);
      for (int i = 0; i < 20; ++i) {
        benchfs_file_t* file = session.open("/f" + std::to_string(i), O_WRONLY | O_CREAT);
        REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) == 3901);
        CHECK(benchfs_close(file) == 0);
      }
      benchfs_file_t* large = session.open("/large", O_WRONLY | O_CREAT);
      REQUIRE(benchfs_pwrite(large, data.data(), data.size(), 3 << 20) == 3901);
      CHECK(benchfs_close(large) == 0);
    }
    cluster.stop();
    cluster.start();
    Session session(cluster);
    std::vector<unsigned char> back(4000);
    for (int i = 0; i < 20; ++i) {
      benchfs_file_t* file = session.open("/f" + std::to_string(i), O_RDONLY);
      REQUIRE(benchfs_pread(file, back.data(), back.size(), 0) == 3901);
      CHECK(std::memcmp(back.data(), data.data(), data.size()) == 0);
      CHECK(benchfs_close(file) == 0);
      REQUIRE(benchfs_unlink(session, ("/f" + std::to_string(i)).c_str()) == 0);
    }
    benchfs_file_t* large = session.open("/large", O_RDONLY);
    REQUIRE(benchfs_pread(large, back.data(), back.size(), 3 << 20) == 3901);
    CHECK(std::memcmp(back.data(), data.data(), data.size()) == 0);
    CHECK(benchfs_close(large) == 0);
    REQUIRE(benchfs_unlink(session, "/large") == 0);
    cluster.stop();
    CHECK(data_files(cluster, 2) == 0);
  }
}

}  // namespace
}  // namespace benchfs::test
