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
  while (!path.empty()) {
    const std::string_view name = take_name(path);
    if (name.size() > kNameBytesMax) return fail(Errc::name_too_long);
    if (name.empty() || name == ".") continue;
    if (name == ".." && out.empty()) continue;
    out += '/';
    out += name;
  }
  if (out.empty()) out.push_back('/');
  return out;
}

std::string_view take_name(std::string_view& rest) {
  const auto skip_slashes = [&] {
    rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
  };
  skip_slashes();
  const std::string_view name = rest.substr(0, rest.find('/'));
  rest.remove_prefix(name.size());
  skip_slashes();
  return name;
}

std::string_view path_parent(std::string_view canonical) {
  const std::size_t slash = canonical.rfind('/');
  return slash == std::string_view::npos || slash == 0 ? "/" : canonical.substr(0, slash);
}

std::string_view path_name(std::string_view canonical) {
  return canonical.substr(canonical.rfind('/') + 1);
}

}  // namespace benchfs
