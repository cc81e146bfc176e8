// The event loop: sources (network, ring), descriptors, timers and a run queue of coroutines, in
// one thread. It polls while there is work; after an adaptive spin it arms its sources and sleeps
// on one epoll. Nothing here may be touched by another thread, but wake().
#pragma once
#include <sys/epoll.h>

#include <coroutine>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/status.hpp"
#include "loop/task.hpp"

namespace benchfs {

/// Something that the loop polls: the ucp worker (net/), the io_uring (loop/ring).
class Source {
 public:
  virtual ~Source() = default;
  /// Makes progress without blocking; true if anything happened.
  virtual bool poll() = 0;
  /// Arranges that descriptor() becomes readable at the next event. False: there is an event
  /// already, do not sleep.
  virtual bool prepare_sleep() = 0;
  /// Descriptor to sleep on; -1 if there is none.
  virtual int descriptor() const = 0;
};

class Loop {
 public:
  struct Options {
    std::uint32_t spin_us = 50;  ///< how long to poll without work before sleeping, at most
  };
  static Result<std::unique_ptr<Loop>> create(Options options);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// The loop that this thread is running, or that a Scope has made current.
  static Loop* current();
  /// Makes a loop this thread's current one for a scope; scopes may nest.
  class Scope {
   public:
    explicit Scope(Loop& loop);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Loop* previous_;
  };

  /// Sources are not owned and must be removed before they die.
  Status add_source(Source& source);
  void remove_source(Source& source);

  /// Resumes it in this turn or the next one, after what was posted before.
  void post(std::coroutine_handle<> handle) { ready_.push_back(handle); }

  /// One turn without blocking: sources, descriptors and timers that are due, then ready coroutines
  /// and those that they make ready, for a while. True if anything happened.
  bool turn();
  /// Turns, spinning and sleeping between them, until `done` is true. `done` is checked after each
  /// turn.
  template <class Predicate>
  void run_until(Predicate done) {
    while (!done()) {
      if (turn()) {
        spun_since_ns_ = 0;
      } else {
        idle();
      }
    }
    spun_since_ns_ = 0;
  }
  /// Runs a task to its end and returns its result.
  template <class T>
  T run(Task<T> task) {
    run_until([&] { return task.done(); });
    return task.take();
  }

  /// run_until() in parts, for a driver that lets others use the loop while it sleeps: when a turn
  /// has found nothing to do, arm() the sources, wait until descriptor() is readable, at most for
  /// the returned ms (0: there is work), and take up what the wait ended with.
  int arm();
  int descriptor() const { return epoll_fd_; }
  void take_up();

  /// Ends a sleep; the one call that another thread or a signal handler may make.
  void wake() noexcept;

  // ---- timers and descriptors, as awaitables ----
  class TimerWait;
  class FdWait;
  /// Suspends for `ns` nanoseconds.
  TimerWait sleep_ns(std::int64_t ns);
  /// Suspends until `fd` has one of `events` (EPOLLIN, EPOLLOUT), or `timeout_ns` has passed
  /// (Errc::timed_out; negative: no limit). One waiter per descriptor at a time.
  FdWait wait_fd(int fd, std::uint32_t events, std::int64_t timeout_ns);
  /// Goes on in the next turn: out of a completion callback, or to let others run.
  struct Yield {
    Loop& loop;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const { loop.yielded_.push_back(waiter); }
    void await_resume() const noexcept {}
  };
  Yield next_turn() { return Yield{*this}; }
  class Periodic;
  class Timeout;

  /// Times that the loop has slept; a test of idleness.
  std::uint64_t sleeps() const { return sleeps_; }
  /// Times that it has offered its core to others while it had nothing to do.
  std::uint64_t offers() const { return offers_; }

 private:
  friend class TimerWait;
  friend class FdWait;
  friend class Periodic;
  friend class Timeout;
  struct TimerNode {
    virtual void expired() = 0;
    std::multimap<std::int64_t, TimerNode*>::iterator position;
    bool armed = false;

   protected:
    ~TimerNode() = default;
  };

  explicit Loop(Options options);
  void start_timer(TimerNode& node, std::int64_t deadline_ns);
  void cancel_timer(TimerNode& node);
  bool run_timers(std::int64_t now_ns);
  bool poll_sources();
  bool poll_descriptors(int timeout_ms);
  bool run_ready();
  void idle();
  void offer_core(std::int64_t now_ns);
  void sleep(std::int64_t now_ns);

  int epoll_fd_ = -1;
  int wake_fd_ = -1;
  std::vector<Source*> sources_;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> yielded_;  ///< not before the sources have been polled again
  std::vector<std::coroutine_handle<>> running_;
  std::multimap<std::int64_t, TimerNode*> timers_;
  std::int64_t last_descriptor_poll_ns_ = 0;
  std::int64_t spun_since_ns_ = 0;  ///< when the current idle spin began; 0: not spinning
  std::int64_t spin_ns_;            ///< current budget, between spin_min and spin_max
  std::int64_t spin_max_ns_;
  std::uint64_t sleeps_ = 0, offers_ = 0;
  bool core_is_shared_ = false;     ///< somebody took the core when it was offered last
  std::int64_t keep_until_ns_ = 0;  ///< they kept it too long: no offers before this
  std::int64_t keep_factor_ = 1;
  unsigned descriptors_waiting_ = 0;
};

class Loop::TimerWait final : private Loop::TimerNode {
 public:
  TimerWait(Loop& loop, std::int64_t deadline_ns) : loop_(loop), deadline_ns_(deadline_ns) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    loop_.start_timer(*this, deadline_ns_);
  }
  void await_resume() const noexcept {}

 private:
  void expired() override { loop_.post(waiter_); }
  Loop& loop_;
  std::int64_t deadline_ns_;
  std::coroutine_handle<> waiter_;
};

/// Calls a function about every `interval_ns` until it is destroyed. The function may not destroy
/// it.
class Loop::Periodic final : private Loop::TimerNode {
 public:
  Periodic(Loop& loop, std::int64_t interval_ns, std::function<void()> function);
  ~Periodic() { loop_.cancel_timer(*this); }
  Periodic(const Periodic&) = delete;
  Periodic& operator=(const Periodic&) = delete;

 private:
  void expired() override;
  Loop& loop_;
  std::int64_t interval_ns_;
  std::function<void()> function_;
};

/// Calls a function once, after `ns`, unless it is destroyed before.
class Loop::Timeout final : private Loop::TimerNode {
 public:
  Timeout(Loop& loop, std::int64_t ns, std::function<void()> function);
  ~Timeout() { loop_.cancel_timer(*this); }
  Timeout(const Timeout&) = delete;
  Timeout& operator=(const Timeout&) = delete;

 private:
  void expired() override { function_(); }
  Loop& loop_;
  std::function<void()> function_;
};

class Loop::FdWait final : private Loop::TimerNode {
 public:
  FdWait(Loop& loop, int fd, std::uint32_t events, std::int64_t deadline_ns)
      : loop_(loop), fd_(fd), events_(events), deadline_ns_(deadline_ns) {}
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter);
  Status await_resume() const { return result_; }

 private:
  friend class Loop;
  void expired() override;
  void ready(std::uint32_t events);
  Loop& loop_;
  int fd_;
  std::uint32_t events_;
  std::int64_t deadline_ns_;  ///< negative: none
  std::coroutine_handle<> waiter_;
  Status result_;
};

}  // namespace benchfs
