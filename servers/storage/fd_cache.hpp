// The chunk files that are open, least recently used first out. A file in use is pinned and stays.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <unordered_map>
#include <utility>

#include "base/types.hpp"
#include "loop/sync.hpp"

namespace benchfs {

/// Keeps direct and buffered I/O on one file apart: any number of one kind at a time, never both.
/// The kernel keeps the two coherent only while they do not overlap in time (open(2), O_DIRECT,
/// NOTES).
class IoTurns {
 public:
  enum class Kind : std::uint8_t { buffered, direct };
  /// Suspends until operations of `kind` may run. Whoever comes while others wait, waits behind
  /// them.
  Task<void> enter(Kind kind);
  void leave();
  bool idle() const { return running_ == 0 && waiters_.empty(); }

 private:
  struct Waiter {
    IoTurns& turns;
    Kind kind;
    std::coroutine_handle<> handle;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      handle = waiter;
      turns.waiters_.push_back(this);
    }
    void await_resume() const noexcept {}
  };
  Kind kind_ = Kind::buffered;
  std::uint32_t running_ = 0;
  std::deque<Waiter*> waiters_;
};

/// One of the local files of a file: placement/stripes.hpp.
struct ChunkFile {
  ChunkFile() = default;
  ChunkFile(InodeId number, unsigned index = 0)
      : inode(number), stripe(index) {}  // NOLINT: implicit
  InodeId inode = 0;
  unsigned stripe = 0;
  bool operator==(const ChunkFile&) const = default;
};
struct ChunkFileHash {
  std::size_t operator()(const ChunkFile& file) const {
    return std::hash<std::uint64_t>()(file.inode ^ (std::uint64_t{file.stripe} << 61));
  }
};

/// Single-threaded. Descriptors are opened by the caller and given over to the cache.
class FdCache {
 public:
  struct File {
    ChunkFile id;
    int fd = -1;
    int direct_fd = -1;      ///< with O_DIRECT, opened when first needed
    bool no_direct = false;  ///< the file system refuses O_DIRECT for it
    std::uint32_t pins = 0;
    bool removed = false;  ///< unlinked: closed with its last pin
    std::uint32_t shares =
        0;  ///< processes that have the descriptor, too: changes are not all seen here
    /// Changes made, and how many of them are known to be on the device. A file that was just
    /// opened may carry changes of an earlier descriptor, so it starts with one.
    std::uint64_t changes = 1;
    std::uint64_t synced = 0;
    /// Allocated bytes when last looked at, and the changes seen then.
    std::uint64_t allocated_bytes = 0;
    std::uint64_t allocated_at = 1;
    IoTurns turns;
  };

  /// Keeps a file open and in the cache.
  class Pin {
   public:
    Pin() = default;
    Pin(FdCache& cache, std::list<File>::iterator file) : cache_(&cache), file_(file) {}
    Pin(Pin&& other) noexcept : cache_(std::exchange(other.cache_, nullptr)), file_(other.file_) {}
    Pin& operator=(Pin&&) = delete;
    ~Pin() {
      if (cache_ != nullptr) cache_->unpin(file_);
    }
    explicit operator bool() const { return cache_ != nullptr; }
    File* operator->() const { return &*file_; }
    File& operator*() const { return *file_; }

   private:
    FdCache* cache_ = nullptr;
    std::list<File>::iterator file_;
  };

  /// `on_close` takes over the descriptors of a file that leaves the cache.
  FdCache(std::size_t files_max, std::function<void(File&)> on_close);
  ~FdCache();
  FdCache(const FdCache&) = delete;
  FdCache& operator=(const FdCache&) = delete;

  /// The file if it is open; else an empty pin.
  Pin find(ChunkFile id);
  /// Adds an open file that is not in the cache. Others leave to make room; if all are in use, the
  /// cache is larger than its limit until one is not.
  Pin insert(ChunkFile id, int fd);
  /// The file's name is gone: it is not found any more, and is closed once nobody uses it.
  void remove(ChunkFile id);
  /// Closes the file that was used longest ago. False if all are in use.
  bool evict_one();
  /// Calls `visit` for every file in the cache, and for those removed that are in use.
  void for_each(const std::function<void(File&)>& visit);
  /// Closes all. Only while none is in use.
  void clear();
  std::size_t size() const { return index_.size(); }

 private:
  void unpin(std::list<File>::iterator file);
  void trim();

  std::size_t files_max_;
  std::function<void(File&)> on_close_;
  std::list<File> idle_;    ///< not in use; used last at the front
  std::list<File> in_use_;  ///< pinned, and removed ones that still are
  std::unordered_map<ChunkFile, std::list<File>::iterator, ChunkFileHash> index_;
};

}  // namespace benchfs
