// The pool's region and the hand-over of blocks.
//
// The region is one anonymous mapping, aligned to huge pages and advised to use them: fewer TLB
// misses, and fewer pages to pin when it is registered with the ring. It is not touched here, so
// what a quiet server never uses costs no memory (unless the ring pins it).
#include "storage/buffer_pool.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace benchfs {
namespace {

constexpr std::size_t kHugePage = 2u << 20;

constexpr std::size_t round_up(std::size_t value, std::size_t to) {
  return (value + to - 1) / to * to;
}

}  // namespace

Result<std::unique_ptr<BufferPool>> BufferPool::create(std::size_t pool_bytes,
                                                       std::size_t block_bytes) {
  const std::size_t large = round_up(block_bytes, kAlignment);
  const std::size_t small_total = pool_bytes / 8 / kSmallBytes * kSmallBytes;
  const std::size_t large_count = (pool_bytes - small_total) / (large == 0 ? 1 : large);
  if (block_bytes <= kSmallBytes || small_total == 0 || large_count == 0) {
    return fail(Errc::invalid, EINVAL);
  }
  const std::size_t used = small_total + large_count * large;

  void* mapped = mmap(nullptr, used + kHugePage, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return fail(errc_from_errno(errno), errno);
  auto pool = std::unique_ptr<BufferPool>(new BufferPool);
  pool->mapping_ = {static_cast<std::byte*>(mapped), used + kHugePage};
  const auto address = reinterpret_cast<std::uintptr_t>(mapped);
  pool->region_ = pool->mapping_.subspan(round_up(address, kHugePage) - address, used);
  // Advice: a kernel without huge pages goes on with small ones.
  madvise(pool->region_.data(), used, MADV_HUGEPAGE);

  const auto divide = [](Class& into, std::span<std::byte> part, std::size_t size) {
    into.block_bytes = size;
    into.blocks = part.size() / size;
    into.free.reserve(into.blocks);
    for (std::size_t i = into.blocks; i > 0; --i) into.free.push_back(part.data() + (i - 1) * size);
  };
  divide(pool->classes_[1], pool->region_.first(large_count * large), large);
  divide(pool->classes_[0], pool->region_.last(small_total), kSmallBytes);
  return pool;
}

BufferPool::~BufferPool() {
  for (const Class& each : classes_) {
    BFS_ASSERT(each.waiters.empty());
    BFS_ASSERT(each.free.size() == each.blocks);  // a lease that is out points into the region
  }
  if (!mapping_.empty()) munmap(mapping_.data(), mapping_.size());
}

Task<BufferPool::Lease> BufferPool::acquire(std::size_t bytes) {
  BFS_ASSERT(bytes <= block_bytes());
  Class& from = class_of(bytes);
  // Whoever comes while others wait finds no free block: those go straight to the waiters.
  if (!from.free.empty()) {
    std::byte* block = from.free.back();
    from.free.pop_back();
    co_return Lease(*this, {block, from.block_bytes});
  }
  Waiter waiter{from, {}, {}};
  co_await waiter;
  co_return Lease(*this, waiter.block);
}

void BufferPool::give_back(std::span<std::byte> block) {
  Class& to = class_of(block.size());
  if (to.waiters.empty()) {
    to.free.push_back(block.data());
    return;
  }
  Waiter* next = to.waiters.front();
  to.waiters.pop_front();
  next->block = block;
  post_to_current(next->handle);
}

void BufferPool::register_with(Ring& ring) {
  const Status registered = ring.register_buffer(region_);
  if (registered) return;
  if (registered.error().code == Errc::no_memory || registered.error().native == EPERM) {
    log_warn(
        "the kernel will not lock {} of memory for io_uring: raise the limit RLIMIT_MEMLOCK "
        "(`ulimit -l`) of this user to that for faster device I/O; going on without registered "
        "buffers",
        format_bytes(region_.size()));
  } else {
    log_warn(
        "io_uring refuses the buffers of the pool (errno {}); going on without registering them",
        registered.error().native);
  }
}

}  // namespace benchfs
