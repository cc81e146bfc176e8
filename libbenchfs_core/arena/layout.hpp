// The arena: a server's storage in memory as one local file of blocks, which the server and the
// clients on its host map, and an index that says whose each block is. docs/adr/0024-arena.md.
//
//   <folder>/arena         block n at offset n * 16 KiB; 64 blocks are a group, allocated together
//   <folder>/arena.index   this header, the slots of the processes, then groups, buckets and maps
//
// The index is shared memory: several processes read and change it without locks, and one that dies
// leaves it whole. It is there when the server's process dies, and it is not synced.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/types.hpp"

namespace benchfs::arena {

inline constexpr unsigned kBlockShift = 14;
inline constexpr std::size_t kBlockBytes = std::size_t{1} << kBlockShift;
inline constexpr unsigned kSegmentBlocks = 64;
/// The part of a file that one map describes; a group has as many blocks.
inline constexpr unsigned kSegmentShift = 20;
inline constexpr std::size_t kSegmentBytes = kBlockBytes * kSegmentBlocks;
static_assert(kSegmentBytes == std::size_t{1} << kSegmentShift);
/// What the kernel makes one page of, where it can: two groups.
inline constexpr std::size_t kHugeBytes = std::size_t{2} << 20;

/// A block's number; no file has those of the first kFirstGroup groups. 0: no block, a hole.
using Block = std::uint32_t;
using GroupIndex = std::uint32_t;
inline constexpr GroupIndex kFirstGroup = 2;
inline constexpr std::uint64_t kGroupsMax = std::uint64_t{1} << 25;
/// Bit n: block n of a group.
using BlockSet = std::uint64_t;
inline constexpr BlockSet kWholeGroup = ~BlockSet{0};

/// 64 neighbouring blocks. Those that are free belong to whoever exchanges `free` for nothing.
struct Group {
  std::atomic<BlockSet> free;
  std::atomic<std::uint32_t> next;    ///< in its list of free groups: index, 0: the last
  std::atomic<std::uint32_t> listed;  ///< 1: it is in a list
};
static_assert(sizeof(Group) == 16);

/// A list of groups with free blocks, of which every process takes the first, and to which the
/// server alone adds: index in the lower half, and in the upper one a count of changes, so that
/// nobody takes a list for unchanged that has the same group in front again.
struct alignas(64) GroupList {
  std::atomic<std::uint64_t> head;
};

constexpr std::uint64_t kListIndexMask = 0xffffffffu;
/// The head of a list that changes from `head` to one that begins with `first`.
constexpr std::uint64_t changed_head(std::uint64_t head, GroupIndex first) {
  return ((head & ~kListIndexMask) + kListIndexMask + 1) | first;
}

/// Where the blocks of one segment of a file are. Made and taken out of its bucket by the server
/// alone; blocks are put in by whoever writes, each once, and taken out by the server.
struct alignas(64) SegmentMap {
  std::atomic<std::uint64_t> inode;    ///< 0: of no file, or not any more
  std::atomic<std::uint64_t> segment;  ///< offset in the file >> kSegmentShift
  std::atomic<std::uint32_t> next;     ///< in its bucket: index, 0: the last
  std::atomic<std::uint32_t> end;      ///< bytes up to the last one written
  std::atomic<Block> blocks[kSegmentBlocks];
};
static_assert(sizeof(SegmentMap) == 320);

/// A process that uses the arena. Its blocks are its own until it has put them into a map.
struct alignas(64) Process {
  /// The header's epoch when it began an access, 0: none is under way.
  std::atomic<std::uint64_t> active;
  std::atomic<BlockSet> free;      ///< blocks of `group` that it has taken
  std::atomic<GroupIndex> group;   ///<
  std::atomic<std::uint32_t> map;  ///< where it was about to put ...
  std::atomic<Block> first;        ///< ... `count` blocks from this one on,
  std::atomic<std::uint32_t> at;   ///< ... from this place on
  std::atomic<std::uint32_t> count;
};
static_assert(sizeof(Process) == 64);

inline constexpr std::uint32_t kProcessesMax = 4096;
/// The server's own.
inline constexpr std::uint32_t kServerSlot = 0;

struct Header {
  static constexpr std::uint64_t kMagic = 0x616e657261736662;  // "bfsarena"
  static constexpr std::uint32_t kVersion = 1;
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t bucket_shift;  ///< 64 - log2 of the number of buckets
  std::uint64_t groups, maps, buckets;
  std::uint64_t groups_end;  ///< no group from here on has ever been used
  std::uint64_t maps_end;
  /// One more for each server process: those that belong to an earlier one keep off.
  alignas(64) std::atomic<std::uint64_t> incarnation;
  /// One more whenever something was taken out of the maps.
  alignas(64) std::atomic<std::uint64_t> epoch;
  alignas(64) std::atomic<std::uint64_t> free_blocks;  ///< in all lists
  GroupList whole, partial;  ///< groups that were all free when they were listed; others
  Process processes[kProcessesMax];
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// Where the parts of the index file are.
struct Layout {
  std::size_t groups_at, buckets_at, maps_at, bytes;
};
constexpr Layout layout_of(std::uint64_t groups, std::uint64_t buckets, std::uint64_t maps) {
  constexpr auto round = [](std::size_t bytes) { return (bytes + 4095) & ~std::size_t{4095}; };
  Layout layout{};
  layout.groups_at = round(sizeof(Header));
  layout.buckets_at = round(layout.groups_at + groups * sizeof(Group));
  layout.maps_at = round(layout.buckets_at + buckets * sizeof(std::uint32_t));
  layout.bytes = round(layout.maps_at + maps * sizeof(SegmentMap));
  return layout;
}

constexpr std::uint64_t segment_of(std::uint64_t offset) {
  return offset >> kSegmentShift;
}
constexpr std::uint32_t within_segment(std::uint64_t offset) {
  return static_cast<std::uint32_t>(offset & (kSegmentBytes - 1));
}

}  // namespace benchfs::arena
