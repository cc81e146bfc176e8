// Message 76: a search among the entries of a directory, at each server.
#pragma once
#include <cstdint>

#include "base/match.hpp"
#include "base/types.hpp"
#include "wire/header.hpp"

namespace benchfs::wire {

/// The entries of a directory that this server has and that fit (base/match.hpp): a page of them,
/// or none, after as many have been looked at as are looked at for one message. Payload: the name
/// after which to go on, then the two patterns. Reply payload: the entries found, then the name
/// after which to go on. Error: as of read_directory.
struct FindEntries {
  static constexpr std::uint16_t kId = 76;
  static constexpr const char* kName = "find_entries";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax + 2 * kPatternBytesMax;
  /// Attributes with what was found; directories also if they do not fit, for the caller to go on
  /// in; empty files alone.
  static constexpr std::uint32_t kAttributes = 1, kDescend = 2, kEmpty = 4;
  struct Request {
    std::uint64_t parent;
    std::uint64_t size_min, size_max;
    std::int64_t mtime_min_ns, mtime_max_ns;
    std::uint32_t bytes_max;  ///< of the reply's entries, at least kFoundEntryMax
    std::uint32_t flags;
    std::uint16_t types;  ///< of base/match.hpp
    std::uint16_t after_bytes, name_bytes, any_case_name_bytes;
  };
  struct Reply {
    std::uint32_t seen;  ///< entries that were looked at
    std::uint32_t entries;
    std::uint32_t bytes;        ///< of the entries
    std::uint32_t after_bytes;  ///< of the name behind them; 0: that was all
  };
};
/// The attributes follow, if they are here, then the name, then zeros up to a multiple of 8 bytes.
struct FoundEntry {
  /// Undecided: the inode is on another server, which has to be asked.
  static constexpr std::uint16_t kAttributesHere = 1, kFits = 2, kUndecided = 4;
  std::uint64_t inode;
  std::uint32_t type;
  std::uint16_t name_bytes;
  std::uint16_t flags;
};
static_assert(sizeof(FoundEntry) == 16);
inline constexpr std::uint32_t kFoundEntryMax = sizeof(FoundEntry) + 64 + 256;
inline constexpr std::uint32_t kFoundPageMax = 64 << 10;

}  // namespace benchfs::wire
