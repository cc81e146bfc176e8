// Huge pages or small ones for the next 2 MiB of memory? A huge page is mostly the faster to get,
// but not where the kernel has to make room for it first, or where the host of a virtual machine
// has to back it: there it takes ten times as long, while a writer waits. Nobody knows but who has
// tried.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>

namespace benchfs {

/// Of any threads; what two of them tell at the same time may count once.
class PageChoice {
 public:
  /// What to take now.
  bool huge() {
    if (never_.load(std::memory_order_relaxed)) return false;
    const std::uint32_t left = small_left_.load(std::memory_order_relaxed);
    if (left == 0) return true;
    small_left_.store(left - 1, std::memory_order_relaxed);
    return false;
  }
  void never_huge() { never_.store(true, std::memory_order_relaxed); }
  /// How long it took. After a slow one small ones are taken for a while, for longer each time.
  void took_huge(std::int64_t ns) {
    if (ns <= kSlower * small_ns_.load(std::memory_order_relaxed)) {
      rest_.store(kRestMin, std::memory_order_relaxed);
      return;
    }
    const std::uint32_t rest = rest_.load(std::memory_order_relaxed);
    small_left_.store(rest, std::memory_order_relaxed);
    rest_.store(std::min(2 * rest, kRestMax), std::memory_order_relaxed);
  }
  void took_small(std::int64_t ns) {
    const std::int64_t mean = small_ns_.load(std::memory_order_relaxed);
    small_ns_.store(mean + (ns - mean) / 4, std::memory_order_relaxed);
  }

 private:
  /// A huge page is worth a little more time: it is copied to and from faster as long as it lives.
  static constexpr std::int64_t kSlower = 2;
  static constexpr std::uint32_t kRestMin = 16, kRestMax = 1024;

  std::atomic<bool> never_{false};
  std::atomic<std::uint32_t> small_left_{0};  ///< to be taken before the next huge one
  std::atomic<std::uint32_t> rest_{kRestMin};
  std::atomic<std::int64_t> small_ns_{450'000};  ///< mean time for 2 MiB of small ones
};

}  // namespace benchfs
