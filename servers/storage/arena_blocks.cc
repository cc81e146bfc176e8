// How blocks and maps become free, and how the arena gets storage.
//
// A client that has found a block may be copying into it when it is taken out of the file. So what
// is taken out is retired first: it is used again when every access that had begun by then has
// ended (epoch-based reclamation: K. Fraser, "Practical lock-freedom", 2004, section 5.2.3).
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "base/clock.hpp"
#include "storage/arena.hpp"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif

namespace benchfs {

using namespace arena;

void Arena::add(Blocks& blocks, Block block) {
  const GroupIndex group = block / kSegmentBlocks;
  if (blocks.empty() || blocks.back().first != group) blocks.emplace_back(group, 0);
  blocks.back().second |= BlockSet{1} << block % kSegmentBlocks;
}

void Arena::retire(Retired retired) {
  if (retired.maps.empty() && retired.blocks.empty()) return;
  retired.epoch = view_->header().epoch.fetch_add(1) + 1;
  if (retired_.empty() && quiet(retired.epoch)) {
    release(retired);
  } else {
    retired_.push_back(std::move(retired));
  }
}

/// Whether all accesses that had begun before this epoch have ended.
bool Arena::quiet(std::uint64_t epoch) const {
  const Header& header = view_->header();
  for (std::uint32_t i = 1; i < slots_end_; ++i) {
    const std::uint64_t since = header.processes[i].active.load();
    if (since != 0 && since < epoch) return false;
  }
  return true;
}

void Arena::reclaim() {
  std::erase_if(strangers_, [this](std::uint32_t slot) {
    const bool ended = view_->header().processes[slot].active.load() == 0;
    if (!ended && slot_in_use(index_fd(), slot)) return false;
    detach(slot);
    return true;
  });
  while (!retired_.empty() && quiet(retired_.front().epoch)) {
    release(retired_.front());
    retired_.pop_front();
  }
}

void Arena::release(Retired& retired) {
  for (const std::uint32_t index : retired.maps) {
    SegmentMap& map = view_->map_at(index);
    for (auto& place : map.blocks) {
      const Block block = place.load(std::memory_order_relaxed);
      if (block == 0) continue;
      place.store(0, std::memory_order_relaxed);
      add(retired.blocks, block);
    }
    map.end.store(0, std::memory_order_relaxed);
    free_maps_.push_back(index);
  }
  for (const auto& [group, blocks] : retired.blocks) free(group, blocks);
}

void Arena::free(GroupIndex index, BlockSet blocks) {
  Group& group = view_->group(index);
  // Counted first: who takes them subtracts them.
  view_->header().free_blocks.fetch_add(static_cast<unsigned>(std::popcount(blocks)));
  const BlockSet free = group.free.fetch_or(blocks) | blocks;
  if (group.listed.exchange(1) != 0) return;
  enlist(free == kWholeGroup ? view_->header().whole : view_->header().partial, index);
}

void Arena::enlist(GroupList& list, GroupIndex index) {
  std::uint64_t head = list.head.load(std::memory_order_relaxed);
  std::uint64_t changed;
  do {
    view_->group(index).next.store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
    changed = changed_head(head, index);
  } while (!list.head.compare_exchange_weak(head, changed));
}

std::uint64_t Arena::free_bytes() const {
  return view_->header().free_blocks.load() << kBlockShift;
}

std::uint64_t Arena::blank_bytes() const {
  const Header& header = view_->header();
  return (header.groups - header.groups_end + 2 * blank_.size()) << kSegmentShift;
}

std::uint64_t Arena::used_bytes() const {
  const Header& header = view_->header();
  std::uint64_t free = header.free_blocks.load();
  for (std::uint32_t i = 0; i < slots_end_; ++i) {
    free += static_cast<unsigned>(std::popcount(header.processes[i].free.load()));
  }
  const std::uint64_t all = groups_allocated_ * kSegmentBlocks;
  return (all - std::min(all, free)) << kBlockShift;
}

void Arena::count_for(InodeId inode, std::int64_t blocks) {
  if (const QuotaId quota = quota_of(inode); quota != 0) quota_blocks_[quota] += blocks;
}

std::uint64_t Arena::used_for(QuotaId quota) const {
  const auto found = quota_blocks_.find(quota);
  if (found == quota_blocks_.end()) return 0;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(found->second, 0)) << kBlockShift;
}

// ---- storage ----

std::optional<GroupIndex> Arena::next_extent() {
  if (!blank_.empty()) {
    const GroupIndex first = blank_.back();
    blank_.pop_back();
    return first;
  }
  Header& header = view_->header();
  if (header.groups_end + 2 > header.groups) return std::nullopt;
  const auto first = static_cast<GroupIndex>(header.groups_end);
  header.groups_end += 2;
  return first;
}

int Arena::allocate_extent(GroupIndex first) {
  const std::uint64_t offset = std::uint64_t{first} << kSegmentShift;
  int err = 0;
  std::int64_t began_ns = now_ns();
  if (pages_.huge()) {
    // The kernel collapses what has a page at least, and fills in the rest.
    err = allocate(data_fd_, offset, 1);
    if (err == 0 && ::madvise(view_->data() + offset, kHugeBytes, MADV_COLLAPSE) != 0 &&
        errno == EINVAL) {
      pages_.never_huge();  // an older kernel
    }
    if (err == 0) err = allocate(data_fd_, offset, kHugeBytes);
    pages_.took_huge(now_ns() - began_ns);
  } else {
    err = allocate(data_fd_, offset, kHugeBytes);
    pages_.took_small(now_ns() - began_ns);
  }
  if (err != 0) static_cast<void>(give_back({first}));
  return err;
}

void Arena::added(GroupIndex first, bool allocated) {
  if (!allocated) {
    blank_.push_back(first);
    return;
  }
  groups_allocated_ += 2;
  free(first, kWholeGroup);
  free(first + 1, kWholeGroup);
}

std::vector<GroupIndex> Arena::take_surplus(std::size_t most) {
  std::vector<std::pair<GroupIndex, BlockSet>> taken;
  GroupIndex group = 0;
  BlockSet blocks = 0;
  for (GroupList* list : {&view_->header().whole, &view_->header().partial}) {
    while (taken.size() < 4 * most && view_->take(*list, &group, &blocks)) {
      taken.emplace_back(group, blocks);
    }
  }
  std::sort(taken.begin(), taken.end());
  std::vector<GroupIndex> extents;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const auto [index, set] = taken[i];
    const bool pair = index % 2 == 0 && set == kWholeGroup && i + 1 < taken.size() &&
                      taken[i + 1] == std::pair(index + 1, kWholeGroup);
    if (pair && extents.size() < most) {
      extents.push_back(index);
      groups_allocated_ -= 2;
      ++i;
    } else {
      free(index, set);
    }
  }
  return extents;
}

int Arena::give_back(const std::vector<GroupIndex>& extents) const {
  constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  for (const GroupIndex first : extents) {
    const auto offset = static_cast<off_t>(std::uint64_t{first} << kSegmentShift);
    while (::fallocate(data_fd_, kMode, offset, static_cast<off_t>(kHugeBytes)) != 0) {
      if (errno != EINTR) return errno;
    }
  }
  return 0;
}

}  // namespace benchfs
