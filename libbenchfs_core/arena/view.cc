// Copies between a process's memory and the blocks of files, and how free blocks come into a file:
// they are filled first and put into its map then, so that nobody ever sees what was in them
// before.
#include "arena/view.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace benchfs::arena {
namespace {

std::unexpected<Error> failed(int err) {
  return fail(errc_from_errno(err), err);
}

constexpr std::uint64_t kMapsMax = 0xffffffffu;

unsigned place_in_group(Block block) {
  return block % kSegmentBlocks;
}

/// Blocks of a map that follow each other in the arena, or places that have none.
struct Extent {
  Block first;      ///< 0: none of them has a block
  unsigned places;  ///< from that of the range's first byte on
  std::size_t bytes;
};
/// The first one of [offset, offset + bytes), within the segment. Neighbours in a file are mostly
/// neighbours in the arena.
Extent extent_at(const SegmentMap& map, std::size_t offset, std::size_t bytes) {
  const std::size_t at = offset >> kBlockShift;
  const std::size_t places = ((offset + bytes - 1) >> kBlockShift) - at + 1;
  const Block first = map.blocks[at].load(std::memory_order_acquire);
  unsigned same = 1;
  while (same < places) {
    const Block next = map.blocks[at + same].load(std::memory_order_acquire);
    if (next != (first == 0 ? 0 : first + same)) break;
    ++same;
  }
  const std::size_t end = std::min((at + same) << kBlockShift, offset + bytes);
  return {first, same, end - offset};
}

/// Has the memory mapped before it is written to. The kernel maps many pages at a fault that reads
/// (64 KiB of them, unless told otherwise), but one only at a fault that writes: of small pages,
/// 300 us for 1 MiB where this takes 70. What is mapped already costs a load for each 64 KiB.
void touch(const std::byte* memory, std::size_t bytes) {
  constexpr std::size_t kAround = std::size_t{64} << 10;
  const std::byte* end = memory + bytes;
  while (memory < end) {
    static_cast<void>(*static_cast<const volatile std::byte*>(memory));
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    memory += kAround - address % kAround;
  }
}

/// A POSIX lock, which belongs to the process and ends with it.
struct flock slot_lock(std::uint32_t slot) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = slot;
  lock.l_len = 1;
  return lock;
}

}  // namespace

// ---- Mapping ----

