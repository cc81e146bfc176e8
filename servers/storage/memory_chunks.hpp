// The data of files in memory: those of up to 4 KiB in the pack (pack.hpp), all others in an arena
// (arena.hpp), which clients on this host use themselves. docs/adr/0021-pack.md, 0024-arena.md.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "loop/sync.hpp"
#include "storage/arena.hpp"
#include "storage/chunk_store.hpp"
#include "storage/pack.hpp"

namespace benchfs {

class MemoryChunks final : public ChunkStore {
 public:
  MemoryChunks(Options options, Offload& offload);
  ~MemoryChunks() override;
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
  Task<Result<std::vector<InodeId>>> list(InodeId after, std::size_t most) override;
  Result<std::optional<std::uint64_t>> stored(InodeId inode) override;
  IoMode mode() const override { return IoMode::memory; }
  void tend() override;
  Task<void> close() override;
  Arena* arena() override { return arena_.get(); }
  Status open_up(InodeId inode, bool create) override;
  Task<void> blocks_ready() override;

 private:
  class Search;
  void set_ready_for(std::uint64_t device_bytes);
  Status take_over_files();
  Result<std::size_t> take_over_folder(int fd);
  Status take_over_file(InodeId inode, unsigned stripe, int fd);
  Status leave_pack(InodeId inode);
  bool write_packed(InodeId inode, std::uint64_t offset, std::span<const std::byte> from,
                    Status* done);
  void remove_packed(InodeId inode);
  void count_packed(InodeId inode, std::int64_t files);
  Task<void> punch_later(std::vector<std::uint32_t> blocks);
  void expect_writers();
  void keep_ready();
  Task<void> get_ready();
  Task<void> give_back(std::vector<arena::GroupIndex> extents);

  Options options_;
  Offload& offload_;
  int folder_fd_ = -1;
  std::unique_ptr<Pack> pack_;
  std::unique_ptr<Arena> arena_;
  std::unordered_map<QuotaId, std::int64_t> quota_packed_;  ///< files in the pack
  // Free blocks are kept ready, so that no writer waits for the kernel's pages.
  std::uint64_t ready_bytes_ = 0, ready_max_bytes_ = 0, keep_bytes_ = 0;
  std::int64_t warm_up_ns_;  ///< of the helper's time, in which it goes beyond ready_bytes_
  bool getting_ready_ = false, giving_back_ = false;
  unsigned surplus_seen_ = 0;
  WaitQueue made_ready_;
  Gate background_;
};

}  // namespace benchfs
