// The conditions of a search. Names are compared byte by byte, as in the C locale.
#include "base/match.hpp"

#include <fnmatch.h>
#include <sys/stat.h>

namespace benchfs {

bool needs_attributes(const Match& match) {
  const Match any;
  return match.empty || match.size_min != any.size_min || match.size_max != any.size_max ||
         match.mtime_min_ns != any.mtime_min_ns || match.mtime_max_ns != any.mtime_max_ns;
}

bool name_fits(const Match& match, std::uint32_t type, const std::string& name) {
  const std::uint16_t bit = S_ISDIR(type)   ? Match::kDirectories
                            : S_ISLNK(type) ? Match::kLinks
                                            : Match::kFiles;
  if (match.types != 0 && (match.types & bit) == 0) return false;
  if (match.empty && S_ISLNK(type)) return false;
  if (!match.name.empty() && fnmatch(match.name.c_str(), name.c_str(), 0) != 0) return false;
  return match.any_case_name.empty() ||
         fnmatch(match.any_case_name.c_str(), name.c_str(), FNM_CASEFOLD) == 0;
}

bool attributes_fit(const Match& match, std::uint32_t type, std::uint64_t size,
                    std::int64_t mtime_ns) {
  if (match.empty && S_ISREG(type) && size > 0) return false;
  return size >= match.size_min && size <= match.size_max && mtime_ns >= match.mtime_min_ns &&
         mtime_ns <= match.mtime_max_ns;
}

}  // namespace benchfs
