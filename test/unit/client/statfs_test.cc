// Space over several servers, of what each of them says.
#include "client/statfs.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

namespace benchfs {
namespace {

constexpr std::uint64_t kMi = 1 << 20;

SpaceOfServer server(std::uint64_t host, std::uint64_t device, std::uint64_t limit = 0,
                     std::uint64_t stored = 0) {
  SpaceOfServer one{host, {}};
  one.space.device = device;
  one.space.block_bytes = 4096;
  one.space.device_bytes = 1000 * kMi;
  one.space.device_free = 600 * kMi;
  one.space.device_available = 500 * kMi;
  one.space.device_files = ~0ull;
  one.space.reserve_bytes = 20 * kMi;
  one.space.limit_bytes = limit;
  one.space.stored_bytes = stored;
  one.space.room_bytes = 480 * kMi;
  if (limit != 0) one.space.room_bytes = std::min(480 * kMi, limit - stored);
  one.space.files = 3;
  return one;
}

TEST_SUITE("space") {
  TEST_CASE("space: servers on storage of their own add up") {
    const std::vector<SpaceOfServer> servers{server(1, 7), server(2, 7), server(1, 8)};
    const auto sum = sum_of(servers);
    CHECK(sum.total_bytes == 3000 * kMi);
    CHECK(sum.free_bytes == 1800 * kMi);
    CHECK(sum.available_bytes == 1440 * kMi);
    CHECK(sum.files == 9);
    CHECK(sum.free_files == 1440 * kMi / 4096);
    CHECK(sum.block_bytes == 4096);
    CHECK(sum.name_max == 255);
    CHECK(sum.path_max == 4095);
  }

  TEST_CASE("space: what servers share counts once") {
    const std::vector<SpaceOfServer> servers{server(1, 7, 0, 10 * kMi), server(1, 7, 0, 20 * kMi)};
    const auto sum = sum_of(servers);
    CHECK(sum.total_bytes == 1000 * kMi);
    CHECK(sum.free_bytes == 600 * kMi);
    CHECK(sum.available_bytes == 480 * kMi);
    CHECK(sum.stored_bytes == 30 * kMi);
  }

  TEST_CASE("space: limits count where they are lower than the storage") {
    const std::vector<SpaceOfServer> servers{server(1, 7, 100 * kMi, 60 * kMi),
                                             server(1, 7, 50 * kMi, 50 * kMi)};
    const auto sum = sum_of(servers);
    CHECK(sum.total_bytes == 150 * kMi);
    CHECK(sum.free_bytes == 40 * kMi);
    CHECK(sum.available_bytes == 40 * kMi);
    const auto large = sum_of(std::vector<SpaceOfServer>{server(1, 7, 5000 * kMi, 0)});
    CHECK(large.total_bytes == 1000 * kMi);
    CHECK(large.free_bytes == 600 * kMi);
    CHECK(large.available_bytes == 480 * kMi);
  }

  TEST_CASE("space: files end where the storage has no more for them") {
    auto few = server(1, 7);
    few.space.device_files = 17;
    CHECK(sum_of({&few, 1}).free_files == 17);
  }

  TEST_CASE("space: a server beyond its limit has nothing left") {
    auto over = server(1, 7, 10 * kMi, 30 * kMi);
    over.space.room_bytes = 0;
    const auto sum = sum_of({&over, 1});
    CHECK(sum.free_bytes == 0);
    CHECK(sum.available_bytes == 0);
  }
}

}  // namespace
}  // namespace benchfs
