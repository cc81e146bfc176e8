// Points at which a test has a process end as if it were killed: those whose order with what is on
// the disk decides whether a crash loses anything.
#pragma once
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace benchfs {

/// Kills the process with SIGKILL if the environment variable BENCHFSD_FAULT names this point. Not
/// on paths that are to be fast.
inline void fault_point(std::string_view name) {
  static const char* const chosen = std::getenv("BENCHFSD_FAULT");
  if (chosen != nullptr && name == chosen) std::raise(SIGKILL);
}

}  // namespace benchfs
