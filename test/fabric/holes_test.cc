// Storage set aside and given back, data and holes, over several servers and with direct access.
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/hash.hpp"
#include "cluster.hpp"

namespace benchfs::test {
namespace {

constexpr std::uint64_t kChunk = 64 << 10;

std::uint64_t stored(benchfs_t* fs) {
  std::uint64_t bytes = 0;
  for (int i = 0; i < benchfs_server_count(fs); ++i) {
    struct benchfs_server_status status {};
    REQUIRE(benchfs_server_status(fs, i, &status) == 0);
    bytes += status.stored_bytes;
  }
  return bytes;
}

/// Asks until the storage of removed data is free, which happens in the background.
bool comes_down_to(benchfs_t* fs, std::uint64_t bytes) {
  for (int i = 0; i < 1000; ++i) {
    if (stored(fs) <= bytes) return true;
    usleep(10'000);
  }
  return false;
}

bool zeros(const std::vector<unsigned char>& data, std::uint64_t from, std::uint64_t to) {
  return std::all_of(data.begin() + static_cast<std::ptrdiff_t>(from),
                     data.begin() + static_cast<std::ptrdiff_t>(to),
                     [](auto byte) { return byte == 0; });
}

TEST_SUITE("holes") {
  TEST_CASE("fallocate: sets storage aside on every server, without changing what is read") {
    Cluster cluster(3);
    Session session(cluster);
    Session other(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    const auto data = pattern(1000, 1);
    REQUIRE(benchfs_pwrite(file, data.data(), 1000, 5 * kChunk) == 1000);
    const std::uint64_t before = stored(session);
    REQUIRE(benchfs_fallocate(file, BENCHFS_FALLOC_KEEP_SIZE, kChunk / 2, 100 * kChunk) == 0);
    CHECK(other.stat("/f").size == 5 * kChunk + 1000);
    CHECK(stored(session) - before >= 99 * kChunk);
    std::vector<unsigned char> back(200 * kChunk, 0xee);
    CHECK(benchfs_pread(file, back.data(), back.size(), 0) == 5 * kChunk + 1000);
    CHECK(zeros(back, 0, 5 * kChunk));
    CHECK(std::memcmp(back.data() + 5 * kChunk, data.data(), 1000) == 0);
    CHECK(back[5 * kChunk + 1000] == 0xee);
    REQUIRE(benchfs_fallocate(file, 0, 0, 100 * kChunk + 3) == 0);
    CHECK(other.stat("/f").size == 100 * kChunk + 3);
    CHECK(benchfs_pread(file, back.data(), back.size(), 0) == 100 * kChunk + 3);
    CHECK(zeros(back, 5 * kChunk + 1000, 100 * kChunk + 3));
    REQUIRE(benchfs_fallocate(file, 0, 0, 10) == 0);
    CHECK(other.stat("/f").size == 100 * kChunk + 3);
    // A truncate gives back what lies beyond, also where nothing was ever written.
    REQUIRE(benchfs_ftruncate(file, 10 * kChunk) == 0);
    CHECK(stored(session) <= before + 10 * kChunk + 3 * 4096 * 4);
    REQUIRE(benchfs_ftruncate(file, 0) == 0);
    REQUIRE(benchfs_fallocate(file, BENCHFS_FALLOC_KEEP_SIZE, 0, 50 * kChunk) == 0);
    CHECK(stored(session) >= 50 * kChunk);
    REQUIRE(benchfs_ftruncate(file, 0) == 0);
    CHECK(stored(session) == 0);
    // So does an unlink.
    REQUIRE(benchfs_fallocate(file, BENCHFS_FALLOC_KEEP_SIZE, 0, 50 * kChunk) == 0);
    REQUIRE(benchfs_close(file) == 0);
    REQUIRE(benchfs_unlink(session, "/f") == 0);
    CHECK(comes_down_to(session, 0));
  }

  TEST_CASE("fallocate: punch gives storage back and zero sets it aside, both read as zeros") {
    Cluster cluster(2);
    Session session(cluster);
    Session other(cluster);
    for (const int mode : {BENCHFS_FALLOC_PUNCH_HOLE, BENCHFS_FALLOC_ZERO_RANGE,
                           BENCHFS_FALLOC_PUNCH_HOLE | BENCHFS_FALLOC_KEEP_SIZE}) {
      CAPTURE(mode);
      benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
      benchfs_file_t* in = other.open("/f", O_RDONLY);
      const auto data = pattern(64 * kChunk, 2);
      REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) ==
              static_cast<std::int64_t>(data.size()));
      REQUIRE(benchfs_flush_size(file) == 0);
      const std::uint64_t full = stored(session);
      const auto mtime = session.stat("/f").mtime_ns;
      const std::uint64_t from = 3 * kChunk + 17, to = 60 * kChunk - 5;
      REQUIRE(benchfs_fallocate(file, mode, from, to - from) == 0);
      std::vector<unsigned char> back(data.size());
      REQUIRE(benchfs_pread(in, back.data(), back.size(), 0) ==
              static_cast<std::int64_t>(back.size()));
      CHECK(std::memcmp(back.data(), data.data(), from) == 0);
      CHECK(zeros(back, from, to));
      CHECK(std::memcmp(back.data() + to, data.data() + to, data.size() - to) == 0);
      CHECK(session.stat("/f").mtime_ns > mtime);
      if (mode == BENCHFS_FALLOC_ZERO_RANGE) {
        CHECK(stored(session) >= full);
        REQUIRE(benchfs_fallocate(file, mode, 63 * kChunk, 2 * kChunk) == 0);
        CHECK(session.stat("/f").size == 65 * kChunk);
      } else {
        CHECK(stored(session) <= full - 55 * kChunk);
        // Far more than the file has; and all of it.
        REQUIRE(benchfs_fallocate(file, mode, 0, std::uint64_t{1} << 61) == 0);
        CHECK(session.stat("/f").size == data.size());
        CHECK(stored(session) == 0);
      }
      // What was punched can be written again.
      REQUIRE(benchfs_pwrite(file, data.data(), data.size(), 0) ==
              static_cast<std::int64_t>(data.size()));
      REQUIRE(benchfs_pread(in, back.data(), back.size(), 0) ==
              static_cast<std::int64_t>(back.size()));
      CHECK(back == data);
      REQUIRE(benchfs_close(in) == 0);
      REQUIRE(benchfs_close(file) == 0);
      REQUIRE(benchfs_unlink(session, "/f") == 0);
      REQUIRE(comes_down_to(session, 0));
    }
  }

  TEST_CASE("fallocate: more than there is gives no space, and takes none") {
    Cluster cluster(2);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    for (const std::uint64_t bytes : {std::uint64_t{1} << 50, std::uint64_t{1} << 61}) {
      CHECK(benchfs_fallocate(file, 0, 0, bytes) == -ENOSPC);
      CHECK(std::string_view(benchfs_error()).find("/f: server") != std::string_view::npos);
    }
    CHECK(stored(session) == 0);
    CHECK(session.stat("/f").size == 0);
    CHECK(benchfs_fallocate(file, 0, 0, 0) == -EINVAL);
    CHECK(benchfs_fallocate(file, 0x40, 0, 1) == -EINVAL);
    CHECK(benchfs_fallocate(file, 0x12, 0, 1) == -EINVAL);
    CHECK(benchfs_fallocate(file, 0, std::uint64_t{1} << 62, 1) == -EFBIG);
    CHECK(benchfs_close(file) == 0);
    file = session.open("/f", O_RDONLY);
    CHECK(benchfs_fallocate(file, 0, 0, 1) == -EBADF);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("seek: data and holes are found across chunks and servers") {
    Cluster cluster(3);
    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    CHECK(benchfs_lseek(file, 0, SEEK_DATA) == -ENXIO);
    CHECK(benchfs_lseek(file, 0, SEEK_HOLE) == -ENXIO);
    REQUIRE(benchfs_ftruncate(file, 100 * kChunk) == 0);
    CHECK(benchfs_lseek(file, 0, SEEK_DATA) == -ENXIO);
    CHECK(benchfs_lseek(file, 12345, SEEK_HOLE) == 12345);
    CHECK(benchfs_lseek(file, 0, SEEK_CUR) == 12345);
    const auto data = pattern(40 * kChunk, 3);
    // Data in [10, 50) chunks and [70, 71).
    REQUIRE(benchfs_pwrite(file, data.data(), 40 * kChunk, 10 * kChunk) == 40 * kChunk);
    REQUIRE(benchfs_pwrite(file, data.data(), kChunk, 70 * kChunk) == kChunk);
    CHECK(benchfs_lseek(file, 0, SEEK_DATA) == 10 * kChunk);
    CHECK(benchfs_lseek(file, 0, SEEK_HOLE) == 0);
    CHECK(benchfs_lseek(file, 10 * kChunk, SEEK_HOLE) == 50 * kChunk);
    CHECK(benchfs_lseek(file, 33 * kChunk + 5, SEEK_HOLE) == 50 * kChunk);
    CHECK(benchfs_lseek(file, 33 * kChunk + 5, SEEK_DATA) == 33 * kChunk + 5);
    CHECK(benchfs_lseek(file, 50 * kChunk, SEEK_DATA) == 70 * kChunk);
    CHECK(benchfs_lseek(file, 70 * kChunk, SEEK_HOLE) == 71 * kChunk);
    CHECK(benchfs_lseek(file, 71 * kChunk, SEEK_DATA) == -ENXIO);
    CHECK(benchfs_lseek(file, 99 * kChunk, SEEK_HOLE) == 99 * kChunk);
    CHECK(benchfs_lseek(file, 100 * kChunk, SEEK_HOLE) == -ENXIO);
    CHECK(benchfs_lseek(file, 100 * kChunk, SEEK_DATA) == -ENXIO);
    CHECK(benchfs_lseek(file, -1, SEEK_DATA) == -ENXIO);
    // A hole inside of a chunk; and one of storage that was only set aside.
    REQUIRE(benchfs_fallocate(file, BENCHFS_FALLOC_PUNCH_HOLE, 20 * kChunk + 16384, 32768) == 0);
    CHECK(benchfs_lseek(file, 10 * kChunk, SEEK_HOLE) == 20 * kChunk + 16384);
    CHECK(benchfs_lseek(file, 20 * kChunk + 16384, SEEK_DATA) == 20 * kChunk + 49152);
    // To the end of the file without a hole.
    REQUIRE(benchfs_ftruncate(file, 40 * kChunk + 100) == 0);
    CHECK(benchfs_lseek(file, 21 * kChunk, SEEK_HOLE) == 40 * kChunk + 100);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("seek: walking data and holes sees all of random writes") {
    Cluster cluster(3);
    Session session(cluster);
    const std::uint64_t seed = 20261122;
    CAPTURE(seed);
    SplitMix64 random(seed);
    benchfs_file_t* file = session.open("/f", O_RDWR | O_CREAT, kChunk);
    constexpr std::uint32_t kEnd = 80 * kChunk;
    std::vector<unsigned char> model(kEnd, 0);
    REQUIRE(benchfs_ftruncate(file, kEnd) == 0);
    for (int step = 0; step < 60; ++step) {
      CAPTURE(step);
      const std::uint64_t from = random.below(kEnd - 1);
      const std::uint64_t bytes =
          1 + random.below(std::min<std::uint32_t>(kEnd - static_cast<std::uint32_t>(from),
                                                   step % 2 == 0 ? 3 * kChunk : 300'000));
      if (step % 3 == 2) {
        REQUIRE(benchfs_fallocate(
                    file, step % 2 == 0 ? BENCHFS_FALLOC_PUNCH_HOLE : BENCHFS_FALLOC_ZERO_RANGE,
                    from, std::min(bytes, kEnd - from)) == 0);
        std::fill_n(model.begin() + static_cast<std::ptrdiff_t>(from), std::min(bytes, kEnd - from),
                    0);
      } else {
        const auto data = pattern(bytes, static_cast<std::uint64_t>(step));
        REQUIRE(benchfs_pwrite(file, data.data(), bytes, from) == static_cast<std::int64_t>(bytes));
        std::copy(data.begin(), data.end(), model.begin() + static_cast<std::ptrdiff_t>(from));
      }
      if (step % 5 != 4) continue;
      std::vector<unsigned char> seen(kEnd, 0);
      std::int64_t at = 0;
      while ((at = benchfs_lseek(file, at, SEEK_DATA)) >= 0) {
        const std::int64_t end = benchfs_lseek(file, at, SEEK_HOLE);
        REQUIRE(end > at);
        REQUIRE(benchfs_pread(file, seen.data() + at, static_cast<std::size_t>(end - at),
                              static_cast<std::uint64_t>(at)) == end - at);
        at = end;
      }
      REQUIRE(at == -ENXIO);
      REQUIRE(seen == model);
    }
    CHECK(benchfs_close(file) == 0);
  }
}

}  // namespace
}  // namespace benchfs::test
