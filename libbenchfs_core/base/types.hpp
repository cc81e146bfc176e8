// The words of the design as types: inode numbers, slots, chunk geometry, limits.
#pragma once
#include <bit>
#include <cstdint>

namespace benchfs {

/// 64 bit, never reused: 16 bits home slot, then 0 and 47 bits of the home server's persistent counter;
/// of what counts for a quota 1, 10 bits quota, and 37 bits of the counter.
using InodeId = std::uint64_t;
/// What a file or directory counts for; 0: nothing. docs/adr/0017-quotas.md.
using QuotaId = std::uint32_t;
/// One of 65536 fixed hash buckets.
using Slot = std::uint16_t;
/// Index of a server in the cluster file.
using ServerIndex = std::uint16_t;
using Epoch = std::uint64_t;

inline constexpr std::uint32_t kSlots = 65536;
inline constexpr std::uint32_t kServersMax = 8192;
inline constexpr std::uint64_t kChunkBytesMin = 64ull << 10;
inline constexpr std::uint64_t kChunkBytesMax = 128ull << 20;
inline constexpr std::uint64_t kChunkBytesDefault = 4ull << 20;
/// Largest file: offsets stay positive in a signed 64-bit off_t.
inline constexpr std::uint64_t kFileBytesMax = (1ull << 62);
inline constexpr std::uint32_t kNameBytesMax = 255;
inline constexpr std::uint32_t kPathBytesMax = 4095;
/// Target of a symbolic link: with a name it fits a message that is never announced.
inline constexpr std::uint32_t kTargetBytesMax = 3840;
/// Extended attributes, as Linux limits them (xattr(7)): a name, a value, all names of a file with
/// a zero after each.
inline constexpr std::uint32_t kXattrNameBytesMax = 255;
inline constexpr std::uint32_t kXattrValueBytesMax = 65536;
inline constexpr std::uint32_t kXattrListBytesMax = 65536;

inline constexpr unsigned kCounterBits = 47;
inline constexpr unsigned kQuotaCounterBits = 37;
inline constexpr QuotaId kQuotaIdMax = 1023;

/// With a quota the counter is below 2^kQuotaCounterBits.
constexpr InodeId make_inode(Slot home, std::uint64_t counter, QuotaId quota = 0) {
  const std::uint64_t slot = static_cast<std::uint64_t>(home) << 48;
  if (quota == 0) return slot | (counter & ((1ull << kCounterBits) - 1));
  return slot | (1ull << kCounterBits) |
         (static_cast<std::uint64_t>(quota & kQuotaIdMax) << kQuotaCounterBits) |
         (counter & ((1ull << kQuotaCounterBits) - 1));
}
constexpr Slot home_slot(InodeId inode) { return static_cast<Slot>(inode >> 48); }
/// A new inode gets the quota of the directory it is made in: it is known wherever its number is.
constexpr QuotaId quota_of(InodeId inode) {
  if ((inode >> kCounterBits & 1) == 0) return 0;
  return static_cast<QuotaId>(inode >> kQuotaCounterBits) & kQuotaIdMax;
}

/// The root directory: home slot 0, counter 1; counters of files start at 2.
inline constexpr InodeId kRootInode = make_inode(0, 1);

constexpr bool valid_chunk_bytes(std::uint64_t bytes) {
  return std::has_single_bit(bytes) && bytes >= kChunkBytesMin && bytes <= kChunkBytesMax;
}

}  // namespace benchfs
