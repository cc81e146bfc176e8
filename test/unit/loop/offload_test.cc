// The helper thread: order, results, and a loop that goes on or sleeps meanwhile.
#include "loop/offload.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <memory>
#include <thread>
#include <vector>

#include "base/clock.hpp"

namespace benchfs {
namespace {

struct Fixture {
  explicit Fixture(Loop::Options options = {}) {
    auto made = Loop::create(options);
    REQUIRE(made);
    loop = std::move(*made);
    offload = std::make_unique<Offload>(*loop);
  }
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Offload> offload;
};

Task<std::thread::id> thread_of(Offload& offload) {
  std::thread::id id;
  Offload::Call call = offload.run([&id] { id = std::this_thread::get_id(); });
  co_await call;
  co_return id;
}

Task<int> append(Offload& offload, std::vector<int>* list, int value) {
  Offload::Call call = offload.run([list, value] {
    if (value % 3 == 0) usleep(1'000);
    list->push_back(value);
  });
  co_await call;
  co_return value;
}

Task<void> block(Offload& offload, useconds_t us) {
  Offload::Call call = offload.run([us] { usleep(us); });
  co_await call;
}

Task<void> count_turns(Loop& loop, const Task<void>* until, int* turns) {
  while (!until->done()) {
    ++*turns;
    co_await loop.sleep_ns(1'000'000);
  }
}

TEST_SUITE("offload") {
  TEST_CASE("offload: the work runs on another thread, the coroutine goes on in the loop's") {
    Fixture f;
    const auto id = f.loop->run(thread_of(*f.offload));
    CHECK(id != std::thread::id());
    CHECK(id != std::this_thread::get_id());
  }

  TEST_CASE("offload: calls run one after the other in their order, each with its own result") {
    Fixture f;
    const Loop::Scope scope(*f.loop);
    std::vector<int> list;
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 50; ++i) tasks.push_back(append(*f.offload, &list, i));
    for (int i = 0; i < 50; ++i) CHECK(f.loop->run(std::move(tasks[i])) == i);
    std::vector<int> expected(50);
    for (int i = 0; i < 50; ++i) expected[i] = i;
    CHECK(list == expected);
  }

  TEST_CASE("offload: the loop sleeps while the work runs, and is woken by its end") {
    Fixture f({.spin_us = 20});
    timespec before{}, after{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    const std::int64_t began = now_ns();
    f.loop->run(block(*f.offload, 200'000));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    const double used = static_cast<double>(after.tv_sec - before.tv_sec) +
                        static_cast<double>(after.tv_nsec - before.tv_nsec) * 1e-9;
    CHECK(f.loop->sleeps() >= 1);
    CHECK(now_ns() - began >= 200'000'000);
    CHECK(now_ns() - began < 10'000'000'000);  // not the loop's longest sleep
    CHECK(used < 0.05);
  }

  TEST_CASE("offload: other coroutines go on meanwhile") {
    Fixture f;
    const Loop::Scope scope(*f.loop);
    Task<void> blocked = block(*f.offload, 100'000);
    int turns = 0;
    Task<void> counting = count_turns(*f.loop, &blocked, &turns);
    f.loop->run_until([&] { return counting.done(); });
    CHECK(blocked.done());
    CHECK(turns > 5);
  }

  TEST_CASE("offload: one that was never used goes away cleanly") {
    Fixture f;
    f.loop->turn();
  }
}

}  // namespace
}  // namespace benchfs
