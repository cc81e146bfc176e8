// Messages 72 and 73: what a check of the whole file system asks of each server.
#pragma once
#include <cstdint>

#include "base/types.hpp"
#include "wire/header.hpp"

namespace benchfs::wire {

/// For a check of the whole file system (docs/adr/0016-fsck.md): a page of what this server has on
/// its disk, from the first record after the given one on; of kIntents the inodes that are part of
/// a change which is not finished. With `exact` the record of that key alone, as it is now, or
/// none. Payload: the entry's name. Reply payload: records.
struct Scan {
  static constexpr std::uint16_t kId = 72;
  static constexpr const char* kName = "scan";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  static constexpr std::uint32_t kEntries = 1, kInodes = 2, kData = 3, kIntents = 4;
  struct Request {
    std::uint64_t after;  ///< an inode (of an entry: its parent); 0: from the start
    std::uint32_t kind;
    std::uint32_t bytes_max;  ///< of the reply's payload, at least kScanRecordMax
    std::uint32_t exact;
    std::uint32_t zero;
  };
  struct Reply {
    std::uint64_t changes;  ///< renames and links that began or ended here since the server started
    std::uint32_t records;
    std::uint32_t bytes;  ///< of the payload
    std::uint32_t more;   ///< 1: go on after the last record
    std::uint32_t zero;
  };
};
/// Its name follows, and zeros up to a multiple of 8 bytes.
struct ScannedEntry {
  std::uint64_t parent, inode;
  std::uint32_t type;
  std::uint32_t name_bytes;
};
struct ScannedInode {
  std::uint64_t inode;
  std::int64_t ctime_ns;
  std::uint32_t mode, nlink;
};
/// A file of which this server has data; in an order of its own.
struct ScannedData {
  std::uint64_t inode;
  std::uint64_t bytes;  ///< allocated by it; told with `exact` alone
};
static_assert(sizeof(ScannedEntry) == 24 && sizeof(ScannedInode) == 24 &&
              sizeof(ScannedData) == 16);
inline constexpr std::uint32_t kScanRecordMax = sizeof(ScannedEntry) + 256;
inline constexpr std::uint32_t kScanPageMax = 1u << 20;

/// A repair by such a check; no other counts or entries change with it. set_links: of an inode of
/// this server, if it has `links_before`. put_entry: an entry of this server, where there is none
/// or one of the same inode. remove_entry: if it is of that inode, on any server. Payload: the
/// name. Error: stale (it is not as the caller has seen it), exists, being_removed.
struct Repair {
  static constexpr std::uint16_t kId = 73;
  static constexpr const char* kName = "repair";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  static constexpr std::uint32_t kSetLinks = 1, kPutEntry = 2, kRemoveEntry = 3;
  struct Request {
    std::uint64_t inode;
    std::uint64_t parent;
    std::uint32_t operation;
    std::uint32_t type;
    std::uint32_t links, links_before;
  };
  using Reply = Empty;
};

}  // namespace benchfs::wire