Result<Mapping> Mapping::of(int fd, std::size_t bytes) {
  // A page of 2 MiB can be mapped as one only where address and offset agree.
  const std::size_t room = bytes + kHugeBytes;
  void* reserved =
      ::mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return failed(errno);
  auto* begin = static_cast<std::byte*>(reserved);
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  std::byte* at = begin + (-address & (kHugeBytes - 1));
  void* mapped = ::mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  if (mapped == MAP_FAILED) {
    const int err = errno;
    ::munmap(reserved, room);
    return failed(err);
  }
  std::byte* end = at + (bytes + 4095) / 4096 * 4096;
  if (at > begin) ::munmap(begin, static_cast<std::size_t>(at - begin));
  if (begin + room > end) ::munmap(end, static_cast<std::size_t>(begin + room - end));
  ::madvise(at, bytes, MADV_DONTDUMP);
  return Mapping(at, bytes);
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

// ---- View ----

Result<std::unique_ptr<View>> View::map(int data_fd, int index_fd, std::uint32_t slot) {
  struct stat data_facts {};
  struct stat index_facts {};
  if (::fstat(data_fd, &data_facts) != 0 || ::fstat(index_fd, &index_facts) != 0) {
    return failed(errno);
  }
  const auto index_bytes = static_cast<std::size_t>(index_facts.st_size);
  if (index_bytes < sizeof(Header) || slot >= kProcessesMax) return fail(Errc::stale);
  std::unique_ptr<View> view(new View);
  BFS_TRY(index, Mapping::of(index_fd, index_bytes));
  view->index_ = std::move(index);
  const Header& header = view->header();
  if (header.magic != Header::kMagic || header.version != Header::kVersion) {
    return fail(Errc::stale);
  }
  const bool sound = header.groups <= kGroupsMax && std::has_single_bit(header.buckets) &&
                     header.buckets > 1 && header.maps <= kMapsMax;
  if (!sound) return fail(Errc::stale);
  const Layout layout = layout_of(header.groups, header.buckets, header.maps);
  const std::size_t data_bytes = header.groups << kSegmentShift;
  if (layout.bytes > index_bytes || data_bytes > static_cast<std::size_t>(data_facts.st_size)) {
    return fail(Errc::stale);
  }
  BFS_TRY(data, Mapping::of(data_fd, data_bytes));
  view->data_ = std::move(data);
  std::byte* base = view->index_.data();
  view->groups_ = reinterpret_cast<Group*>(base + layout.groups_at);
  view->buckets_ = reinterpret_cast<std::atomic<std::uint32_t>*>(base + layout.buckets_at);
  view->maps_ = reinterpret_cast<SegmentMap*>(base + layout.maps_at);
  view->bucket_shift_ = 64 - static_cast<unsigned>(std::countr_zero(header.buckets));
  view->slot_ = &view->header().processes[slot];
  struct flock lock = slot_lock(slot);
  if (::fcntl(index_fd, F_SETLK, &lock) != 0) return failed(errno);
  view->index_fd_ = index_fd;
  view->set_incarnation();
  return view;
}

View::~View() {
  if (index_fd_ >= 0) ::close(index_fd_);
}

bool slot_in_use(int index_fd, std::uint32_t slot) {
  struct flock lock = slot_lock(slot);
  return ::fcntl(index_fd, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

SegmentMap* View::find(InodeId inode, std::uint64_t segment) {
  std::uint32_t index = bucket_of(inode, segment).load(std::memory_order_acquire);
  while (index != 0) {
    SegmentMap& map = maps_[index];
    if (map.inode.load(std::memory_order_acquire) == inode &&
        map.segment.load(std::memory_order_relaxed) == segment) {
      return &map;
    }
    index = map.next.load(std::memory_order_acquire);
  }
  return nullptr;
}

std::size_t View::read(const SegmentMap& map, std::uint32_t within,
                       std::span<std::byte> into) const {
  const std::uint32_t end = map.end.load(std::memory_order_acquire);
  if (within >= end) return 0;
  const std::size_t there = std::min<std::size_t>(into.size(), end - within);
  for (std::size_t done = 0; done < there;) {
    const std::size_t offset = within + done;
    const Extent extent = extent_at(map, offset, there - done);
    if (extent.first == 0) {
      std::memset(into.data() + done, 0, extent.bytes);
    } else {
      const std::byte* memory = block(extent.first) + offset % kBlockBytes;
      std::memcpy(into.data() + done, memory, extent.bytes);
    }
    done += extent.bytes;
  }
  return there;
}

std::size_t View::write(SegmentMap& map, std::uint32_t within, std::span<const std::byte> from) {
  std::size_t done = 0;
  while (done < from.size()) {
    const std::size_t offset = within + done;
    const Extent extent = extent_at(map, offset, from.size() - done);
    std::size_t bytes = extent.bytes;
    const auto part = from.subspan(done, bytes);
    if (extent.first != 0) {
      std::byte* memory = block(extent.first) + offset % kBlockBytes;
      touch(memory, bytes);
      std::memcpy(memory, part.data(), bytes);
    } else {
      bytes = fill_holes(map, static_cast<std::uint32_t>(offset), extent.places, part);
      if (bytes == 0) break;
    }
    done += bytes;
  }
  if (done > 0) {
    const auto end = static_cast<std::uint32_t>(within + done);
    std::uint32_t known = map.end.load(std::memory_order_relaxed);
    while (known < end && !map.end.compare_exchange_weak(known, end, std::memory_order_release)) {
    }
  }
  return done;
}

/// Takes blocks for `holes` places, which had none, and writes into the first of them from `within`
/// on. As many as lie side by side; the caller comes again for the rest. 0: there is no free block.
std::size_t View::fill_holes(SegmentMap& map, std::uint32_t within, unsigned holes,
                             std::span<const std::byte> from) {
  const unsigned at = within >> kBlockShift;
  const std::size_t inside = within % kBlockBytes;
  const Run run = take_run(holes);
  if (run.count == 0) return 0;
  const std::size_t room = std::size_t{run.count} << kBlockShift;
  const std::size_t bytes = std::min(from.size(), room - inside);
  std::byte* memory = block(run.first);
  touch(memory, room);
  std::memset(memory, 0, inside);
  std::memcpy(memory + inside, from.data(), bytes);
  std::memset(memory + inside + bytes, 0, room - inside - bytes);
  const BlockSet in = put(map, at, run.first, run.count);
  for (unsigned i = 0; i < run.count; ++i) {
    if ((in >> i & 1) != 0) continue;
    // Somebody has put a block there meanwhile: the data go into that one.
    const std::size_t begin = i == 0 ? inside : 0;
    const std::size_t skipped = (std::size_t{i} << kBlockShift) + begin - inside;
    const std::size_t part = std::min(kBlockBytes - begin, bytes - skipped);
    const Block theirs = map.blocks[at + i].load(std::memory_order_acquire);
    if (theirs != 0) std::memcpy(block(theirs) + begin, from.data() + skipped, part);
  }
  return bytes;
}

bool View::reserve(SegmentMap& map, unsigned at, unsigned places) {
  while (places > 0) {
    if (map.blocks[at].load(std::memory_order_relaxed) != 0) {
      ++at;
      --places;
      continue;
    }
    const Run run = take_run(1);
    if (run.count == 0) return false;
    std::memset(block(run.first), 0, kBlockBytes);
    put(map, at, run.first, 1);
  }
  return true;
}

BlockSet View::put(SegmentMap& map, unsigned at, Block first, unsigned count) {
  // Should this process die in between, the server sees which blocks are still free.
  slot_->map.store(index_of(map), std::memory_order_relaxed);
  slot_->first.store(first, std::memory_order_relaxed);
  slot_->at.store(at, std::memory_order_relaxed);
  slot_->count.store(count, std::memory_order_release);
  BlockSet in = 0;
  for (unsigned i = 0; i < count; ++i) {
    Block none = 0;
    if (map.blocks[at + i].compare_exchange_strong(none, first + i)) in |= BlockSet{1} << i;
  }
  const BlockSet left =
      slot_->free.load(std::memory_order_relaxed) & ~(in << place_in_group(first));
  slot_->free.store(left, std::memory_order_release);
  slot_->count.store(0, std::memory_order_release);
  return in;
}

View::Run View::take_run(unsigned most) {
  BlockSet free = slot_->free.load(std::memory_order_relaxed);
  if (free == 0) {
    if (!refill(most == kSegmentBlocks)) return {};
    free = slot_->free.load(std::memory_order_relaxed);
  }
  const auto first = static_cast<unsigned>(std::countr_zero(free));
  const auto count = static_cast<unsigned>(std::countr_one(free >> first));
  const GroupIndex group = slot_->group.load(std::memory_order_relaxed);
  return {group * kSegmentBlocks + first, std::min(count, most)};
}

/// Parts of groups are for those who need less than a whole one.
bool View::refill(bool whole) {
  GroupList& before = whole ? header().whole : header().partial;
  GroupList& after = whole ? header().partial : header().whole;
  GroupIndex index = 0;
  BlockSet blocks = 0;
  if (!take(before, &index, &blocks) && !take(after, &index, &blocks)) return false;
  slot_->group.store(index, std::memory_order_relaxed);
  slot_->free.store(blocks, std::memory_order_release);
  return true;
}

bool View::take(GroupList& list, GroupIndex* index, BlockSet* blocks) {
  std::uint64_t head = list.head.load(std::memory_order_acquire);
  while ((head & kListIndexMask) != 0) {
    const auto first = static_cast<GroupIndex>(head & kListIndexMask);
    Group& group = groups_[first];
    const GroupIndex rest = group.next.load(std::memory_order_relaxed);
    if (!list.head.compare_exchange_weak(head, changed_head(head, rest))) continue;
    // Blocks that are freed from now on list the group again.
    group.listed.store(0);
    const BlockSet free = group.free.exchange(0);
    if (free != 0) {
      header().free_blocks.fetch_sub(static_cast<unsigned>(std::popcount(free)));
      *index = first;
      *blocks = free;
      return true;
    }
    head = list.head.load(std::memory_order_acquire);
  }
  return false;
}

}  // namespace benchfs::arena
