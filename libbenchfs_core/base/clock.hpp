// Clocks. Deadlines and intervals use the monotonic clock, file times the wall clock.
#pragma once
#include <time.h>

#include <cstdint>

namespace benchfs {

namespace clock_detail {
inline std::int64_t read_ns(clockid_t clock) {
  timespec ts{};
  clock_gettime(clock, &ts);
  return static_cast<std::int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}
}  // namespace clock_detail

/// Monotonic nanoseconds; comparable within one machine's boot only, never sent in a message.
inline std::int64_t now_ns() {
  return clock_detail::read_ns(CLOCK_MONOTONIC);
}
/// The same, up to some milliseconds behind (a tick of the kernel), for a fraction of the cost: for
/// deadlines and ages of many messages.
inline std::int64_t coarse_now_ns() {
  return clock_detail::read_ns(CLOCK_MONOTONIC_COARSE);
}
inline std::int64_t now_us() {
  return now_ns() / 1'000;
}
inline std::int64_t now_ms() {
  return now_ns() / 1'000'000;
}
/// Nanoseconds since 1970-01-01 UTC.
inline std::int64_t wall_ns() {
  return clock_detail::read_ns(CLOCK_REALTIME);
}

}  // namespace benchfs
