// The position of an open file, appends of many, open flags, access(), attributes of what is open.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "cluster.hpp"

namespace benchfs::test {
namespace {

constexpr std::uint64_t kChunk = 64 << 10;

int try_open(benchfs_t* fs, const char* path, int flags) {
  benchfs_file_t* file = nullptr;
  const int error = benchfs_open(fs, path, flags, 0644, kChunk, &file);
  if (error == 0) REQUIRE(benchfs_close(file) == 0);
  return error;
}

std::string content(benchfs_file_t* file) {
  std::string text(1 << 20, '\0');
  const std::int64_t got = benchfs_pread(file, text.data(), text.size(), 0);
  REQUIRE(got >= 0);
  text.resize(static_cast<std::size_t>(got));
  return text;
}

TEST_SUITE("position") {
  TEST_CASE("position: reads and writes go on where the last one ended, lseek moves") {
    Cluster cluster(2);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    CHECK(benchfs_write(file, "hello ", 6) == 6);
    iovec parts[] = {{const_cast<char*>("wo"), 2}, {nullptr, 0}, {const_cast<char*>("rld"), 3}};
    CHECK(benchfs_writev(file, parts, 3) == 5);
    CHECK(benchfs_lseek(file, 0, SEEK_CUR) == 11);
    char back[8] = {};
    CHECK(benchfs_read(file, back, sizeof(back)) == 0);
    CHECK(benchfs_lseek(file, 4, SEEK_SET) == 4);
    char a[3] = {}, b[3] = {};
    iovec into[] = {{a, 3}, {b, 3}};
    CHECK(benchfs_readv(file, into, 2) == 6);
    CHECK(std::string_view(a, 3) == "o w");
    CHECK(std::string_view(b, 3) == "orl");
    CHECK(benchfs_lseek(file, -3, SEEK_END) == 8);
    CHECK(benchfs_read(file, back, sizeof(back)) == 3);
    CHECK(std::string_view(back, 3) == "rld");
    // With an offset the position stays; a failed seek leaves it, too.
    CHECK(benchfs_pwritev(file, parts, 3, 2 * kChunk) == 5);
    CHECK(benchfs_preadv(file, into, 2, 0) == 6);
    CHECK(std::string_view(a, 3) == "hel");
    CHECK(benchfs_lseek(file, -12, SEEK_CUR) == -EINVAL);
    CHECK(benchfs_lseek(file, INT64_MAX, SEEK_CUR) == -EINVAL);
    CHECK(benchfs_lseek(file, INT64_MAX, SEEK_SET) == -EINVAL);
    CHECK(benchfs_lseek(file, 0, 77) == -EINVAL);
    CHECK(benchfs_lseek(file, 0, SEEK_CUR) == 11);
    // Beyond the end: a hole, once something is written.
    CHECK(benchfs_lseek(file, 3, SEEK_END) == 2 * kChunk + 8);
    CHECK(benchfs_read(file, back, sizeof(back)) == 0);
    CHECK(benchfs_write(file, "x", 1) == 1);
    CHECK(session.stat("/f").size == 2 * kChunk + 9);
    const std::int64_t end = std::int64_t{1} << 62;
    CHECK(benchfs_lseek(file, end, SEEK_SET) == end);
    CHECK(benchfs_write(file, "x", 1) == -EFBIG);
    CHECK(benchfs_read(file, back, 1) == 0);
    std::vector<iovec> many(2000, iovec{back, 1});
    CHECK(benchfs_writev(file, many.data(), 2000) == -EINVAL);
    CHECK(benchfs_preadv(file, many.data(), 2000, 0) == -EINVAL);
    CHECK(benchfs_close(file) == 0);
    file = session.open("/f", O_RDONLY);
    CHECK(benchfs_write(file, "x", 1) == -EBADF);
    CHECK(benchfs_close(file) == 0);
    file = session.open("/f", O_WRONLY);
    CHECK(benchfs_read(file, back, 1) == -EBADF);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("position: threads that share an open file share its position, each call as a whole") {
    Cluster cluster(2);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    constexpr int kThreads = 4, kRounds = 40;
    constexpr std::size_t kRecord = 5000;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        const std::string record(kRecord, static_cast<char>('a' + t));
        for (int i = 0; i < kRounds; ++i) {
          CHECK(benchfs_write(file, record.data(), kRecord) == kRecord);
        }
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(benchfs_lseek(file, 0, SEEK_CUR) == kThreads * kRounds * kRecord);
    const std::string all = content(file);
    REQUIRE(all.size() == kThreads * kRounds * kRecord);
    std::array<int, kThreads> seen{};
    for (std::size_t at = 0; at < all.size(); at += kRecord) {
      ++seen[static_cast<std::size_t>(all[at] - 'a')];
      CHECK(std::count(all.begin() + at, all.begin() + at + kRecord, all[at]) == kRecord);
    }
    for (const int count : seen) CHECK(count == kRounds);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("append: records of many sessions all arrive, whole and without gaps") {
    Cluster cluster(3);
    constexpr int kThreads = 4, kRounds = 30;
    {
      Session session(cluster);
      REQUIRE(benchfs_close(session.open("/log", O_RDWR | O_CREAT, kChunk)) == 0);
    }
    std::vector<std::thread> threads;
    std::uint64_t total = 0;
    const auto bytes_of = [](int t, int i) {
      return static_cast<std::size_t>(8 + (t * 7919 + i * 104729) % 9000);
    };
    for (int t = 0; t < kThreads; ++t) {
      for (int i = 0; i < kRounds; ++i) total += bytes_of(t, i);
      threads.emplace_back([&, t] {
        Session session(cluster);
        benchfs_file_t* file = session.open("/log", O_WRONLY | O_APPEND);
        for (int i = 0; i < kRounds; ++i) {
          std::string record(bytes_of(t, i), static_cast<char>('a' + t));
          const auto bytes = static_cast<std::uint32_t>(record.size());
          std::memcpy(record.data(), &bytes, sizeof(bytes));
          iovec parts[] = {{record.data(), 5}, {record.data() + 5, record.size() - 5}};
          CHECK(benchfs_writev(file, parts, 2) == bytes);
        }
        CHECK(benchfs_close(file) == 0);
      });
    }
    for (auto& thread : threads) thread.join();
    Session session(cluster);
    benchfs_file_t* file = session.open("/log", O_RDWR | O_APPEND);
    const std::string all = content(file);
    REQUIRE(all.size() == total);
    std::array<int, kThreads> seen{};
    for (std::size_t at = 0; at < all.size();) {
      std::uint32_t bytes = 0;
      std::memcpy(&bytes, all.data() + at, sizeof(bytes));
      REQUIRE(bytes >= 8);
      REQUIRE(at + bytes <= all.size());
      const char who = all[at + 4];
      CHECK(std::count(all.begin() + at + 4, all.begin() + at + bytes, who) == bytes - 4);
      ++seen[static_cast<std::size_t>(who - 'a')];
      at += bytes;
    }
    for (const int count : seen) CHECK(count == kRounds);
    // What the session itself wrote further behind comes first; an offset is an offset.
    const auto end = static_cast<std::int64_t>(total);
    CHECK(benchfs_pwrite(file, "12345", 5, total + 10) == 5);
    CHECK(benchfs_write(file, "end", 3) == 3);
    CHECK(benchfs_lseek(file, 0, SEEK_CUR) == end + 18);
    CHECK(benchfs_pwrite(file, "z", 1, 0) == 1);
    // What was appended does not come back after another session's truncate.
    Session other(cluster);
    CHECK(benchfs_truncate(other, "/log", 3) == 0);
    CHECK(benchfs_write(file, "!", 1) == 1);
    CHECK(benchfs_truncate(other, "/log", 2) == 0);
    CHECK(benchfs_close(file) == 0);
    CHECK(session.stat("/log").size == 2);
  }

  TEST_CASE("open: flags") {
    Cluster cluster(2);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    REQUIRE(benchfs_symlink(session, "f", "/link") == 0);
    REQUIRE(benchfs_symlink(session, "d", "/to-d") == 0);
    CHECK(try_open(session, "/f", O_RDWR | O_CREAT | O_CLOEXEC | O_LARGEFILE | O_NOATIME) == 0);
    CHECK(try_open(session, "/link", O_RDONLY | O_NOFOLLOW) == -ELOOP);
    CHECK(try_open(session, "/f", O_RDONLY | O_NOFOLLOW) == 0);
    CHECK(try_open(session, "/link", O_RDONLY) == 0);
    CHECK(try_open(session, "/link", O_WRONLY | O_CREAT | O_NOFOLLOW) == -ELOOP);
    CHECK(try_open(session, "/f", O_RDONLY | O_DIRECTORY) == -ENOTDIR);
    CHECK(try_open(session, "/none", O_RDONLY | O_DIRECTORY) == -ENOENT);
    CHECK(try_open(session, "/d", O_RDWR | O_DIRECTORY) == -EISDIR);
    CHECK(try_open(session, "/d", O_RDONLY | O_DIRECTORY | O_CREAT) == -EINVAL);
    CHECK(try_open(session, "/d", O_RDONLY) == -EISDIR);
    CHECK(try_open(session, "/to-d", O_RDONLY | O_DIRECTORY) == 0);
    CHECK(try_open(session, "/to-d", O_RDONLY | O_DIRECTORY | O_NOFOLLOW) == -ENOTDIR);
    CHECK(try_open(session, "/f", O_RDWR | O_DIRECT) == -EINVAL);
    CHECK(try_open(session, "/d", O_RDWR | O_TMPFILE) == -EINVAL);
    CHECK(try_open(session, "/f", O_RDONLY | O_PATH) == -EINVAL);
    for (const int through : {O_SYNC, O_DSYNC}) {
      benchfs_file_t* file = session.open("/f", O_RDWR | through, kChunk);
      const auto data = pattern(3 * kChunk, 1);
      const auto bytes = static_cast<std::int64_t>(data.size());
      CHECK(benchfs_write(file, data.data(), data.size()) == bytes);
      CHECK(benchfs_pwrite(file, data.data(), data.size(), 77) == bytes);
      // The size was told with it.
      Session other(cluster);
      CHECK(other.stat("/f").size == data.size() + 77);
      CHECK(benchfs_close(file) == 0);
    }
  }

  TEST_CASE("open: a directory can be looked at, changed, synced and locked, but not read") {
    Cluster cluster(3);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    benchfs_file_t* dir = session.open("/d", O_RDONLY | O_DIRECTORY);
    struct benchfs_stat st {};
    CHECK(benchfs_fstat(dir, &st) == 0);
    CHECK(S_ISDIR(st.mode));
    CHECK(st.inode == session.stat("/d").inode);
    CHECK(benchfs_fchmod(dir, 0700) == 0);
    CHECK(benchfs_futimens(dir, 1, 2) == 0);
    CHECK(session.stat("/d").mode == (S_IFDIR | 0700));
    CHECK(session.stat("/d").mtime_ns == 2);
    CHECK(benchfs_sync(dir) == 0);
    CHECK(benchfs_datasync(dir) == 0);
    char byte = 0;
    CHECK(benchfs_read(dir, &byte, 1) == -EISDIR);
    CHECK(benchfs_pread(dir, &byte, 1, 0) == -EISDIR);
    CHECK(std::string_view(benchfs_error()).find("/d") != std::string_view::npos);
    CHECK(benchfs_write(dir, &byte, 1) == -EBADF);
    CHECK(benchfs_ftruncate(dir, 0) == -EBADF);
    CHECK(benchfs_lseek(dir, 0, SEEK_SET) == -EISDIR);
    char handle[BENCHFS_HANDLE_BYTES];
    CHECK(benchfs_export(dir, handle, sizeof(handle)) == -EISDIR);
    CHECK(benchfs_disconnect(session) == -EBUSY);
    CHECK(benchfs_close(dir) == 0);
    dir = session.open("/", O_RDONLY | O_DIRECTORY);
    CHECK(benchfs_fstat(dir, &st) == 0);
    CHECK(benchfs_close(dir) == 0);
  }

  TEST_CASE("attributes: of an open file, after what it has written") {
    Cluster cluster(2);
    Session session(cluster);
    Session other(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    CHECK(benchfs_write(file, "hello", 5) == 5);
    CHECK(benchfs_fchmod(file, 04604) == 0);
    CHECK(benchfs_fchown(file, getuid(), UINT32_MAX) == 0);
    CHECK(benchfs_futimens(file, 123, BENCHFS_TIME_OMIT) == 0);
    CHECK(benchfs_futimens(file, BENCHFS_TIME_OMIT, 456) == 0);
    auto st = other.stat("/f");
    CHECK((st.mode & 0777) == 0604);
    CHECK(st.atime_ns == 123);
    CHECK(st.mtime_ns == 456);
    CHECK(st.size == 5);
    CHECK(benchfs_datasync(file) == 0);
    CHECK(benchfs_sync(file) == 0);
    CHECK(benchfs_close(file) == 0);
    CHECK(other.stat("/f").mtime_ns == 456);  // nothing was left to be told at close
    file = session.open("/f", O_RDONLY);
    CHECK(benchfs_unlink(other, "/f") == 0);
    CHECK(benchfs_fchmod(file, 0600) == 0);  // it is open still
    struct benchfs_stat nameless {};
    CHECK(benchfs_fstat(file, &nameless) == 0);
    CHECK((nameless.mode & 07777) == 0600);
    CHECK(nameless.nlink == 0);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("access: what is there may be used, but a file without x is no program") {
    Cluster cluster(2);
    Session session(cluster);
    REQUIRE(benchfs_close(session.open("/f", O_RDWR | O_CREAT)) == 0);
    REQUIRE(benchfs_mkdir(session, "/d", 0) == 0);
    REQUIRE(benchfs_symlink(session, "none", "/link") == 0);
    CHECK(benchfs_access(session, "/f", F_OK, 0) == 0);
    CHECK(benchfs_access(session, "/f", R_OK | W_OK, 0) == 0);
    CHECK(benchfs_access(session, "/f", X_OK, 0) == -EACCES);
    CHECK(benchfs_chmod(session, "/f", 0001) == 0);
    CHECK(benchfs_access(session, "/f", R_OK | W_OK | X_OK, 0) == 0);
    CHECK(benchfs_access(session, "/d", R_OK | W_OK | X_OK, 0) == 0);
    CHECK(benchfs_access(session, "/link", F_OK, 0) == -ENOENT);
    CHECK(benchfs_access(session, "/link", F_OK, BENCHFS_NOFOLLOW) == 0);
    CHECK(benchfs_access(session, "/none", F_OK, 0) == -ENOENT);
    CHECK(benchfs_access(session, "/f/g", F_OK, 0) == -ENOTDIR);
    CHECK(benchfs_access(session, "/f", 8, 0) == -EINVAL);
    CHECK(benchfs_access(session, "/f", F_OK, 2) == -EINVAL);
  }
}

}  // namespace
}  // namespace benchfs::test
