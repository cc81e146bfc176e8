// Eager coroutine tasks over the run queue of a Loop.
//
// A task starts at once and runs to its first real suspension. Whoever waits for it is posted to the
// run queue, never resumed from inside: lazy tasks with symmetric transfer overflow the stack with
// GCC 12 at -O0 and under ASan. Frames come from a per-thread pool, so that a call on the small-message
// path allocates nothing once it is warm.
#pragma once
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include "base/assert.hpp"

namespace benchfs {

class Loop;
/// Posts `handle` to the run queue of this thread's current loop.
void post_to_current(std::coroutine_handle<> handle);

namespace detail {
void* frame_allocate(std::size_t bytes);
void frame_free(void* frame, std::size_t bytes) noexcept;

struct PromiseBase {
  std::coroutine_handle<> waiter;
  bool detached = false;

  static void* operator new(std::size_t bytes) { return frame_allocate(bytes); }
  static void operator delete(void* frame, std::size_t bytes) { frame_free(frame, bytes); }

  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      auto& promise = self.promise();
      if (promise.detached) {
        self.destroy();
      } else if (promise.waiter) {
        post_to_current(promise.waiter);
      }
    }
    void await_resume() const noexcept {}
  };
  std::suspend_never initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  auto get_return_object() { return std::coroutine_handle<Promise>::from_promise(*this); }
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() { return std::move(*value); }
};
template <>
struct Promise<void> : PromiseBase {
  auto get_return_object() { return std::coroutine_handle<Promise>::from_promise(*this); }
  void return_void() const noexcept {}
  void take() const noexcept {}
};
}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task(Handle handle) : handle_(handle) {}  // NOLINT: the conversion that get_return_object needs
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    BFS_ASSERT(!handle_);
    handle_ = std::exchange(other.handle_, {});
    return *this;
  }
  ~Task() {
    if (!handle_) return;
    BFS_ASSERT(handle_.done());  // the kernel or UCX may still point into this frame
    handle_.destroy();
  }

  bool done() const { return handle_.done(); }
  /// The result of a task that is done; once.
  T take() { return handle_.promise().take(); }
  /// Lets the task run on its own; its frame goes when it ends and its result is dropped.
  void detach() && {
    auto handle = std::exchange(handle_, {});
    if (handle.done()) {
      handle.destroy();
    } else {
      handle.promise().detached = true;
    }
  }

  bool await_ready() const noexcept { return handle_.done(); }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { handle_.promise().waiter = waiter; }
  T await_resume() { return handle_.promise().take(); }

 private:
  Handle handle_;
};

}  // namespace benchfs
