// The event loop's turn, its spin, its sleep, timers and descriptors.
//
// The spin adapts: a spin that ends in work doubles the next budget up to the configured one, a
// spin that ends in sleep halves it, down to a few microseconds. With a core to spare small
// messages are therefore answered without a wake-up; with more processes than cores the spin gives
// way.
//
// A spin also offers the core to whoever waits for it: with more processes than cores that may be
// the one that the answer is to come from, and the scheduler would let it wait until the spin ends.
#include "loop/loop.hpp"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "base/clock.hpp"

namespace benchfs {
namespace {

// As the pool of frames: read and written with every turn, and for every coroutine that is woken.
[[gnu::tls_model("initial-exec")]] thread_local constinit Loop* current_loop = nullptr;
constexpr std::int64_t kSpinMinNs = 2'000;
constexpr std::int64_t kDescriptorPollNs = 1'000'000;  // how often a busy loop looks at its sockets
constexpr int kSleepMaxMs = 60'000;
constexpr int kPassesMax = 32;     // through what is ready, before the sources have their turn
constexpr int kPollsPerLook = 16;  // of the spin at the clock: to read it takes as long as a poll
/// An answer from another core takes no longer; before that a core is offered only if the last
/// offer was taken. One that is not taken returns sooner than a switch to another process and back.
constexpr std::int64_t kOfferAfterNs = 2'000, kSwitchNs = 1'500;
/// Who answers a message gives the core back sooner. Who computes keeps it for a slice of
/// milliseconds. After such an offer there is none for as long as it took, and twice as long after
/// each further one, up to this factor. Meanwhile the loop soon sleeps: that gives the core away,
/// too, and the wake-up does not wait for the end of a slice.
constexpr std::int64_t kOfferMaxNs = 500'000, kKeepMax = 128;

inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void post_to_current(std::coroutine_handle<> handle) {
  BFS_ASSERT(current_loop != nullptr);
  current_loop->post(handle);
}

Loop* Loop::current() {
  return current_loop;
}
Loop::Scope::Scope(Loop& loop) : previous_(current_loop) {
  current_loop = &loop;
}
Loop::Scope::~Scope() {
  current_loop = previous_;
}

Loop::Loop(Options options)
    : spin_ns_(static_cast<std::int64_t>(options.spin_us) * 1000), spin_max_ns_(spin_ns_) {}

Result<std::unique_ptr<Loop>> Loop::create(Options options) {
  auto loop = std::unique_ptr<Loop>(new Loop(options));
  loop->epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (loop->epoll_fd_ < 0) return fail(errc_from_errno(errno), errno);
  loop->wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (loop->wake_fd_ < 0) return fail(errc_from_errno(errno), errno);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // no waiter: a wake-up, or a source that is polled anyway
  if (epoll_ctl(loop->epoll_fd_, EPOLL_CTL_ADD, loop->wake_fd_, &event) != 0) {
    return fail(errc_from_errno(errno), errno);
  }
  return loop;
}

Loop::~Loop() {
  BFS_ASSERT(sources_.empty());
  if (wake_fd_ >= 0) close(wake_fd_);
  if (epoll_fd_ >= 0) close(epoll_fd_);
}

Status Loop::add_source(Source& source) {
  if (source.descriptor() >= 0) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, source.descriptor(), &event) != 0) {
      return fail(errc_from_errno(errno), errno);
    }
  }
  sources_.push_back(&source);
  return {};
}

void Loop::remove_source(Source& source) {
  if (source.descriptor() >= 0) epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, source.descriptor(), nullptr);
  std::erase(sources_, &source);
}

void Loop::wake() noexcept {
  const std::uint64_t one = 1;
  // A full counter (EAGAIN) means that a wake-up is pending already.
  [[maybe_unused]] const auto written = write(wake_fd_, &one, sizeof(one));
}

bool Loop::run_ready() {
  ready_.insert(ready_.end(), yielded_.begin(), yielded_.end());
  yielded_.clear();
  if (ready_.empty()) return false;
  for (int pass = 0; pass < kPassesMax && !ready_.empty(); ++pass) {
    running_.swap(ready_);
    for (const auto handle : running_) handle.resume();
    running_.clear();
  }
  return true;
}

bool Loop::poll_sources() {
  bool worked = false;
  for (Source* source : sources_) worked |= source->poll();
  return worked;
}

bool Loop::turn() {
  const Scope scope(*this);
  bool worked = poll_sources();
  if (!timers_.empty() || descriptors_waiting_ > 0) {
    const std::int64_t now = now_ns();
    worked |= run_timers(now);
    if (now - last_descriptor_poll_ns_ > kDescriptorPollNs) {
      last_descriptor_poll_ns_ = now;
      worked |= poll_descriptors(0);
    }
  }
  worked |= run_ready();
  return worked;
}

void Loop::idle() {
  const std::int64_t now = now_ns();
  if (spun_since_ns_ == 0) spun_since_ns_ = now;
  const Scope scope(*this);
  const bool offers = now >= keep_until_ns_;
  const std::int64_t spun_ns = now - spun_since_ns_;
  if (spun_ns >= (offers ? spin_ns_ : std::min(spin_ns_, kOfferAfterNs))) {
    sleep(now);
    spun_since_ns_ = 0;
    return;
  }
  if (offers && (core_is_shared_ || spun_ns >= kOfferAfterNs)) offer_core(now);
  for (int i = 0; i < kPollsPerLook; ++i) {
    cpu_relax();
    if (!poll_sources()) continue;
    run_ready();
    spun_since_ns_ = 0;
    return;
  }
}

