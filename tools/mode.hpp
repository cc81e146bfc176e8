// Modes as chmod(1) takes them.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace benchfs::tools {

/// The process's umask.
std::uint32_t umask_now();

/// What `text`, octal or such as "u+rw,go-w", makes of the permissions `mode`; nothing if it is no
/// mode. Where nobody is named ("+w") the umask's bits stay as they are.
std::optional<std::uint32_t> changed_mode(std::string_view text, std::uint32_t mode,
                                          bool directory);

}  // namespace benchfs::tools
