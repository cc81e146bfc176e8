// The data of files on this server: a few local sparse files per inode (placement/stripes.hpp), at
//     <data_dir>/chunks/<two hex digits>/<inode, 16 hex digits>.<stripe file>
// made when first written to. A hole reads as zeros, and removing the local files frees all of it.
// On storage that is memory, data of up to 4 KiB are in the pack (pack.hpp) instead, until more is
// needed of them than to be read, written, shortened and removed.
//
// How data moves (config io_mode):
//   plain   pread and pwrite. For storage that is memory: there the kernel hands every ring request
//   to
//           a worker thread, 30 us where the call takes 1.
//   ring    the io_uring; what is in the page cache is read at once (preadv2 with RWF_NOWAIT).
//   direct  like ring, with O_DIRECT for the parts that are aligned to 4 KiB in file and memory.
//   auto    plain on tmpfs and ramfs, ring elsewhere.
// Without a ring (the kernel may forbid io_uring) every mode is plain.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/server_config.hpp"
#include "base/status.hpp"
#include "base/types.hpp"
#include "loop/offload.hpp"
#include "loop/ring.hpp"
#include "loop/sync.hpp"
#include "placement/stripes.hpp"
#include "storage/fd_cache.hpp"
#include "storage/made_files.hpp"
#include "storage/pack.hpp"

namespace benchfs {

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
  std::uint64_t files = 0;  ///< that can still be made; ~0: it has no limit for them
};

/// Single-threaded. Buffers stay the caller's, untouched until the task has ended.
class ChunkStore {
 public:
  struct Options {
    std::string data_dir;  ///< exists
    IoMode io_mode = IoMode::automatic;
    std::size_t open_files_max = 1024;
  };
  /// Makes the folders that are missing and counts what is there. `ring` may be null; ring and
  /// offload outlive the store. Error: the errno of what failed, logged with the path.
  static Result<std::unique_ptr<ChunkStore>> create(Options options, Ring* ring, Offload& offload);
  ~ChunkStore();
  ChunkStore(const ChunkStore&) = delete;
  ChunkStore& operator=(const ChunkStore&) = delete;

  /// Reads up to into.size() bytes at `offset`; fewer where nothing of the range lies beyond, none
  /// of a file that has no data here. What is missing before that reads as zeros.
  Task<Result<std::size_t>> read(InodeId inode, std::uint64_t offset, std::span<std::byte> into);
  /// Writes all of `from`. Errors: no_space, quota, too_big, io; a part may have been written then.
  Task<Status> write(InodeId inode, std::uint64_t offset, std::span<const std::byte> from);
  /// All that was written before this call, by anybody, is on the device when it returns. Once the
  /// device has lost data of a file, every sync of it fails until the file is removed: the kernel
  /// reports such an error only once. On a file system in memory there is nothing to do.
  Task<Status> sync(InodeId inode);
  /// The same of all files, by one call on the file system below data_dir, of which other data are
  /// written to the device along with them. Fails as well while data of any file are lost.
  Task<Status> sync_all();
  /// Data at and beyond `size` goes, and what allocate() has set aside there. A local file that
  /// ends before may end at `size` then, with zeros.
  Task<Status> truncate(InodeId inode, std::uint64_t size);
  /// All data of the file goes; those who are reading it go on. A missing file is no error.
  Task<Status> remove(InodeId inode);

  // Storage and holes, holes.cc. Offsets are in the file.

  /// Sets storage aside for the range: what is written there later finds room. Contents and lengths
  /// stay. Errors: no_space, quota, too_big, not_supported; a part may have been set aside then.
  Task<Status> allocate(InodeId inode, std::uint64_t offset, std::uint64_t bytes);
  /// The range reads as zeros and takes no storage. Error: not_supported.
  Task<Status> punch(InodeId inode, std::uint64_t offset, std::uint64_t bytes);
  /// Storage that the file takes here.
  Result<std::uint64_t> allocated_bytes(InodeId inode);
  /// The first byte in [offset, limit) that is data.
  Result<std::optional<std::uint64_t>> next_data(InodeId inode, std::uint64_t offset,
                                                 std::uint64_t limit);
  /// Looks for holes in one file, at increasing offsets. Knows what it has seen: forget() after
  /// others may have run.
  class HoleSearch {
   public:
    HoleSearch(ChunkStore& store, InodeId inode) : store_(store), inode_(inode) {}
    /// The first byte in [offset, end) that is in a hole.
    Result<std::optional<std::uint64_t>> next(std::uint64_t offset, std::uint64_t end);
    /// System calls made so far.
    unsigned looks() const { return looks_; }
    void forget() { known_ = {}; }

   private:
    struct Extent {
      std::uint64_t begin = 0, end = 0;  ///< of data, in a local file
    };
    ChunkStore& store_;
    InodeId inode_;
    std::array<Extent, kStripeFiles> known_{};
    unsigned looks_ = 0;
  };

