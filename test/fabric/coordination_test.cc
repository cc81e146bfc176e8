// Locks and shared file pointers between sessions.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <string>
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

  TEST_CASE("locks: a try is answered at once, and who stands in the way is told") {
    Cluster cluster(2);
    Session holder(cluster);
    Session session(cluster);
    benchfs_file_t* held = holder.open("/f", O_RDWR | O_CREAT);
    benchfs_file_t* file = session.open("/f", O_RDWR);
    std::uint64_t first = 0, second = 0, token = 0;
    struct benchfs_lock_holder who {};
    CHECK(benchfs_lock_holder(file, 0, 0, BENCHFS_LOCK_EXCLUSIVE, &who) == 0);
    REQUIRE(benchfs_trylock(held, 100, 50, BENCHFS_LOCK_SHARED, &first) == 0);
    REQUIRE(benchfs_trylock(held, 200, 0, BENCHFS_LOCK_EXCLUSIVE, &second) == 0);
    CHECK(benchfs_trylock(file, 0, 101, BENCHFS_LOCK_EXCLUSIVE, &token) == -EWOULDBLOCK);
    const std::string text = benchfs_error();
    CHECK(text.find("/f") != text.npos);
    CHECK(text.find(std::to_string(getpid())) != text.npos);
    CHECK(benchfs_unlock(file, token) == 0);  // it was never held
    CHECK(benchfs_lock_holder(file, 149, 1, BENCHFS_LOCK_EXCLUSIVE, &who) == 1);
    CHECK(who.mode == BENCHFS_LOCK_SHARED);
    CHECK(who.on_this_host == 1);
    CHECK(who.pid == getpid());
    CHECK(who.offset == 100);
    CHECK(who.bytes == 50);
    CHECK(benchfs_lock_holder(file, 149, 1, BENCHFS_LOCK_SHARED, &who) == 0);
    CHECK(benchfs_lock_holder(file, 1000, 1, BENCHFS_LOCK_SHARED, &who) == 1);
    CHECK(who.mode == BENCHFS_LOCK_EXCLUSIVE);
    CHECK(who.bytes == 0);
    REQUIRE(benchfs_trylock(file, 149, 51, BENCHFS_LOCK_SHARED, &token) == 0);
    // A look takes nothing: the same range again, by another.
    CHECK(benchfs_unlock(held, second) == 0);
    CHECK(benchfs_lock_holder(file, 1000, 1, BENCHFS_LOCK_EXCLUSIVE, &who) == 0);
    CHECK(benchfs_trylock(held, 1000, 1, BENCHFS_LOCK_EXCLUSIVE, &second) == 0);
    // A wait for what was given by a try.
    benchfs_request_t* wait = nullptr;
    std::uint64_t waited = 0;
    REQUIRE(benchfs_lock_start(held, 160, 1, BENCHFS_LOCK_EXCLUSIVE, &waited, &wait) == 0);
    std::int64_t result = 0;
    CHECK(benchfs_test(wait, &result) == 0);
    // Nobody overtakes who waits: until its message has come the lock is free.
    std::uint64_t other = 0;
    while (benchfs_lock_holder(file, 160, 1, BENCHFS_LOCK_SHARED, &who) == 0) {
      benchfs_progress(holder);
    }
    CHECK(who.mode == BENCHFS_LOCK_EXCLUSIVE);
    CHECK(benchfs_trylock(file, 160, 1, BENCHFS_LOCK_SHARED, &other) == -EWOULDBLOCK);
    CHECK(benchfs_unlock(file, token) == 0);
    CHECK(benchfs_wait(wait) == 0);
    CHECK(benchfs_trylock(file, 0, 1, 0, &token) == -EINVAL);
    CHECK(benchfs_trylock(file, 1, std::uint64_t{1} << 62, 1, &token) == -EINVAL);
    CHECK(benchfs_close(held) == 0);
    CHECK(benchfs_close(file) == 0);
  }

  TEST_CASE("locks: flock is of the open file, apart from ranges, and ends with close") {
    Cluster cluster(2);
    Session session(cluster);
    Session other(cluster);
    benchfs_file_t* a = session.open("/f", O_RDWR | O_CREAT);
    benchfs_file_t* b = session.open("/f", O_RDONLY);
    benchfs_file_t* c = other.open("/f", O_RDONLY);
    std::uint64_t token = 0;
    REQUIRE(benchfs_trylock(c, 0, 0, BENCHFS_LOCK_EXCLUSIVE, &token) == 0);
    CHECK(benchfs_flock(a, LOCK_SH) == 0);
    CHECK(benchfs_flock(b, LOCK_SH | LOCK_NB) == 0);
    CHECK(benchfs_flock(c, LOCK_EX | LOCK_NB) == -EWOULDBLOCK);
    CHECK(benchfs_flock(a, LOCK_SH) == 0);
    CHECK(benchfs_flock(b, LOCK_UN) == 0);
    CHECK(benchfs_flock(b, LOCK_UN) == 0);
    CHECK(benchfs_flock(a, LOCK_EX | LOCK_NB) == 0);
    CHECK(benchfs_flock(b, LOCK_SH | LOCK_NB) == -EWOULDBLOCK);
    CHECK(benchfs_flock(c, LOCK_SH | LOCK_NB) == -EWOULDBLOCK);
    std::thread waiter([&] { CHECK(benchfs_flock(c, LOCK_EX) == 0); });
    CHECK(benchfs_close(a) == 0);
    waiter.join();
    CHECK(benchfs_flock(b, LOCK_EX | LOCK_NB) == -EWOULDBLOCK);
    CHECK(benchfs_flock(c, LOCK_SH) == 0);
    CHECK(benchfs_flock(b, LOCK_SH | LOCK_NB) == 0);
    // What could not be changed is given up, as flock(2) has it.
    CHECK(benchfs_flock(b, LOCK_EX | LOCK_NB) == -EWOULDBLOCK);
    CHECK(benchfs_flock(c, LOCK_EX | LOCK_NB) == 0);
    CHECK(benchfs_flock(c, 0) == -EINVAL);
    CHECK(benchfs_flock(c, LOCK_SH | LOCK_EX) == -EINVAL);
    CHECK(benchfs_close(b) == 0);
    CHECK(benchfs_close(c) == 0);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    a = session.open("/d", O_RDONLY | O_DIRECTORY);
    CHECK(benchfs_flock(a, LOCK_EX | LOCK_NB) == 0);
    CHECK(benchfs_close(a) == 0);
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
