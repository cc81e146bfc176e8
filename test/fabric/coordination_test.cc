// Locks and shared file pointers between sessions.
#include <fcntl.h>

#include <atomic>
#include <thread>
#include <vector>

#include "cluster.hpp"

namespace benchfs::test {
namespace {

TEST_SUITE("coordination") {
  TEST_CASE("locks: an exclusive lock makes a read-modify-write of many sessions safe") {
    Cluster cluster(2);
    constexpr int kThreads = 4;
    constexpr int kRounds = 50;
    {
      Session session(cluster);
      benchfs_file_t* file = session.open("/counter", O_RDWR | O_CREAT);
      const std::int64_t zero = 0;
      REQUIRE(benchfs_pwrite(file, &zero, sizeof(zero), 0) == sizeof(zero));
      REQUIRE(benchfs_close(file) == 0);
    }
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        Session session(cluster);
        benchfs_file_t* file = session.open("/counter", O_RDWR);
        for (int i = 0; i < kRounds; ++i) {
          std::uint64_t token = 0;
          REQUIRE(benchfs_lock(file, 0, 8, BENCHFS_LOCK_EXCLUSIVE, &token) == 0);
          std::int64_t value = 0;
          REQUIRE(benchfs_pread(file, &value, sizeof(value), 0) == sizeof(value));
          ++value;
          REQUIRE(benchfs_pwrite(file, &value, sizeof(value), 0) == sizeof(value));
          REQUIRE(benchfs_unlock(file, token) == 0);
        }
        REQUIRE(benchfs_close(file) == 0);
      });
    }
    for (auto& thread : threads) thread.join();
    Session session(cluster);
    benchfs_file_t* file = session.open("/counter", O_RDONLY);
    std::int64_t value = 0;
    REQUIRE(benchfs_pread(file, &value, sizeof(value), 0) == sizeof(value));
    CHECK(value == kThreads * kRounds);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE(
      "locks: a session that ends frees its locks; more waits than credits do not block a "
      "release") {
    Cluster cluster(1);
    Session waiter(cluster);
    benchfs_file_t* file = waiter.open("/f", O_RDWR | O_CREAT);
    std::vector<benchfs_request_t*> waits(40);
    std::vector<std::uint64_t> tokens(waits.size());
    std::uint64_t own = 0;
    {
      Session holder(cluster);
      benchfs_file_t* same = holder.open("/f", O_RDWR);
      std::uint64_t token = 0;
      REQUIRE(benchfs_lock(same, 0, 0, BENCHFS_LOCK_EXCLUSIVE, &token) == 0);
      for (std::size_t i = 0; i < waits.size(); ++i) {
        REQUIRE(benchfs_lock_start(file, i, 1, BENCHFS_LOCK_SHARED, &tokens[i], &waits[i]) == 0);
      }
      std::int64_t result = 0;
      CHECK(benchfs_test(waits[0], &result) == 0);
      char byte = 'x';  // other calls go on meanwhile
      CHECK(benchfs_pwrite(file, &byte, 1, 0) == 1);
      REQUIRE(benchfs_close(same) == 0);
    }
    for (benchfs_request_t* wait : waits) CHECK(benchfs_wait(wait) == 0);
    for (const std::uint64_t token : tokens) CHECK(benchfs_unlock(file, token) == 0);
    CHECK(benchfs_lock(file, 0, 0, BENCHFS_LOCK_EXCLUSIVE, &own) == 0);
    CHECK(benchfs_unlock(file, own) == 0);
    CHECK(benchfs_unlock(file, own) == 0);  // of a lock that is gone: nothing to do
    CHECK(benchfs_lock(file, 0, 1, 7, &own) == -EINVAL);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("pointers: fetch-and-add gives every caller a place of its own") {
    Cluster cluster(2);
    constexpr int kThreads = 4;
    constexpr int kRounds = 100;
    std::vector<std::atomic<int>> taken(kThreads * kRounds);
    std::vector<std::thread> threads;
    {
      Session session(cluster);
      REQUIRE(benchfs_close(session.open("/f", O_RDWR | O_CREAT)) == 0);
    }
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        Session session(cluster);
        benchfs_file_t* file = session.open("/f", O_RDWR);
        for (int i = 0; i < kRounds; ++i) {
          std::int64_t before = -1;
          REQUIRE(benchfs_pointer_add(file, 42, 1, &before) == 0);
          ++taken[static_cast<std::size_t>(before)];
        }
        REQUIRE(benchfs_close(file) == 0);
      });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& count : taken) CHECK(count == 1);

    Session session(cluster);
    benchfs_file_t* file = session.open("/f", O_RDWR);
    std::int64_t before = -1;
    CHECK(benchfs_pointer_add(file, 43, 5, &before) == 0);
    CHECK(before == 0);
    CHECK(benchfs_pointer_add(file, 43, -6, &before) == -ERANGE);
    CHECK(benchfs_pointer_set(file, 43, 100) == 0);
    CHECK(benchfs_pointer_add(file, 43, 0, &before) == 0);
    CHECK(before == 100);
    CHECK(benchfs_pointer_forget(file, 43) == 0);
    CHECK(benchfs_pointer_add(file, 43, 0, &before) == 0);
    CHECK(before == 0);
    CHECK(benchfs_close(file) == 0);
  }
}

}  // namespace
}  // namespace benchfs::test
