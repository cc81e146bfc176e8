// Paths within the file system. ".." is not resolved here, as symbolic links may stand before it;
// but "/.." is "/", as in POSIX.
#include "base/path.hpp"

#include <algorithm>

#include "base/types.hpp"

namespace benchfs {

Result<std::string> canonical_path(std::string_view path) {
  if (path.empty()) return fail(Errc::not_found);
  if (path.find('\0') != std::string_view::npos) return fail(Errc::invalid);
  const std::size_t supplied_slash = path.front() == '/' ? 0 : 1;
  if (path.size() + supplied_slash > kPathBytesMax) return fail(Errc::name_too_long);
  std::string out;
  out.reserve(path.size() + 1);
  for (const std::string_view name : path_components(path)) {
    if (name.size() > kNameBytesMax) return fail(Errc::name_too_long);
    if (name == ".") continue;
    if (name == ".." && out.empty()) continue;
    out += '/';
    out += name;
  }
  if (out.empty()) out.push_back('/');
  return out;
}

std::vector<std::string_view> path_components(std::string_view canonical) {
  std::vector<std::string_view> names;
  std::size_t at = 0;
  while (at < canonical.size()) {
    const std::size_t slash = std::min(canonical.find('/', at), canonical.size());
    if (slash > at) names.push_back(canonical.substr(at, slash - at));
    at = slash + 1;
  }
  return names;
}

std::string_view path_parent(std::string_view canonical) {
  const std::size_t slash = canonical.rfind('/');
  return slash == std::string_view::npos || slash == 0 ? "/" : canonical.substr(0, slash);
}

std::string_view path_name(std::string_view canonical) {
  return canonical.substr(canonical.rfind('/') + 1);
}

}  // namespace benchfs
