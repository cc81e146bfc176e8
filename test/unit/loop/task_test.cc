// Tasks: they start at once, resume through the run queue, deliver what they return, and take their
// frames from the pool.
#include "loop/task.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "loop/loop.hpp"
#include "loop/sync.hpp"

namespace benchfs {
namespace {

std::unique_ptr<Loop> make_loop() {
  auto loop = Loop::create({});
  REQUIRE(loop);
  return std::move(*loop);
}

Task<int> immediate(int value) {
  co_return value;
}

Task<int> after_turns(Loop& loop, int turns, int value) {
  for (int i = 0; i < turns; ++i) co_await loop.next_turn();
  co_return value;
}

Task<void> note_twice(Loop& loop, std::vector<std::string>* notes) {
  notes->push_back("start");
  co_await loop.next_turn();
  notes->push_back("end");
}

Task<int> sum_of(Loop& loop, int depth) {
  if (depth == 0) co_return 0;
  const int rest = co_await sum_of(loop, depth - 1);
  co_return rest + 1;
}

Task<int> counted_after_turn(Loop& loop, int depth) {
  if (depth == 0) {
    co_await loop.next_turn();
    co_return 0;
  }
  const int rest = co_await counted_after_turn(loop, depth - 1);
  co_return rest + 1;
}

Task<void> take_turns(WaitQueue* own, WaitQueue* other, const bool* stop) {
  while (!*stop) {
    other->wake_one();
    co_await own->wait();
  }
  other->wake_one();
}

struct CountsPolls final : Source {
  bool poll() override {
    ++polls;
    return false;
  }
  bool prepare_sleep() override { return true; }
  int descriptor() const override { return -1; }
  int polls = 0;
};

Task<std::unique_ptr<std::string>> make_text(Loop& loop) {
  co_await loop.next_turn();
  co_return std::make_unique<std::string>("text");
}

struct CountsItsEnd {
  int* ends;
  ~CountsItsEnd() { ++*ends; }
};

Task<void> hold_until(Event* event, int* ends) {
  const CountsItsEnd counts{ends};
  co_await event->wait();
}

TEST_SUITE("task") {
  TEST_CASE("task: runs at once to its first suspension") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    std::vector<std::string> notes;
    Task<void> task = note_twice(*loop, &notes);
    CHECK(notes == std::vector<std::string>{"start"});
    CHECK_FALSE(task.done());
    loop->run(std::move(task));
    CHECK(notes == std::vector<std::string>{"start", "end"});
  }

  TEST_CASE("task: a result that is there at once needs no turn") {
    Task<int> task = immediate(7);
    CHECK(task.done());
    CHECK(task.take() == 7);
  }

  TEST_CASE("task: the waiter gets the result through the run queue") {
    auto loop = make_loop();
    CHECK(loop->run(after_turns(*loop, 5, 42)) == 42);
    CHECK(loop->run(sum_of(*loop, 200)) == 200);
  }

  TEST_CASE("task: a chain of waiters ends in one turn") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    Task<int> task = counted_after_turn(*loop, 10);
    CHECK_FALSE(task.done());
    loop->turn();
    REQUIRE(task.done());
    CHECK(task.take() == 10);
  }

  TEST_CASE("task: those that wake each other without end do not keep the sources waiting") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    CountsPolls source;
    REQUIRE(loop->add_source(source));
    WaitQueue left, right;
    bool stop = false;
    Task<void> one = take_turns(&left, &right, &stop);
    Task<void> other = take_turns(&right, &left, &stop);
    for (int i = 0; i < 3; ++i) CHECK(loop->turn());
    CHECK(source.polls == 3);
    CHECK_FALSE(one.done());
    stop = true;
    loop->run_until([&] { return one.done() && other.done(); });
    loop->remove_source(source);
  }

  TEST_CASE("task: a move-only result is moved out") {
    auto loop = make_loop();
    const auto text = loop->run(make_text(*loop));
    REQUIRE(text != nullptr);
    CHECK(*text == "text");
  }

  TEST_CASE("task: a detached one destroys its frame when it ends, not before") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    Event event;
    int ends = 0;
    hold_until(&event, &ends).detach();
    loop->turn();
    CHECK(ends == 0);
    event.set();
    loop->turn();
    CHECK(ends == 1);
    hold_until(&event, &ends).detach();  // the event is set: it ends at once
    CHECK(ends == 2);
  }

  TEST_CASE("task: many waiters end in one go without deep recursion") {
    auto loop = make_loop();
    const Loop::Scope scope(*loop);
    Event event;
    int ends = 0;
    constexpr int kMany = 100'000;
    for (int i = 0; i < kMany; ++i) hold_until(&event, &ends).detach();
    event.set();
    loop->run_until([&] { return ends == kMany; });
    CHECK(ends == kMany);
  }
}

TEST_SUITE("frame pool") {
#if !defined(__SANITIZE_ADDRESS__)
  TEST_CASE("frame pool: a freed frame serves the next one of its size class") {
    void* const first = detail::frame_allocate(200);
    detail::frame_free(first, 200);
    void* const second = detail::frame_allocate(193);  // the class of 193 to 256 bytes
    CHECK(second == first);
    void* const third = detail::frame_allocate(193);
    CHECK(third != second);
    detail::frame_free(second, 193);
    detail::frame_free(third, 193);
    void* const other_class = detail::frame_allocate(300);
    CHECK(other_class != second);
    CHECK(other_class != third);
    detail::frame_free(other_class, 300);
  }
#endif

  TEST_CASE("frame pool: every size is writable in full and aligned for any type") {
    for (std::size_t bytes : {1, 63, 64, 65, 128, 1000, 2048, 2049, 4096, 100'000}) {
      CAPTURE(bytes);
      auto* const frame = static_cast<unsigned char*>(detail::frame_allocate(bytes));
      CHECK(reinterpret_cast<std::uintptr_t>(frame) % alignof(std::max_align_t) == 0);
      std::fill(frame, frame + bytes, 0xa5);
      detail::frame_free(frame, bytes);
    }
  }

  TEST_CASE("frame pool: serves also when the thread's objects are being destroyed") {
    static int rounds = 0;
    struct Late {
      ~Late() {
        for (int i = 0; i < 3; ++i, ++rounds) {
          void* const frame = detail::frame_allocate(200);
          detail::frame_free(frame, 200);
        }
      }
    };
    std::thread([] {
      static thread_local Late late;  // made before the pool, so destroyed after it
      (void)&late;
      void* const frame = detail::frame_allocate(200);
      detail::frame_free(frame, 200);
    }).join();
    CHECK(rounds == 3);
  }

  TEST_CASE("frame pool: a frame may be freed by another thread than the one that took it") {
    std::vector<void*> frames;
    for (int i = 0; i < 1000; ++i) frames.push_back(detail::frame_allocate(256));
    std::thread([&] {
      for (void* frame : frames) detail::frame_free(frame, 256);
      void* const again = detail::frame_allocate(256);
      detail::frame_free(again, 256);
    }).join();  // the thread's lists go with it
  }
}

}  // namespace
}  // namespace benchfs
