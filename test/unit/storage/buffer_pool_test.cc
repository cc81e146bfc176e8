// The buffer pool: two classes of blocks, warm ones first, waiters in the order they came.
#include "storage/buffer_pool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <set>

#include "storage/loop_fixture.hpp"

namespace benchfs {
namespace {

using testing::LoopFixture;
constexpr std::size_t kBlock = 1u << 20;

Task<void> take(BufferPool& pool, std::size_t bytes, std::vector<BufferPool::Lease>& into) {
  auto wait = pool.acquire(bytes);
  into.push_back(co_await wait);
}

Task<void> take_and_note(BufferPool& pool, int who, std::vector<int>& order,
                         std::vector<BufferPool::Lease>& into) {
  auto wait = pool.acquire(kBlock);
  BufferPool::Lease lease = co_await wait;
  order.push_back(who);
  into.push_back(std::move(lease));
}

TEST_SUITE("buffer pool") {
  TEST_CASE_FIXTURE(LoopFixture, "buffer pool: blocks are page-aligned, apart, and in the region") {
    auto pool = *BufferPool::create(4u << 20, kBlock);
    const std::size_t small = pool->available(1);
    const std::size_t large = pool->available(kBlock);
    CHECK(small == 8);
    CHECK(large == 3);
    std::vector<BufferPool::Lease> leases;
    for (std::size_t i = 0; i < small; ++i) run(take(*pool, 1, leases));
    for (std::size_t i = 0; i < large; ++i) run(take(*pool, kBlock, leases));
    std::set<std::byte*> starts;
    for (const auto& lease : leases) {
      const auto bytes = lease.bytes();
      CHECK(reinterpret_cast<std::uintptr_t>(bytes.data()) % BufferPool::kAlignment == 0);
      CHECK(bytes.data() >= pool->region().data());
      CHECK(bytes.data() + bytes.size() <= pool->region().data() + pool->region().size());
      std::memset(bytes.data(), 1, bytes.size());
      const auto after = starts.upper_bound(bytes.data());
      if (after != starts.end()) CHECK(bytes.data() + bytes.size() <= *after);
      starts.insert(bytes.data());
    }
    CHECK(starts.size() == small + large);
    CHECK(pool->available(1) == 0);
    leases.clear();
    CHECK(pool->available(1) == small);
    CHECK(pool->available(kBlock) == large);
  }

  TEST_CASE_FIXTURE(LoopFixture, "buffer pool: the block used last is given next") {
    auto pool = *BufferPool::create(4u << 20, kBlock);
    std::vector<BufferPool::Lease> leases;
    run(take(*pool, kBlock, leases));
    run(take(*pool, kBlock, leases));
    const std::byte* second = leases[1].bytes().data();
    leases.pop_back();
    run(take(*pool, kBlock, leases));
    CHECK(leases[1].bytes().data() == second);
  }

  TEST_CASE_FIXTURE(LoopFixture, "buffer pool: waiters are served in the order they came") {
    auto pool = *BufferPool::create(4u << 20, kBlock);
    std::vector<BufferPool::Lease> held, given;
    for (int i = 0; i < 3; ++i) run(take(*pool, kBlock, held));
    std::vector<int> order;
    std::vector<Task<void>> waiters;
    for (int i = 0; i < 3; ++i) waiters.push_back(take_and_note(*pool, i, order, given));
    CHECK(pool->waiting() == 3);
    held.pop_back();
    // A newcomer in the same turn finds nothing: the block has gone to the first waiter.
    waiters.push_back(take_and_note(*pool, 3, order, given));
    loop->run_until([&] { return waiters[0].done(); });
    CHECK(order == std::vector{0});
    held.clear();
    loop->run_until([&] { return waiters[2].done(); });
    CHECK(order == std::vector{0, 1, 2});
    CHECK_FALSE(waiters[3].done());
    given.erase(given.begin());
    loop->run_until([&] { return waiters[3].done(); });
    CHECK(order == std::vector{0, 1, 2, 3});
    given.clear();
    CHECK(pool->available(kBlock) == 3);
  }

  TEST_CASE_FIXTURE(LoopFixture,
                    "buffer pool: a request for a small block does not wait for large ones") {
    auto pool = *BufferPool::create(4u << 20, kBlock);
    std::vector<BufferPool::Lease> held;
    for (int i = 0; i < 3; ++i) run(take(*pool, kBlock, held));
    auto small = take(*pool, 4096, held);
    CHECK(small.done());
    CHECK(held.back().bytes().size() == BufferPool::kSmallBytes);
  }

  TEST_CASE("buffer pool: a region without room for the largest request is refused") {
    CHECK(BufferPool::create(1u << 20, kBlock).error().code == Errc::invalid);
    CHECK(BufferPool::create(0, kBlock).error().code == Errc::invalid);
    CHECK(BufferPool::create(4u << 20, 0).error().code == Errc::invalid);
  }

  TEST_CASE_FIXTURE(LoopFixture,
                    "buffer pool: registered or not, its blocks carry data through the ring") {
    auto pool = *BufferPool::create(4u << 20, kBlock);
    pool->register_with(*ring);  // may be refused by the memory-lock limit: that is only logged
    const std::string path = dir.path() + "/file";
    const int fd = open(path.c_str(), O_RDWR | O_CREAT, 0600);
    REQUIRE(fd >= 0);
    std::vector<BufferPool::Lease> leases;
    run(take(*pool, kBlock, leases));
    run(take(*pool, kBlock, leases));
    std::memset(leases[0].bytes().data(), 7, kBlock);
    struct Copy {
      static Task<std::size_t> through(Ring& ring, int file, std::span<std::byte> from,
                                       std::span<std::byte> to) {
        auto writing = ring.write(file, from, 0);
        const auto written = co_await writing;
        auto reading = ring.read(file, to, 0);
        const auto read = co_await reading;
        co_return written&& read ? *read : 0;
      }
    };
    const std::size_t moved =
        run(Copy::through(*ring, fd, leases[0].first(kBlock), leases[1].first(kBlock)));
    CHECK(moved == kBlock);
    CHECK(std::memcmp(leases[0].bytes().data(), leases[1].bytes().data(), kBlock) == 0);
    close(fd);
    leases.clear();
    ring.reset();  // before the memory that is registered with it
  }
}

}  // namespace
}  // namespace benchfs
