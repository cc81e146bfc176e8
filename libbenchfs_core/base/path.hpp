// Paths within the file system, as benchfs.h describes them.
#pragma once
#include <string>
#include <string_view>

#include "base/status.hpp"

namespace benchfs {

/// The canonical form of `path`: "/" or "/a/b". A missing leading slash is supplied, repeated
/// slashes and "." count as one, a slash at the end is dropped. ".." stays, as what stands before
/// it may be a symbolic link; only at the start, where it leads from the root to the root, it goes.
/// Errors: not_found (empty, as in POSIX), name_too_long (a component over 255 bytes or the whole,
/// with its leading slash, over 4095), invalid (a NUL byte).
Result<std::string> canonical_path(std::string_view path);

/// The next name of `rest`, which is what comes after it from then on, without slashes in front.
/// Empty: there is none.
std::string_view take_name(std::string_view& rest);

/// "/a/b" -> "/a"; "/a" and "/" -> "/".
std::string_view path_parent(std::string_view canonical);
/// "/a/b" -> "b"; "/" -> "".
std::string_view path_name(std::string_view canonical);

}  // namespace benchfs
