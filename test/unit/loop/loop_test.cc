// The loop: order within a turn, timers, descriptors, sleeping and being woken.
#include "loop/loop.hpp"

#include <doctest/doctest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kMs = 1'000'000;

std::unique_ptr<Loop> make_loop(Loop::Options options = {}) {
  auto loop = Loop::create(options);
  REQUIRE(loop);
  return std::move(*loop);
}

struct Pipe {
  Pipe() { REQUIRE(pipe(ends.data()) == 0); }
  ~Pipe() {
    for (const int fd : ends) {
      if (fd >= 0) close(fd);
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int reader() const { return ends[0]; }
  int writer() const { return ends[1]; }
  std::array<int, 2> ends{};
};

using Notes = std::vector<std::string>;

Task<void> note_in_turns(Loop& loop, std::string name, Notes* notes) {
  notes->push_back(name + "1");
  co_await loop.next_turn();
  notes->push_back(name + "2");
  co_await loop.next_turn();
  notes->push_back(name + "3");
}

Task<void> note_after(Loop& loop, std::int64_t ns, std::string name, Notes* notes) {
  co_await loop.sleep_ns(ns);
  notes->push_back(name);
}

Task<Status> wait_for(Loop& loop, int fd, std::uint32_t events, std::int64_t timeout_ns) {
  const Status status = co_await loop.wait_fd(fd, events, timeout_ns);
  co_return status;
}

Task<void> sleep_for(Loop& loop, std::int64_t ns) {
  co_await loop.sleep_ns(ns);
}

/// Counts how it is used; `work` polls report work.
struct CountingSource final : Source {
  bool poll() override {
    ++polls;
    if (notes != nullptr) notes->push_back("source");
    return work > 0 && work-- > 0;
  }
  bool prepare_sleep() override {
    ++prepares;
    return may_sleep;
  }
  int descriptor() const override { return fd; }
  int polls = 0, prepares = 0, work = 0, fd = -1;
  bool may_sleep = true;
  Notes* notes = nullptr;
};

double cpu_seconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

TEST_SUITE("loop") {
  TEST_CASE("loop: coroutines run in the order they were posted, one step a turn") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    Notes notes;
    Task<void> a = note_in_turns(*loop, "a", &notes);
    Task<void> b = note_in_turns(*loop, "b", &notes);
    CHECK(notes == Notes{"a1", "b1"});
    CHECK(loop->turn());
    CHECK(notes == Notes{"a1", "b1", "a2", "b2"});
    CHECK(loop->turn());
    CHECK(notes == Notes{"a1", "b1", "a2", "b2", "a3", "b3"});
    CHECK(a.done());
    CHECK(b.done());
    CHECK_FALSE(loop->turn());
  }

  TEST_CASE("loop: sources are polled before the coroutines of a turn, also when those never end") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    Notes notes;
    CountingSource source;
    source.notes = &notes;
    REQUIRE(loop->add_source(source));
    Task<void> busy = note_in_turns(*loop, "a", &notes);
    loop->turn();
    loop->turn();
    CHECK(notes == Notes{"a1", "source", "a2", "source", "a3"});
    loop->remove_source(source);
    loop->turn();
    CHECK(source.polls == 2);
  }

  TEST_CASE("loop: a source that has work is polled again without a sleep") {
    auto loop = make_loop({.spin_us = 0});
    CountingSource source;
    source.work = 10;
    REQUIRE(loop->add_source(source));
    loop->run_until([&] { return source.work == 0; });
    CHECK(source.polls == 10);
    CHECK(loop->sleeps() == 0);
    loop->remove_source(source);
  }

  TEST_CASE("loop: a source that refuses keeps the loop from sleeping") {
    auto loop = make_loop({.spin_us = 0});
    CountingSource source;
    source.may_sleep = false;
    REQUIRE(loop->add_source(source));
    loop->run_until([&] { return source.prepares >= 100; });
    CHECK(loop->sleeps() == 0);
    loop->remove_source(source);
  }

