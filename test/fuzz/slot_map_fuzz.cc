// The slot map's decoder, and changes to whatever map it accepts. The input is a header and a few
// owners, repeated to the length of a map, with a checksum that is right: else no input would get
// past it.
#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "base/crc32c.hpp"
#include "fuzz.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {
namespace {

constexpr std::size_t kHeaderBytes = 16;

std::vector<std::byte> expand(std::span<const std::byte> input) {
  std::vector<std::byte> bytes(SlotMap::kEncodedBytes);
  const std::size_t body = SlotMap::kEncodedBytes - 4;
  std::copy_n(input.begin(), kHeaderBytes, bytes.begin());
  const auto owners = input.subspan(kHeaderBytes);
  for (std::size_t at = kHeaderBytes; at < body && !owners.empty();) {
    const std::size_t n = std::min(owners.size(), body - at);
    std::memcpy(bytes.data() + at, owners.data(), n);
    at += n;
  }
  const std::uint32_t crc = crc32c(std::span{bytes}.first(body));
  std::memcpy(bytes.data() + body, &crc, sizeof crc);
  return bytes;
}

void check_counts(const SlotMap& map) {
  std::uint32_t total = 0, servers = 0;
  for (std::uint32_t s = 0; s < map.index_count(); ++s) {
    total += map.slots_of(static_cast<ServerIndex>(s));
    servers += map.contains(static_cast<ServerIndex>(s)) ? 1 : 0;
  }
  BFS_ASSERT(total == kSlots && servers == map.server_count() && servers >= 1);
}

void try_changes(SlotMap map) {
  check_counts(map);
  const SlotMap before = map;
  if (map.add(static_cast<ServerIndex>(map.index_count()))) {
    check_counts(map);
    const auto added = static_cast<ServerIndex>(map.index_count() - 1);
    BFS_ASSERT(map.slots_of(added) == kSlots / map.server_count());
    for (std::uint32_t slot = 0; slot < kSlots; ++slot)
      BFS_ASSERT(map.owners()[slot] == added || map.owners()[slot] == before.owners()[slot]);
  }
  if (map.remove(map.owner(Slot{0}))) check_counts(map);
  (void)map.replicas(Slot{7}, 3);
}

}  // namespace
}  // namespace benchfs

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace benchfs;
  const auto input = std::as_bytes(std::span{data, size});
  const auto raw = SlotMap::decode(input);
  BFS_ASSERT(raw || !raw.error().empty());
  if (size < kHeaderBytes) return 0;
  const auto bytes = expand(input);
  const auto map = SlotMap::decode(bytes);
  if (map) {
    BFS_ASSERT(map->encode() == bytes);
    try_changes(*map);
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  using namespace benchfs;
  std::vector<std::string> seeds;
  for (const std::uint32_t n : {1u, 3u, 16u, 640u}) {
    const auto bytes = SlotMap::initial(n, 1).encode();
    seeds.emplace_back(reinterpret_cast<const char*>(bytes.data()), kHeaderBytes + 2 * n);
  }
  return seeds;
}

unsigned long fuzz_runs() {
  return 2'000;
}
