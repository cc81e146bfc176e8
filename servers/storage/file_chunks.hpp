// The data of files in a few local sparse files per inode (placement/stripes.hpp), at
//     <data_dir>/chunks/<two hex digits>/<inode, 16 hex digits>.<stripe file>
// made when first written to. A hole reads as zeros, and removing the local files frees all of it.
//
// How data moves (config io_mode):
//   plain   pread and pwrite. For storage that is memory: there the kernel hands every ring request
//   to
//           a worker thread, 30 us where the call takes 1.
//   ring    the io_uring; what is in the page cache is read at once (preadv2 with RWF_NOWAIT).
//   direct  like ring, with O_DIRECT for the parts that are aligned to 4 KiB in file and memory.
//   auto    plain on tmpfs and ramfs, ring elsewhere; memory: the same, as it is not for here.
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

#include "loop/sync.hpp"
#include "placement/stripes.hpp"
#include "storage/chunk_store.hpp"
#include "storage/fd_cache.hpp"
#include "storage/made_files.hpp"

namespace benchfs {

/// Single-threaded. Buffers stay the caller's, untouched until the task has ended.
class FileChunks final : public ChunkStore {
 public:
  FileChunks(Options options, Ring* ring, Offload& offload);
  ~FileChunks() override;
  /// Opens what there is. Errors are logged.
  Status start();

  Task<Result<std::size_t>> read(InodeId inode, std::uint64_t offset,
                                 std::span<std::byte> into) override;
  Task<Status> write(InodeId inode, std::uint64_t offset, std::span<const std::byte> from) override;
  Task<Status> sync(InodeId inode) override;
  Task<Status> sync_all() override;
  Task<Status> truncate(InodeId inode, std::uint64_t size) override;
  Task<Status> remove(InodeId inode) override;
  Task<Status> allocate(InodeId inode, std::uint64_t offset, std::uint64_t bytes) override;
  Task<Status> punch(InodeId inode, std::uint64_t offset, std::uint64_t bytes) override;
  Result<std::uint64_t> allocated_bytes(InodeId inode) override;
  Result<std::optional<std::uint64_t>> next_data(InodeId inode, std::uint64_t offset,
                                                 std::uint64_t limit) override;
  std::unique_ptr<HoleSearch> search_holes(InodeId inode) override;
  Result<StorageUsage> usage() override;
  std::uint64_t stored_for(QuotaId quota) override;
  Result<Device> device() const override;
  Result<std::uint64_t> unallocated(InodeId inode, std::uint64_t begin, std::uint64_t end,
                                    std::uint64_t block) override;
  /// Looks on the helper thread.
  Task<Result<std::vector<InodeId>>> list(InodeId after, std::size_t most) override;
  Result<std::optional<std::uint64_t>> stored(InodeId inode) override;
  IoMode mode() const override { return mode_; }
  Task<void> close() override;
  FileChunks* files() override { return this; }
  std::size_t open_files() const { return cache_.size(); }

  /// The local file's path below data_dir.
  static std::string path_of(ChunkFile id);
  /// Nothing: not the name of a local file.
  static std::optional<ChunkFile> named(const char* name);
  /// Folders of local files: two hex digits, from 00.
  static constexpr std::size_t kFolders = 64;

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
  static std::size_t folder_of(InodeId inode);

  class Search;
  Status take_note_of(int fd);
  /// The local file, open.
  Result<FdCache::Pin> pin(ChunkFile id, Missing missing);
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
  // file_chunks_import.cc
  Status take_over();
  Status take_over_pack();
  Status take_over_arena();
  Status put_plain(InodeId inode, std::uint64_t offset, std::span<const std::byte> from);
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
  MadeFiles made_files_;
  std::array<Folder, kFolders> folders_{};
  std::unordered_map<InodeId, Error> lost_;  ///< files of which the device has lost data
  Gate background_;
  FdCache cache_;
};

}  // namespace benchfs
