// The data of files on this server. Two ways to keep them:
//   FileChunks    local sparse files: for devices, and wherever io_mode asks for them
//   MemoryChunks  an arena, for storage that is memory (io_mode memory, and auto on large enough
//                 tmpfs and ramfs): no page is allocated at a write, and clients on the host copy
// What one of them has left in a data directory, the other takes over when it opens it.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/server_config.hpp"
#include "base/status.hpp"
#include "base/types.hpp"
#include "loop/offload.hpp"
#include "loop/ring.hpp"

namespace benchfs {

class Arena;
class FileChunks;

struct StorageUsage {
  /// Allocated by the chunk files of this server, as the file system counts it (holes are free).
  std::uint64_t stored_bytes = 0;
  /// Of the file system under data_dir, which others may use as well.
  std::uint64_t capacity_bytes = 0;
  std::uint64_t free_bytes = 0;
};

/// The file system under data_dir.
struct Device {
  std::uint64_t id = 0;  ///< different for those of one host
  std::uint64_t block_bytes = 0;
  std::uint64_t bytes = 0, free_bytes = 0, available_bytes = 0;
  std::uint64_t set_aside_bytes = 0;  ///< of both: for file data alone
  std::uint64_t files = 0;            ///< that can still be made; ~0: it has no limit for them
};

/// Single-threaded. Buffers stay the caller's, untouched until the task has ended.
class ChunkStore {
 public:
  struct Options {
    std::string data_dir;  ///< exists
    IoMode io_mode = IoMode::automatic;
    std::size_t open_files_max = 1024;
    /// Of file data, which others see to; as little is kept ready for them. 0: none.
    std::uint64_t limit_bytes = 0;
    /// What the helper thread may take at first to make memory ready (MemoryChunks).
    std::int64_t warm_up_ms = 200;
  };
  /// Makes what is missing below data_dir and counts what is there. `ring` may be null; ring and
  /// offload outlive the store. Error: the errno of what failed, logged with the path.
  static Result<std::unique_ptr<ChunkStore>> create(Options options, Ring* ring, Offload& offload);
  virtual ~ChunkStore() = default;
  ChunkStore(const ChunkStore&) = delete;
  ChunkStore& operator=(const ChunkStore&) = delete;

  /// Reads up to into.size() bytes at `offset`; fewer where nothing of the range lies beyond, none
  /// of a file that has no data here. What is missing before that reads as zeros.
  virtual Task<Result<std::size_t>> read(InodeId inode, std::uint64_t offset,
                                         std::span<std::byte> into) = 0;
  /// Writes all of `from`. Errors: no_space, quota, too_big, io; a part may have been written then.
  virtual Task<Status> write(InodeId inode, std::uint64_t offset,
                             std::span<const std::byte> from) = 0;
  /// All that was written before this call, by anybody, is on the device when it returns. Once the
  /// device has lost data of a file, every sync of it fails until the file is removed: the kernel
  /// reports such an error only once. On a file system in memory there is nothing to do.
  virtual Task<Status> sync(InodeId inode) = 0;
  /// The same of all files, by one call on the file system below data_dir, of which other data are
  /// written to the device along with them. Fails as well while data of any file are lost.
  virtual Task<Status> sync_all() = 0;
  /// Data at and beyond `size` goes, and what allocate() has set aside there. What ends before may
  /// end at `size` then, with zeros.
  virtual Task<Status> truncate(InodeId inode, std::uint64_t size) = 0;
  /// All data of the file goes; those who are reading it go on. A missing file is no error.
  virtual Task<Status> remove(InodeId inode) = 0;

  // Storage and holes. Offsets are in the file.

  /// Sets storage aside for the range: what is written there later finds room. Contents and lengths
  /// stay. Errors: no_space, quota, too_big, not_supported; a part may have been set aside then.
  virtual Task<Status> allocate(InodeId inode, std::uint64_t offset, std::uint64_t bytes) = 0;
  /// The range reads as zeros and takes no storage. Error: not_supported.
  virtual Task<Status> punch(InodeId inode, std::uint64_t offset, std::uint64_t bytes) = 0;
  /// Storage that the file takes here.
  virtual Result<std::uint64_t> allocated_bytes(InodeId inode) = 0;
  /// The first byte in [offset, limit) that is data.
  virtual Result<std::optional<std::uint64_t>> next_data(InodeId inode, std::uint64_t offset,
                                                         std::uint64_t limit) = 0;
  /// Looks for holes in one file, at increasing offsets. Knows what it has seen: forget() after
  /// others may have run.
  class HoleSearch {
   public:
    virtual ~HoleSearch() = default;
    /// The first byte in [offset, end) that is in a hole.
    virtual Result<std::optional<std::uint64_t>> next(std::uint64_t offset, std::uint64_t end) = 0;
    /// System calls made so far.
    virtual unsigned looks() const { return 0; }
    virtual void forget() {}
  };
  virtual std::unique_ptr<HoleSearch> search_holes(InodeId inode) = 0;

  /// stored_bytes is counted when files are opened, closed, removed and asked for here, not at each
  /// write; a file that is removed counts until nobody uses it. Looks at what may have changed.
  virtual Result<StorageUsage> usage() = 0;
  /// The same of the files that count for a quota.
  virtual std::uint64_t stored_for(QuotaId quota) = 0;
  /// By two system calls.
  virtual Result<Device> device() const = 0;
  /// Bytes of the blocks [begin, end) of the file that are not allocated; on storage that is memory
  /// also those that allocate() has set aside in local files, until they are written. Both are
  /// multiples of `block`, the device's. A few system calls.
  virtual Result<std::uint64_t> unallocated(InodeId inode, std::uint64_t begin, std::uint64_t end,
                                            std::uint64_t block) = 0;
  /// Files that have data here: at most `most` of them, in an order of its own, from the first one
  /// after `after` on (0: from the start).
  virtual Task<Result<std::vector<InodeId>>> list(InodeId after, std::size_t most) = 0;
  /// Bytes allocated by one; nothing if it has no data here. What somebody else has put there is
  /// known from then on, and can be removed.
  virtual Result<std::optional<std::uint64_t>> stored(InodeId inode) = 0;
  /// What io_mode has come to: never automatic.
  virtual IoMode mode() const = 0;
  /// Now and then: work that has been put off.
  virtual void tend() {}
  /// Waits for what runs in the background and closes all files. No call may be in progress.
  virtual Task<void> close() = 0;

  // What clients on this host may use themselves: one of the two is not null.

  virtual Arena* arena() { return nullptr; }
  virtual FileChunks* files() { return nullptr; }
  /// Clients are going to use the arena for this file: what it has elsewhere is in the arena then.
  /// Error: not_found: no data here, and `create` is false.
  virtual Status open_up(InodeId inode, bool create) {
    static_cast<void>(inode);
    static_cast<void>(create);
    return fail(Errc::not_supported);
  }
  /// Waits until clients find free blocks in the arena, if more are just being made ready.
  virtual Task<void> blocks_ready() { co_return; }
  /// From now on places of data that clients did not know are counted there, before anything is
  /// written to them. Null: nowhere.
  void count_made_in(std::atomic<std::uint64_t>* count) { made_ = count; }

 protected:
  ChunkStore() = default;
  /// Clients that know something for a hole look again.
  void count_made() {
    if (made_ != nullptr) made_->fetch_add(1, std::memory_order_release);
  }

 private:
  std::atomic<std::uint64_t>* made_ = nullptr;
};

}  // namespace benchfs