  TEST_CASE("loop: the descriptor of a source ends a sleep") {
    auto loop = make_loop({.spin_us = 0});
    Pipe pipe;
    CountingSource source;
    source.fd = pipe.reader();
    REQUIRE(loop->add_source(source));
    std::thread other([&] {
      usleep(20'000);
      REQUIRE(write(pipe.writer(), "x", 1) == 1);
    });
    int turns_after = 0;
    const std::int64_t began = now_ns();
    loop->run_until([&] { return loop->sleeps() > 0 && ++turns_after > 1; });
    other.join();
    CHECK(now_ns() - began < 10'000 * kMs);
    loop->remove_source(source);
  }

  TEST_CASE("loop: a source whose descriptor is bad is refused") {
    auto loop = make_loop();
    CountingSource source;
    source.fd = 1'000'000;
    const Status added = loop->add_source(source);
    REQUIRE_FALSE(added);
    CHECK(added.error().native == EBADF);
    loop->turn();
    CHECK(source.polls == 0);
  }

  TEST_CASE("loop: scopes nest, and each restores the loop before it") {
    CHECK(Loop::current() == nullptr);
    auto outer = make_loop();
    auto inner = make_loop();
    {
      const Loop::Scope first(*outer);
      CHECK(Loop::current() == outer.get());
      {
        const Loop::Scope second(*inner);
        CHECK(Loop::current() == inner.get());
        {
          const Loop::Scope third(*outer);
          CHECK(Loop::current() == outer.get());
        }
        CHECK(Loop::current() == inner.get());
      }
      CHECK(Loop::current() == outer.get());
      inner->turn();
      CHECK(Loop::current() == outer.get());
    }
    CHECK(Loop::current() == nullptr);
  }
}

TEST_SUITE("loop timers") {
  TEST_CASE("timers: expire in the order of their deadlines, never early") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    Notes notes;
    const std::int64_t began = now_ns();
    Task<void> late = note_after(*loop, 20 * kMs, "late", &notes);
    Task<void> soon = note_after(*loop, 2 * kMs, "soon", &notes);
    Task<void> middle = note_after(*loop, 10 * kMs, "middle", &notes);
    loop->run_until([&] { return soon.done(); });
    CHECK(now_ns() - began >= 2 * kMs);
    loop->run_until([&] { return late.done(); });
    CHECK(now_ns() - began >= 20 * kMs);
    CHECK(now_ns() - began < 5'000 * kMs);
    CHECK(notes == Notes{"soon", "middle", "late"});
    CHECK(middle.done());
  }

  TEST_CASE("timers: a sleep of no time at all goes on in the next turns") {
    auto loop = make_loop();
    loop->run(sleep_for(*loop, 0));
    loop->run(sleep_for(*loop, -5));
  }

  TEST_CASE("timers: a wait for one costs no processor") {
    auto loop = make_loop({.spin_us = 50});
    const double before = cpu_seconds();
    loop->run(sleep_for(*loop, 300 * kMs));
    CHECK(cpu_seconds() - before < 0.05);
    CHECK(loop->sleeps() >= 1);
    CHECK(loop->sleeps() < 20);
  }

  TEST_CASE("periodic: calls again and again until it is destroyed") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    int calls = 0;
    {
      const Loop::Periodic periodic(*loop, 2 * kMs, [&] { ++calls; });
      const std::int64_t began = now_ns();
      loop->run_until([&] { return calls >= 5; });
      CHECK(now_ns() - began >= 10 * kMs);
    }
    loop->run(sleep_for(*loop, 20 * kMs));
    CHECK(calls == 5);
  }

  TEST_CASE("periodic: a function that takes longer than the interval does not stop the loop") {
    auto loop = make_loop();
    int calls = 0;
    const Loop::Periodic periodic(*loop, kMs / 10, [&] {
      ++calls;
      usleep(1'000);
    });
    loop->run(sleep_for(*loop, 10 * kMs));
    CHECK(calls >= 2);
  }
}

TEST_SUITE("loop descriptors") {
  TEST_CASE("wait_fd: returns when the descriptor is readable") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    Pipe pipe;
    Task<Status> waiting = wait_for(*loop, pipe.reader(), EPOLLIN, -1);
    for (int i = 0; i < 100; ++i) loop->turn();
    CHECK_FALSE(waiting.done());
    REQUIRE(write(pipe.writer(), "x", 1) == 1);
    CHECK(loop->run(std::move(waiting)));
    // The descriptor is free for the next waiter.
    CHECK(loop->run(wait_for(*loop, pipe.reader(), EPOLLIN, 1'000 * kMs)));
  }

  TEST_CASE("wait_fd: a busy loop looks at its descriptors too") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    Pipe pipe;
    CountingSource busy;
    busy.work = 1 << 30;
    REQUIRE(loop->add_source(busy));
    Task<Status> waiting = wait_for(*loop, pipe.reader(), EPOLLIN, 5'000 * kMs);
    REQUIRE(write(pipe.writer(), "x", 1) == 1);
    CHECK(loop->run(std::move(waiting)));
    CHECK(loop->sleeps() == 0);
    loop->remove_source(busy);
  }

  TEST_CASE("wait_fd: gives up after its timeout, and leaves the descriptor free") {
    auto loop = make_loop();
    Pipe pipe;
    const std::int64_t began = now_ns();
    const Status status = loop->run(wait_for(*loop, pipe.reader(), EPOLLIN, 30 * kMs));
    REQUIRE_FALSE(status);
    CHECK(status.error().code == Errc::timed_out);
    CHECK(now_ns() - began >= 30 * kMs);
    CHECK(now_ns() - began < 5'000 * kMs);
    REQUIRE(write(pipe.writer(), "x", 1) == 1);
    CHECK(loop->run(wait_for(*loop, pipe.reader(), EPOLLIN, 1'000 * kMs)));
  }

  TEST_CASE("wait_fd: a hang-up ends the wait") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    Pipe pipe;
    Task<Status> waiting = wait_for(*loop, pipe.reader(), EPOLLIN, -1);
    loop->turn();
    close(std::exchange(pipe.ends[1], -1));
    CHECK(loop->run(std::move(waiting)));
  }

  TEST_CASE("wait_fd: a bad descriptor is an error at once") {
    auto loop = make_loop();
    const Status status = loop->run(wait_for(*loop, 1'000'000, EPOLLIN, -1));
    REQUIRE_FALSE(status);
    CHECK(status.error().native == EBADF);
  }

  TEST_CASE("wait_fd: more waiters than one look of the loop takes") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    std::array<Pipe, 100> pipes;
    std::vector<Task<Status>> waiting;
    for (const Pipe& pipe : pipes) waiting.push_back(wait_for(*loop, pipe.reader(), EPOLLIN, -1));
    for (const Pipe& pipe : pipes) REQUIRE(write(pipe.writer(), "x", 1) == 1);
    for (auto& task : waiting) CHECK(loop->run(std::move(task)));
  }
}

TEST_SUITE("loop sleep") {
  TEST_CASE("sleep: an idle loop sleeps, and wake() of another thread ends that") {
    auto loop = make_loop({.spin_us = 50});
    std::atomic<bool> stop = false;
    std::thread other([&] {
      usleep(200'000);
      stop = true;
      loop->wake();
    });
    const std::int64_t began = now_ns();
    const double before = cpu_seconds();
    loop->run_until([&] { return stop.load(); });
    other.join();
    CHECK(now_ns() - began >= 200 * kMs);
    CHECK(now_ns() - began < 10'000 * kMs);
    CHECK(loop->sleeps() >= 1);
    CHECK(loop->sleeps() < 10);
    CHECK(cpu_seconds() - before < 0.05);
  }

  TEST_CASE("sleep: a wake-up that comes before the sleep is not lost") {
    auto loop = make_loop({.spin_us = 0});
    loop->wake();
    int turns = 0;
    const std::int64_t began = now_ns();
    loop->run_until([&] { return ++turns >= 3 || loop->sleeps() > 0; });
    CHECK(now_ns() - began < 10'000 * kMs);
  }

  TEST_CASE("sleep: the loop spins for a while before it sleeps") {
    auto loop = make_loop({.spin_us = 100'000});
    CountingSource source;
    REQUIRE(loop->add_source(source));
    const std::int64_t began = now_ns();
    std::int64_t slept_at = 0;
    const Loop::Periodic bound(*loop, 150 * kMs, [] {});
    loop->run_until([&] {
      if (slept_at == 0 && loop->sleeps() > 0) slept_at = now_ns();
      return loop->sleeps() > 0;
    });
    CHECK(slept_at - began >= 100 * kMs);
    CHECK(source.polls > 100);
    loop->remove_source(source);
  }

  TEST_CASE("sleep: a loop that spins offers its core, one that has work does not") {
    auto loop = make_loop({.spin_us = 1'000'000});
    CountingSource source;
    REQUIRE(loop->add_source(source));
    loop->run_until([&] { return loop->offers() > 2; });
    CHECK(loop->sleeps() == 0);
    // Else every look at the clock would be one at the scheduler.
    CHECK(source.polls > 2 * static_cast<int>(loop->offers()));
    source.work = 20'000;
    const std::uint64_t offers = loop->offers();
    const int polls = source.polls;
    loop->run_until([&] { return source.polls > polls + 10'000; });
    CHECK(loop->offers() == offers);
    loop->remove_source(source);
  }

  TEST_CASE("sleep: many wake-ups are one") {
    auto loop = make_loop({.spin_us = 0});
    for (int i = 0; i < 1000; ++i) loop->wake();
    std::atomic<bool> stop = false;
    std::thread other([&] {
      usleep(50'000);
      stop = true;
      loop->wake();
    });
    loop->run_until([&] { return stop.load(); });
    other.join();
    CHECK(loop->sleeps() <= 5);
  }
}

}  // namespace
}  // namespace benchfs
