// Files that appear whole or not at all, also on a shared file system: written under a temporary
// name, synced, then renamed or linked.
#pragma once
#include <expected>
#include <string>
#include <string_view>

#include "base/status.hpp"

namespace benchfs {

/// Makes `directory` and its missing parents with mode 0700. The error names the directory.
std::expected<void, std::string> make_directories(const std::string& directory);

/// Writes `text` to `directory`/`name`, mode 0600, in place of what is there. `tag` makes the
/// temporary name this process's own. The error names the file.
std::expected<void, std::string> replace_file(const std::string& directory, std::string_view name,
                                              std::string_view text, std::string_view tag);

/// The same, but only if there is no such file: false if there is one.
std::expected<bool, std::string> create_file(const std::string& directory, std::string_view name,
                                             std::string_view text, std::string_view tag);

}  // namespace benchfs