void Loop::offer_core(std::int64_t now) {
  ++offers_;
  sched_yield();
  const std::int64_t taken_ns = now_ns() - now;
  core_is_shared_ = taken_ns > kSwitchNs;
  if (taken_ns > kOfferMaxNs) {
    keep_until_ns_ = now + taken_ns + keep_factor_ * taken_ns;
    keep_factor_ = std::min(2 * keep_factor_, kKeepMax);
  } else if (core_is_shared_) {
    keep_factor_ = 1;
  }
}

int Loop::arm() {
  const Scope scope(*this);
  if (!ready_.empty() || !yielded_.empty()) return 0;
  for (Source* source : sources_) {
    if (!source->prepare_sleep()) return 0;
  }
  if (timers_.empty()) return kSleepMaxMs;
  const std::int64_t left_ns = timers_.begin()->first - now_ns();
  return static_cast<int>(
      std::clamp<std::int64_t>((left_ns + 999'999) / 1'000'000, 0, kSleepMaxMs));
}

void Loop::take_up() {
  const Scope scope(*this);
  poll_descriptors(0);
  run_timers(now_ns());
}

void Loop::sleep(std::int64_t now) {
  const int timeout_ms = arm();
  if (timeout_ms == 0) {
    // A source cannot wait just now and has to be polled: who it waits for may want this core.
    sched_yield();
    run_timers(now_ns());
    return;
  }
  ++sleeps_;
  poll_descriptors(timeout_ms);
  const std::int64_t woken = now_ns();
  // Work that came soon after we gave up: spinning longer would have caught it. Else spin less.
  if (woken - now < spin_max_ns_) {
    spin_ns_ = std::min(spin_max_ns_, std::max(kSpinMinNs, spin_ns_ * 2));
  } else {
    spin_ns_ = std::min(spin_max_ns_, std::max(kSpinMinNs, spin_ns_ / 2));
  }
  run_timers(woken);
}

bool Loop::poll_descriptors(int timeout_ms) {
  epoll_event events[64];
  const int count = epoll_wait(epoll_fd_, events, 64, timeout_ms);
  bool worked = false;
  for (int i = 0; i < count; ++i) {
    if (events[i].data.ptr == nullptr) continue;
    auto* wait = static_cast<FdWait*>(events[i].data.ptr);
    wait->ready(events[i].events);
    worked = true;
  }
  std::uint64_t wakes = 0;
  if (count > 0 && read(wake_fd_, &wakes, sizeof(wakes)) == sizeof(wakes)) worked = true;
  return worked;
}

void Loop::start_timer(TimerNode& node, std::int64_t deadline_ns) {
  node.position = timers_.emplace(deadline_ns, &node);
  node.armed = true;
}

void Loop::cancel_timer(TimerNode& node) {
  if (!node.armed) return;
  timers_.erase(node.position);
  node.armed = false;
}

bool Loop::run_timers(std::int64_t now) {
  bool worked = false;
  while (!timers_.empty() && timers_.begin()->first <= now) {
    TimerNode* node = timers_.begin()->second;
    cancel_timer(*node);
    node->expired();
    worked = true;
  }
  return worked;
}

Loop::TimerWait Loop::sleep_ns(std::int64_t ns) {
  return TimerWait(*this, now_ns() + ns);
}

Loop::FdWait Loop::wait_fd(int fd, std::uint32_t events, std::int64_t timeout_ns) {
  return FdWait(*this, fd, events, timeout_ns < 0 ? -1 : now_ns() + timeout_ns);
}

Loop::Periodic::Periodic(Loop& loop, std::int64_t interval_ns, std::function<void()> function)
    : loop_(loop), interval_ns_(interval_ns), function_(std::move(function)) {
  loop_.start_timer(*this, now_ns() + interval_ns_);
}

Loop::Timeout::Timeout(Loop& loop, std::int64_t ns, std::function<void()> function)
    : loop_(loop), function_(std::move(function)) {
  loop_.start_timer(*this, now_ns() + ns);
}

void Loop::Periodic::expired() {
  loop_.start_timer(*this, now_ns() + interval_ns_);
  function_();
}

bool Loop::FdWait::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  epoll_event event{};
  event.events = events_ | EPOLLONESHOT;
  event.data.ptr = this;
  if (epoll_ctl(loop_.epoll_fd_, EPOLL_CTL_ADD, fd_, &event) != 0) {
    result_ = fail(errc_from_errno(errno), errno);
    return false;
  }
  ++loop_.descriptors_waiting_;
  if (deadline_ns_ >= 0) loop_.start_timer(*this, deadline_ns_);
  return true;
}

void Loop::FdWait::ready(std::uint32_t) {
  // An error or hang-up shows in the read, write or connect that follows.
  epoll_ctl(loop_.epoll_fd_, EPOLL_CTL_DEL, fd_, nullptr);
  --loop_.descriptors_waiting_;
  loop_.cancel_timer(*this);
  loop_.post(waiter_);
}

void Loop::FdWait::expired() {
  epoll_ctl(loop_.epoll_fd_, EPOLL_CTL_DEL, fd_, nullptr);
  --loop_.descriptors_waiting_;
  result_ = fail(Errc::timed_out, ETIMEDOUT);
  loop_.post(waiter_);
}

}  // namespace benchfs
