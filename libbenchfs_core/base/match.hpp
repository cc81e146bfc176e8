// Conditions on directory entries, as a search has them. All have to hold. Servers look at those of
// their own entries, clients at the rest, by the same functions.
#pragma once
#include <cstdint>
#include <limits>
#include <string>

namespace benchfs {

struct Match {
  static constexpr std::uint16_t kFiles = 1, kDirectories = 2, kLinks = 4;
  std::string name;           ///< a pattern of fnmatch(3); empty: any
  std::string any_case_name;  ///< the same, in capitals or not
  std::uint16_t types = 0;    ///< 0: any
  bool empty = false;         ///< files of 0 bytes; directories, as far as can be known from here
  std::uint64_t size_min = 0, size_max = std::numeric_limits<std::uint64_t>::max();
  std::int64_t mtime_min_ns = std::numeric_limits<std::int64_t>::min();
  std::int64_t mtime_max_ns = std::numeric_limits<std::int64_t>::max();

  bool operator==(const Match&) const = default;
};

/// Of a pattern.
inline constexpr std::uint32_t kPatternBytesMax = 1024;

/// Whether attributes are needed to decide.
bool needs_attributes(const Match& match);
/// As far as type (S_IFREG, S_IFDIR or S_IFLNK) and name tell.
bool name_fits(const Match& match, std::uint32_t type, const std::string& name);
/// As far as the attributes tell.
bool attributes_fit(const Match& match, std::uint32_t type, std::uint64_t size,
                    std::int64_t mtime_ns);

}  // namespace benchfs
