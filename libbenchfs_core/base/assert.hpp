// BFS_ASSERT: an invariant, checked in release builds too. A broken one ends the process with the place.
#pragma once
#include <cstdio>
#include <cstdlib>

namespace benchfs::detail {
[[noreturn]] inline void assert_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "benchfs: invariant broken: %s (%s:%d)\n", what, file, line);
  std::abort();
}
}  // namespace benchfs::detail

#define BFS_ASSERT(condition) \
  ((condition) ? void(0) : ::benchfs::detail::assert_failed(#condition, __FILE__, __LINE__))
