// Waiting between coroutines of one loop: WaitQueue, Semaphore, Event, Gate. Single-threaded.
#pragma once
#include <coroutine>
#include <cstddef>
#include <utility>

#include "base/assert.hpp"
#include "loop/loop.hpp"

namespace benchfs {

/// Coroutines in the order they came. Each has its place in its own frame, where it waits: to wait
/// allocates nothing, and a list that nobody is in costs nothing.
class Waiters {
 public:
  struct Place {
    std::coroutine_handle<> waiter;
    Place* next = nullptr;
  };
  void add(Place& place, std::coroutine_handle<> waiter) {
    place.waiter = waiter;
    (last_ != nullptr ? last_->next : first_) = &place;
    last_ = &place;
    ++count_;
  }
  /// Only if there is one.
  void wake_first() {
    const Place* place = std::exchange(first_, first_->next);
    if (first_ == nullptr) last_ = nullptr;
    --count_;
    post_to_current(place->waiter);
  }
  bool empty() const { return first_ == nullptr; }
  std::size_t size() const { return count_; }

 private:
  Place* first_ = nullptr;
  Place* last_ = nullptr;
  std::size_t count_ = 0;
};

/// Coroutines that wait for a condition, woken in the order they came. After `co_await
/// queue.wait()` check the condition again: another coroutine may have run first.
class WaitQueue {
 public:
  struct Wait {
    WaitQueue& queue;
    Waiters::Place place{};
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) { queue.waiters_.add(place, waiter); }
    void await_resume() const noexcept {}
  };
  Wait wait() { return Wait{*this}; }
  void wake_one() {
    if (!waiters_.empty()) waiters_.wake_first();
  }
  void wake_all() {
    while (!waiters_.empty()) waiters_.wake_first();
  }
  bool empty() const { return waiters_.empty(); }
  std::size_t size() const { return waiters_.size(); }

 private:
  Waiters waiters_;
};

/// A count of permits; first come, first served: a permit that is given back goes to the longest
/// waiter.
class Semaphore {
 public:
  explicit Semaphore(std::size_t permits) : permits_(permits) {}
  struct Acquire {
    Semaphore& semaphore;
    Waiters::Place place{};
    bool await_ready() const noexcept {
      if (semaphore.permits_ == 0) return false;
      --semaphore.permits_;
      return true;
    }
    void await_suspend(std::coroutine_handle<> waiter) { semaphore.waiters_.add(place, waiter); }
    void await_resume() const noexcept {}
  };
  Acquire acquire() { return Acquire{*this}; }
  void release() {
    if (waiters_.empty()) {
      ++permits_;
    } else {
      waiters_.wake_first();  // the permit passes on
    }
  }
  std::size_t available() const { return permits_; }
  std::size_t waiting() const { return waiters_.size(); }

 private:
  std::size_t permits_;
  Waiters waiters_;
};

/// Set once; everyone who waits, now or later, goes on.
class Event {
 public:
  struct Wait {
    Event& event;
    Waiters::Place place{};
    bool await_ready() const noexcept { return event.set_; }
    void await_suspend(std::coroutine_handle<> waiter) { event.waiters_.add(place, waiter); }
    void await_resume() const noexcept {}
  };
  Wait wait() { return Wait{*this}; }
  void set() {
    set_ = true;
    while (!waiters_.empty()) waiters_.wake_first();
  }
  bool is_set() const { return set_; }

 private:
  bool set_ = false;
  Waiters waiters_;
};

/// Counts coroutines inside; close() refuses new ones, and drained() waits until the last has left.
class Gate {
 public:
  class Pass {
   public:
    explicit Pass(Gate* gate) : gate_(gate) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->leave();
    }

   private:
    Gate* gate_;
  };
  bool closed() const { return closed_; }
  std::size_t inside() const { return inside_; }
  /// Only while the gate is open.
  Pass enter() {
    BFS_ASSERT(!closed_);
    ++inside_;
    return Pass(this);
  }
  void close() { closed_ = true; }
  Task<void> drained() {
    while (inside_ > 0) co_await left_.wait();
  }

 private:
  void leave() {
    --inside_;
    left_.wake_all();
  }
  std::size_t inside_ = 0;
  bool closed_ = false;
  WaitQueue left_;
};

}  // namespace benchfs
