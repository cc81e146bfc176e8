// Pauses between tries that a gate ends soon after it is closed. Private to metadata/.
#pragma once
#include <algorithm>
#include <cstdint>

#include "base/clock.hpp"
#include "loop/loop.hpp"
#include "loop/sync.hpp"

namespace benchfs {

/// `loop` and `gate` outlive the task.
inline Task<void> pause_unless_closed(Loop& loop, const Gate& gate, std::int64_t ns) {
  constexpr std::int64_t kStepNs = 50'000'000;  // how soon it notices that the gate is closed
  const std::int64_t until = now_ns() + ns;
  while (!gate.closed() && now_ns() < until) {
    const std::int64_t step = std::min(kStepNs, until - now_ns());
    auto timer = loop.sleep_ns(std::max<std::int64_t>(step, 0));
    co_await timer;
  }
}

/// Pauses between tries, each twice as long as the one before, up to a longest.
class RetryPauses {
 public:
  RetryPauses(Loop& loop, const Gate& gate, std::int64_t first_ns, std::int64_t longest_ns)
      : loop_(loop), gate_(gate), next_ns_(first_ns), longest_ns_(longest_ns) {}
  Task<void> next() {
    const std::int64_t ns = next_ns_;
    next_ns_ = std::min(next_ns_ * 2, longest_ns_);
    return pause_unless_closed(loop_, gate_, ns);
  }

 private:
  Loop& loop_;
  const Gate& gate_;
  std::int64_t next_ns_;
  std::int64_t longest_ns_;
};

}  // namespace benchfs
