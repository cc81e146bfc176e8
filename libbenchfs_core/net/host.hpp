// Which host this is, as a number that neighbours share and nobody else.
#pragma once
#include <sys/types.h>

#include <cstdint>

namespace benchfs {

/// Hash of the kernel's boot id and of the process-id namespace: two processes with the same value can
/// check each other's pid.
std::uint64_t host_id();

/// True if `pid` of this host has gone, or is a zombie.
bool process_is_gone(std::int64_t pid);

}  // namespace benchfs
