// Space through real servers: what statfs says.
#include <fcntl.h>
#include <sys/statvfs.h>

#include <string>
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
    CHECK(before.block_bytes == device.f_frsize);

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
    CHECK(space_of(session).stored_bytes == 0);
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
}

}  // namespace
}  // namespace benchfs::test
