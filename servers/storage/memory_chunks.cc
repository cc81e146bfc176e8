// A file is in the pack as long as it has no more than its first 4 KiB and nobody but the server
// touches it; what comes after that goes into the arena. A file's other segments may be there all
// the while: the pack stands for its first one alone.
#include "storage/memory_chunks.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/log.hpp"
#include "storage/chunks_folder.hpp"

namespace benchfs {

MemoryChunks::MemoryChunks(Options options, Offload& offload)
    : options_(std::move(options)),
      offload_(offload),
      warm_up_ns_(options_.warm_up_ms * 1'000'000) {}

MemoryChunks::~MemoryChunks() {
  BFS_ASSERT(background_.inside() == 0);
  if (folder_fd_ >= 0) ::close(folder_fd_);
}

Status MemoryChunks::start() {
  const std::string folder = chunks_folder(options_.data_dir);
  BFS_TRY(folder_fd, open_chunks_folder(options_.data_dir));
  folder_fd_ = folder_fd;
  BFS_TRY(device, device_of(folder_fd_));
  if (device.bytes == 0) {  // ramfs: as large as the memory
    const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
    device.bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  BFS_TRY(arena, Arena::open(folder, device.bytes));
  arena_ = std::move(arena);
  BFS_TRY(pack, Pack::open(folder));
  pack_ = std::move(pack);
  set_ready_for(device.bytes);
  BFS_CHECK(taken, take_over_files());
  std::vector<InodeId> doubled;
  pack_->for_each([&](InodeId inode) {
    count_packed(inode, 1);
    // The process died while it copied the block: nobody else has written to the copy.
    if (arena_->has_segment(inode, 0)) doubled.push_back(inode);
  });
  for (const InodeId inode : doubled) {
    BFS_CHECK(left, leave_pack(inode));
  }
  return {};
}

// ---- data ----

Task<Result<std::size_t>> MemoryChunks::read(InodeId inode, std::uint64_t offset,
                                             std::span<std::byte> into) {
  if (!pack_->has(inode)) co_return arena_->read(inode, offset, into);
  std::size_t first = 0;
  if (offset < Pack::kBlockBytes) {
    const auto part = into.first(std::min<std::uint64_t>(into.size(), Pack::kBlockBytes - offset));
    BFS_CO_TRY(count, pack_->read(inode, offset, part));
    first = count;
    std::memset(part.data() + first, 0, part.size() - first);
    if (part.size() == into.size()) co_return first;
    // The arena has nothing of the first segment.
    const std::size_t rest = arena_->read(inode, offset + part.size(), into.subspan(part.size()));
    co_return rest > 0 ? part.size() + rest : first;
  }
  co_return arena_->read(inode, offset, into);
}

Task<Status> MemoryChunks::write(InodeId inode, std::uint64_t offset,
                                 std::span<const std::byte> from) {
  Status done;
  if (write_packed(inode, offset, from, &done)) co_return done;
  if (offset < arena::kSegmentBytes && pack_->has(inode)) {
    BFS_CO_CHECK(left, leave_pack(inode));
  }
  co_return arena_->write(inode, offset, from);
}

/// False: it is not for the pack.
bool MemoryChunks::write_packed(InodeId inode, std::uint64_t offset,
                                std::span<const std::byte> from, Status* done) {
  if (from.empty() || offset >= Pack::kBlockBytes || from.size() > Pack::kBlockBytes - offset) {
    return false;
  }
  if (pack_->has(inode)) {
    *done = pack_->write(inode, offset, from);
    return true;
  }
  if (arena_->has_segment(inode, 0)) return false;
  count_made();
  if (!pack_->write(inode, offset, from)) return false;  // no room there
  count_packed(inode, 1);
  return true;
}

/// From the pack into the arena.
Status MemoryChunks::leave_pack(InodeId inode) {
  std::array<std::byte, Pack::kBlockBytes> data{};
  BFS_TRY(bytes, pack_->read(inode, 0, data));
  const Status written = arena_->write(inode, 0, std::span(data).first(bytes));
  if (!written) return written;
  pack_->remove(inode);
  count_packed(inode, -1);
  return {};
}

Status MemoryChunks::open_up(InodeId inode, bool create) {
  if (create) expect_writers();
  if (pack_->has(inode)) return leave_pack(inode);
  if (create || arena_->has(inode)) return {};
  return fail(Errc::not_found, ENOENT);
}

Task<Status> MemoryChunks::sync([[maybe_unused]] InodeId inode) {
  co_return Status{};
}

Task<Status> MemoryChunks::sync_all() {
  co_return Status{};
}

Task<Status> MemoryChunks::truncate(InodeId inode, std::uint64_t size) {
  if (pack_->has(inode)) {
    if (size == 0) {
      remove_packed(inode);
    } else if (size < Pack::kBlockBytes) {
      pack_->truncate(inode, size);
    }
  }
  arena_->truncate(inode, size);
  co_return Status{};
}

Task<Status> MemoryChunks::remove(InodeId inode) {
  if (pack_->has(inode)) remove_packed(inode);
  arena_->remove(inode);
  co_return Status{};
}

void MemoryChunks::remove_packed(InodeId inode) {
  pack_->remove(inode);
  count_packed(inode, -1);
  std::vector<std::uint32_t> blocks = pack_->take_surplus();
  if (!blocks.empty() && !background_.closed()) punch_later(std::move(blocks)).detach();
}

Task<void> MemoryChunks::punch_later(std::vector<std::uint32_t> blocks) {
  const Gate::Pass pass = background_.enter();
  int err = 0;
  auto call = offload_.run([this, &blocks, &err] { err = pack_->punch(blocks); });
  co_await call;
  if (err != 0) {
    log_warn("free blocks of {}/chunks/pack keep their storage: {}", options_.data_dir,
             std::strerror(err));
  }
  pack_->given_back(blocks);
}

// ---- storage and holes ----

Task<Status> MemoryChunks::allocate(InodeId inode, std::uint64_t offset, std::uint64_t bytes) {
  if (offset < arena::kSegmentBytes && pack_->has(inode)) {
    BFS_CO_CHECK(left, leave_pack(inode));
  }
  co_return arena_->allocate(inode, offset, bytes);
}

Task<Status> MemoryChunks::punch(InodeId inode, std::uint64_t offset, std::uint64_t bytes) {
  if (offset < Pack::kBlockBytes && pack_->has(inode)) {
    const std::size_t there = *pack_->bytes(inode);
    const std::uint64_t end = std::min<std::uint64_t>(offset + bytes, there);
    if (offset == 0 && end == there) {
      remove_packed(inode);
    } else if (offset < end) {
      constexpr std::array<std::byte, Pack::kBlockBytes> kZeros{};
      BFS_CO_CHECK(zeroed, pack_->write(inode, offset, std::span(kZeros).first(end - offset)));
    }
  }
  arena_->punch(inode, offset, bytes);
  co_return Status{};
}

Result<std::uint64_t> MemoryChunks::allocated_bytes(InodeId inode) {
  return arena_->allocated_bytes(inode) + (pack_->has(inode) ? Pack::kBlockBytes : 0);
}

Result<std::optional<std::uint64_t>> MemoryChunks::next_data(InodeId inode, std::uint64_t offset,
                                                             std::uint64_t limit) {
  const auto packed = pack_->bytes(inode);
  if (packed && offset < std::min<std::uint64_t>(*packed, limit)) return offset;
  return arena_->next_data(inode, offset, limit);
}

class MemoryChunks::Search final : public HoleSearch {
 public:
  Search(MemoryChunks& chunks, InodeId inode) : chunks_(chunks), inode_(inode) {}
  Result<std::optional<std::uint64_t>> next(std::uint64_t offset, std::uint64_t end) override {
    if (const auto packed = chunks_.pack_->bytes(inode_); packed && offset < *packed) {
      if (*packed >= end) return std::nullopt;
      return *packed;
    }
    return chunks_.arena_->next_hole(inode_, offset, end);
  }

 private:
  MemoryChunks& chunks_;
  InodeId inode_;
};

std::unique_ptr<ChunkStore::HoleSearch> MemoryChunks::search_holes(InodeId inode) {
  return std::make_unique<Search>(*this, inode);
}

Result<std::uint64_t> MemoryChunks::unallocated(InodeId inode, std::uint64_t begin,
                                                std::uint64_t end,
                                                [[maybe_unused]] std::uint64_t block) {
  // What is in the pack stays there if no more is written than fits.
  if (end <= arena::kBlockBytes && pack_->has(inode)) return 0;
  return arena_->unallocated(inode, begin, end);
}

Task<Result<std::vector<InodeId>>> MemoryChunks::list(InodeId after, std::size_t most) {
  std::vector<InodeId> found = arena_->list(after, most);
  std::vector<InodeId> packed;
  pack_->for_each([&](InodeId inode) {
    if (inode > after) packed.push_back(inode);
  });
  const std::size_t taken = std::min(most, packed.size());
  const auto end = packed.begin() + static_cast<std::ptrdiff_t>(taken);
  std::partial_sort(packed.begin(), end, packed.end());
  std::vector<InodeId> both;
  std::set_union(found.begin(), found.end(), packed.begin(), end, std::back_inserter(both));
  if (both.size() > most) both.resize(most);
  co_return both;
}

Result<std::optional<std::uint64_t>> MemoryChunks::stored(InodeId inode) {
  if (!pack_->has(inode) && !arena_->has(inode)) return std::nullopt;
  return allocated_bytes(inode);
}

// ---- how much ----

void MemoryChunks::count_packed(InodeId inode, std::int64_t files) {
  if (const QuotaId quota = quota_of(inode); quota != 0) quota_packed_[quota] += files;
}

std::uint64_t MemoryChunks::stored_for(QuotaId quota) {
  const auto packed = quota_packed_.find(quota);
  const std::int64_t files = packed == quota_packed_.end() ? 0 : packed->second;
  return arena_->used_for(quota) + static_cast<std::uint64_t>(files) * Pack::kBlockBytes;
}

Result<StorageUsage> MemoryChunks::usage() {
  BFS_TRY(there, device());
  StorageUsage usage;
  usage.stored_bytes = arena_->used_bytes() + pack_->files() * Pack::kBlockBytes;
  usage.capacity_bytes = there.bytes;
  usage.free_bytes = there.available_bytes;
  return usage;
}

Result<Device> MemoryChunks::device() const {
  BFS_TRY(device, device_of(folder_fd_));
  device.block_bytes = arena::kBlockBytes;
  // The file system may have become larger than the arena can be.
  device.free_bytes = std::min(device.free_bytes, arena_->blank_bytes());
  device.available_bytes = std::min(device.available_bytes, arena_->blank_bytes());
  device.set_aside_bytes = arena_->free_bytes();
  device.free_bytes += device.set_aside_bytes;
  device.available_bytes += device.set_aside_bytes;
  return device;
}

Task<void> MemoryChunks::close() {
  background_.close();
  auto drained = background_.drained();
  co_await drained;
}

}  // namespace benchfs