  /// stored_bytes is counted when files are opened, closed, removed and asked for here, not at each
  /// write; a file that is removed counts until nobody has it open. Looks at those open files that
  /// may have changed.
  Result<StorageUsage> usage();
  /// The same of the files that count for a quota.
  std::uint64_t stored_for(QuotaId quota);
  /// By two system calls.
  Result<Device> device() const;
  /// Bytes of the blocks [begin, end) of the file that are not allocated; on storage that is memory
  /// also those that allocate() has set aside, until they are written. Both are multiples of
  /// `block`. A few system calls.
  Result<std::uint64_t> unallocated(InodeId inode, std::uint64_t begin, std::uint64_t end,
                                    std::uint64_t block);
  /// Files that have local files here, chunk_list.cc: at most `most` of them, in an order of its
  /// own, from the first one after `after` on (0: from the start). Looks on the helper thread.
  Task<Result<std::vector<InodeId>>> list(InodeId after, std::size_t most);
  /// Bytes allocated by the local files of one; nothing if it has none. Those that somebody else
  /// has put there are known from then on, and can be removed.
  Result<std::optional<std::uint64_t>> stored(InodeId inode);
  /// What io_mode has come to: never automatic.
  IoMode mode() const { return mode_; }
  std::size_t open_files() const { return cache_.size(); }
  /// Waits for what runs in the background and closes all files. No call may be in progress.
  Task<void> close();

  /// From now on local files that are made are counted there, before anything is written to them.
  /// Null: nowhere.
  void count_made_in(std::atomic<std::uint64_t>* count) { made_ = count; }

  /// The local file's path below data_dir.
  static std::string path_of(ChunkFile id);

  /// A local file whose descriptor another process has as well, for as long as this lives. Its
  /// changes are then taken to be made at any time.
  class Share {
   public:
    explicit Share(FdCache::Pin pin) : pin_(std::move(pin)) { ++pin_->shares; }
    Share(Share&& other) noexcept = default;
    Share& operator=(Share&&) = delete;
    ~Share() {
      if (!pin_) return;
      --pin_->shares;
      ++pin_->changes;
    }
    int descriptor() const { return pin_->fd; }

   private:
    FdCache::Pin pin_;
  };
  /// Error: not_found if it is missing and `create` is false.
  Result<Share> share(ChunkFile id, bool create);

 private:
  enum class Missing { create, fail };
  struct Folder {
    /// Files made in it, and how many of those names are on the device.
    std::uint64_t changes = 1, synced = 0;
  };
  static constexpr std::size_t kFolders = 64;
  static std::size_t folder_of(InodeId inode);

  ChunkStore(Options options, Ring* ring, Offload& offload);
  Status start();
  Status take_note_of(int fd);
  /// The local file, open. One that is in the pack leaves it.
  Result<FdCache::Pin> pin(ChunkFile id, Missing missing);
  Result<FdCache::Pin> pin_file(ChunkFile id, Missing missing);
  int open_file(ChunkFile id, int flags);
  Task<Result<std::size_t>> read_across(InodeId inode, std::uint64_t offset,
                                        std::span<std::byte> into);
  Task<Status> write_across(InodeId inode, std::uint64_t offset, std::span<const std::byte> from);
  Task<Result<std::size_t>> read_file(ChunkFile id, std::uint64_t offset,
                                      std::span<std::byte> into);
  Task<Status> write_file(ChunkFile id, std::uint64_t offset, std::span<const std::byte> from);
  Task<Status> sync_file(ChunkFile id);
  Task<Status> truncate_file(ChunkFile id, std::uint64_t size);
  void give_back_beyond(FdCache::File& file, std::uint64_t size);
  Status remove_file(ChunkFile id);
  bool direct_ready(FdCache::File& file);
  Task<Result<std::size_t>> read_direct(FdCache::File& file, std::uint64_t offset,
                                        std::span<std::byte> into);
  Task<Result<std::size_t>> read_ring(FdCache::File& file, int fd, std::uint64_t offset,
                                      std::span<std::byte> into);
  Task<Status> write_direct(FdCache::File& file, std::uint64_t offset,
                            std::span<const std::byte> from);
  Task<Status> write_ring(int fd, std::uint64_t offset, std::span<const std::byte> from);
  Task<Status> sync_folder(std::size_t folder);
  // chunk_pack.cc
  Status open_pack();
  Status make_file_of_packed(InodeId inode);
  std::optional<std::size_t> packed(ChunkFile id) const {
    return pack_ == nullptr || id.stripe != 0 ? std::nullopt : pack_->bytes(id.inode);
  }
  std::optional<Status> write_packed(ChunkFile id, std::uint64_t offset,
                                     std::span<const std::byte> from);
  void truncate_packed(InodeId inode, std::uint64_t size);
  bool remove_packed(ChunkFile id);
  void give_back_surplus();
  Task<void> punch_later(std::vector<std::uint32_t> blocks);
  void recount(FdCache::File& file);
  void count_stored(InodeId inode, std::int64_t change);
  void closing(FdCache::File& file);
  Task<void> close_later(int fd);

  Options options_;
  Ring* ring_;
  Offload& offload_;
  IoMode mode_ = IoMode::plain;
  bool volatile_ = false;  ///< the storage is memory: a sync has nothing to do
  bool no_wait_ = true;    ///< the file system knows RWF_NOWAIT
  bool beneath_ = true;    ///< the kernel has openat2
  int chunks_fd_ = -1;     ///< <data_dir>/chunks
  std::int64_t stored_bytes_ = 0;
  std::unordered_map<QuotaId, std::int64_t> quota_bytes_;  ///< of stored_bytes_
  std::atomic<std::uint64_t>* made_ = nullptr;
  MadeFiles made_files_;
  std::unique_ptr<Pack> pack_;  ///< null: every file has local files
  std::array<Folder, kFolders> folders_{};
  std::unordered_map<InodeId, Error> lost_;  ///< files of which the device has lost data
  Gate background_;
  FdCache cache_;
};

}  // namespace benchfs
