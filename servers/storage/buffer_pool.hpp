// The memory of all data in flight: one region, allocated once and divided into blocks of two
// sizes. A request takes one block; if there is none it waits, and the longest waiter is served
// first.
#pragma once
#include <array>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/status.hpp"
#include "loop/ring.hpp"
#include "loop/task.hpp"

namespace benchfs {

/// Single-threaded: used by its loop alone. Must outlive every Lease.
class BufferPool {
 public:
  /// Every block starts on such a boundary and is a multiple of it: fit for O_DIRECT.
  static constexpr std::size_t kAlignment = 4096;
  /// Small blocks keep many small requests in flight, and in the cache; an eighth of the region.
  static constexpr std::size_t kSmallBytes = 64 << 10;

  /// `block_bytes`: what the largest request needs. `pool_bytes` must hold at least one such block
  /// beside the small ones (invalid). no_memory: the kernel refuses the region.
  static Result<std::unique_ptr<BufferPool>> create(std::size_t pool_bytes,
                                                    std::size_t block_bytes);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// A block, given back when it goes out of scope. Must die inside the loop's turn or while nobody
  /// waits.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), block_(other.block_) {}
    Lease& operator=(Lease&& other) noexcept {
      release();
      pool_ = std::exchange(other.pool_, nullptr);
      block_ = other.block_;
      return *this;
    }
    ~Lease() { release(); }
    void release() {
      if (pool_ != nullptr) std::exchange(pool_, nullptr)->give_back(block_);
    }
    explicit operator bool() const { return pool_ != nullptr; }
    std::span<std::byte> bytes() const { return block_; }
    std::span<std::byte> first(std::size_t count) const { return block_.first(count); }

   private:
    friend class BufferPool;
    Lease(BufferPool& pool, std::span<std::byte> block) : pool_(&pool), block_(block) {}
    BufferPool* pool_ = nullptr;
    std::span<std::byte> block_;
  };

  /// A block of at least `bytes` (at most block_bytes()), the one used last: its memory is warm.
  Task<Lease> acquire(std::size_t bytes);

  std::size_t block_bytes() const { return classes_[1].block_bytes; }
  /// Blocks of the class for `bytes` that nobody has.
  std::size_t available(std::size_t bytes) const { return class_of(bytes).free.size(); }
  std::size_t waiting() const { return classes_[0].waiters.size() + classes_[1].waiters.size(); }
  /// All blocks, for Ring::register_buffer.
  std::span<std::byte> region() const { return region_; }
  /// Registers the region with the ring. If the memory-lock limit forbids it, that is logged with
  /// what to do about it, and the server goes on without.
  void register_with(Ring& ring);

 private:
  struct Class;
  /// One who waits. The block is given to it before it is posted, so nobody can overtake it.
  struct Waiter {
    Class& from;
    std::span<std::byte> block;
    std::coroutine_handle<> handle;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      handle = waiter;
      from.waiters.push_back(this);
    }
    void await_resume() const noexcept {}
  };
  struct Class {
    std::size_t block_bytes = 0;
    std::size_t blocks = 0;
    std::vector<std::byte*> free;
    std::deque<Waiter*> waiters;
  };

  BufferPool() = default;
  void give_back(std::span<std::byte> block);
  Class& class_of(std::size_t bytes) { return classes_[bytes <= classes_[0].block_bytes ? 0 : 1]; }
  const Class& class_of(std::size_t bytes) const {
    return classes_[bytes <= classes_[0].block_bytes ? 0 : 1];
  }

  std::array<Class, 2> classes_;  ///< small, large
  std::span<std::byte> region_;
  std::span<std::byte> mapping_;
};

}  // namespace benchfs
