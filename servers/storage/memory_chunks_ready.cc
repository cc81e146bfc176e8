// Keeps free blocks ready: the kernel's pages are allocated on the helper thread, before a writer
// needs them, and given back when there have been too many for a while. How many are kept follows
// the writers: twice as many whenever they have come close to using all.
#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "storage/chunks_folder.hpp"
#include "storage/memory_chunks.hpp"

namespace benchfs {
namespace {

/// Of a server that nobody uses yet, and once clients write themselves.
constexpr std::uint64_t kReadyAtStart = 16ull << 20, kReadyInUse = 64ull << 20;
/// Parts of the device, or of what may be stored on it: what is made ready at most, and what is
/// kept of what was removed.
constexpr std::uint64_t kReadyPart = 16, kKeepPart = 8;
/// Left to everything else on the device.
constexpr std::uint64_t kLeavePart = 8;
/// Made ready at start, if time allows, as long as most of the device is free: other servers of the
/// host have theirs there, too.
constexpr std::uint64_t kWarmUpMax = 512ull << 20;
/// Extents that the helper thread allocates at a time, half a millisecond each, for writers who
/// wait; and gives back.
constexpr std::size_t kAtOnce = 4, kBackAtOnce = 128;
/// Calls of tend(), a quarter of a second apart.
constexpr unsigned kSurplusCalls = 8;

}  // namespace

void MemoryChunks::set_ready_for(std::uint64_t device_bytes) {
  if (options_.limit_bytes != 0) device_bytes = std::min(device_bytes, options_.limit_bytes);
  ready_max_bytes_ = device_bytes / kReadyPart;
  ready_bytes_ = std::min(kReadyAtStart, ready_max_bytes_);
  keep_bytes_ = device_bytes / kKeepPart;
}

void MemoryChunks::expect_writers() {
  ready_bytes_ = std::max(ready_bytes_, std::min(kReadyInUse, ready_max_bytes_));
  keep_ready();
}

void MemoryChunks::keep_ready() {
  const std::uint64_t free = arena_->free_bytes();
  if (background_.closed() || free >= ready_bytes_ / 2) return;
  if (getting_ready_) {
    if (free < ready_bytes_ / 4) ready_bytes_ = std::min(2 * ready_bytes_, ready_max_bytes_);
  } else {
    get_ready().detach();
  }
}

Task<void> MemoryChunks::blocks_ready() {
  expect_writers();
  while (getting_ready_ && arena_->free_bytes() < arena::kSegmentBytes) {
    auto more = made_ready_.wait();
    co_await more;
  }
}

void MemoryChunks::tend() {
  arena_->reclaim();
  keep_ready();
  if (background_.closed()) return;
  const std::uint64_t free = arena_->free_bytes();
  const std::uint64_t keep = ready_bytes_ + keep_bytes_;
  surplus_seen_ = free > keep ? surplus_seen_ + 1 : 0;
  if (surplus_seen_ < kSurplusCalls || giving_back_) return;
  const std::uint64_t surplus = (free - keep) / arena::kHugeBytes;
  std::vector<arena::GroupIndex> extents =
      arena_->take_surplus(static_cast<std::size_t>(std::min<std::uint64_t>(surplus, kBackAtOnce)));
  if (!extents.empty()) give_back(std::move(extents)).detach();
}

Task<void> MemoryChunks::get_ready() {
  const Gate::Pass pass = background_.enter();
  getting_ready_ = true;
  // At start as much as is soon done, be it little where pages are slow to be had.
  while (!background_.closed()) {
    const auto device = device_of(folder_fd_);
    if (!device || device->available_bytes < device->bytes / kLeavePart) break;
    if (device->available_bytes < device->bytes / 4 * 3) warm_up_ns_ = 0;
    const std::uint64_t at_start = warm_up_ns_ > 0 ? std::min(kWarmUpMax, ready_max_bytes_) : 0;
    if (arena_->free_bytes() >= std::max(ready_bytes_, at_start)) break;
    std::array<arena::GroupIndex, kAtOnce> extents{};
    std::size_t count = 0;
    while (count < kAtOnce) {
      const auto extent = arena_->next_extent();
      if (!extent) break;
      extents[count++] = *extent;
    }
    if (count == 0) break;
    std::array<int, kAtOnce> errors{};
    const std::int64_t began_ns = now_ns();
    auto call = offload_.run([this, count, &extents, &errors] {
      for (std::size_t i = 0; i < count; ++i) errors[i] = arena_->allocate_extent(extents[i]);
    });
    co_await call;
    for (std::size_t i = 0; i < count; ++i) arena_->added(extents[i], errors[i] == 0);
    warm_up_ns_ -= now_ns() - began_ns;
    made_ready_.wake_all();
    if (errors[0] != 0) break;  // whoever needs it is told
  }
  getting_ready_ = false;
  made_ready_.wake_all();
}

Task<void> MemoryChunks::give_back(std::vector<arena::GroupIndex> extents) {
  const Gate::Pass pass = background_.enter();
  giving_back_ = true;
  int err = 0;
  auto call = offload_.run([this, &extents, &err] { err = arena_->give_back(extents); });
  co_await call;
  if (err != 0) {
    log_warn("free blocks of {}/chunks/arena keep their storage: {}", options_.data_dir,
             std::strerror(err));
  }
  for (const arena::GroupIndex extent : extents) arena_->added(extent, false);
  giving_back_ = false;
}

}  // namespace benchfs
