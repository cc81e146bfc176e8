// Which local files there may be. Most files are small and have one local file, or none: the system
// calls that look for the others in vain would be half the work of a removal.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/types.hpp"
#include "storage/fd_cache.hpp"

namespace benchfs {

/// Counts of local files by a hash of their names: "no" is certain, "yes" is not. Every file is
/// counted as long as it exists; a count that is full stays so. The first local files are counted
/// apart from the rest, which are few.
class MadeFiles {
 public:
  void add(ChunkFile id) {
    std::uint16_t& count = of(id);
    if (count != kFull) ++count;
  }
  void remove(ChunkFile id) {
    std::uint16_t& count = of(id);
    if (count != kFull && count != 0) --count;
  }
  bool may_exist(ChunkFile id) const { return const_cast<MadeFiles*>(this)->of(id) != 0; }

 private:
  static constexpr std::uint16_t kFull = std::numeric_limits<std::uint16_t>::max();
  static constexpr unsigned kBits = 18;

  std::uint16_t& of(ChunkFile id) {
    const std::uint64_t mixed = (id.inode + id.stripe) * 0x9E3779B97F4A7C15ull;
    return counts_[id.stripe == 0 ? 0 : 1][mixed >> (64 - kBits)];
  }
  std::array<std::vector<std::uint16_t>, 2> counts_{std::vector<std::uint16_t>(1u << kBits),
                                                    std::vector<std::uint16_t>(1u << kBits)};
};

}  // namespace benchfs
