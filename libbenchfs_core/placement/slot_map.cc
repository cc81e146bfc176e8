// Building, changing and encoding the slot map. Everything here is deterministic: two machines that
// start from the same map and make the same change get the same map. Changes work with exact
// quotas: first how many slots each server gives or takes is fixed (so balance and movement hold by
// construction), then which slots, spread as evenly over the map as the quotas allow.
#include "placement/slot_map.hpp"

#include <algorithm>

#include <cstring>
#include <functional>
#include <numeric>
#include <tuple>
#include <utility>

#include "base/assert.hpp"
#include "base/crc32c.hpp"

namespace benchfs {
namespace {

constexpr std::uint32_t kMagic = 0x4d534642;  // "BFSM"
constexpr std::uint16_t kVersion = 1;

/// Blocks at the start of the initial map that keep the servers of the cut-off block at their ends.
constexpr std::uint32_t kGuardBlocks = 16;

template <class T>
void put(std::byte*& at, T value) {
  std::memcpy(at, &value, sizeof value);
  at += sizeof value;
}
template <class T>
T get(const std::byte*& at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  at += sizeof value;
  return value;
}

/// Fisher-Yates (Knuth, TAOCP volume 2, algorithm P), from a stream of its own for each block.
void shuffle(std::span<ServerIndex> items, std::uint32_t block, std::uint64_t seed) {
  SplitMix64 random(hash64(std::as_bytes(std::span{&block, 1}), seed));
  for (std::size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1], items[random.below(static_cast<std::uint32_t>(i))]);
}

/// The tie-breaker between slots that are equally good to move: no order of slots or servers is
/// preferred, and each epoch has its own.
std::uint64_t lot(std::uint32_t number, Epoch epoch) {
  return hash64(std::as_bytes(std::span{&number, 1}), epoch);
}

}  // namespace

SlotMap SlotMap::initial(std::uint32_t n_servers, std::uint64_t seed) {
  BFS_ASSERT(n_servers >= 1 && n_servers <= kServersMax);
  SlotMap map;
  map.owners_.resize(kSlots);
  map.epoch_ = 1;
  const std::span<ServerIndex> slots = map.owners_;
  const std::uint32_t n_blocks = kSlots / n_servers;
  const std::uint32_t n_rest = kSlots % n_servers;

  // The cut-off block at the end, and with it who owns one slot more than the others.
  std::vector<ServerIndex> order(n_servers);
  std::iota(order.begin(), order.end(), ServerIndex{0});
  if (n_rest > 0) {
    shuffle(order, n_blocks, seed);
    std::copy_n(order.begin(), n_rest, slots.begin() + (kSlots - n_rest));
    std::rotate(order.begin(), order.begin() + n_rest, order.end());
  }
  for (std::uint32_t b = 0; b < n_blocks; ++b) {
    const auto block = slots.subspan(std::size_t{b} * n_servers, n_servers);
    if (n_rest > 0 && b < kGuardBlocks) {
      std::copy(order.begin(), order.end(), block.begin());
      shuffle(block.first(n_servers - n_rest), b, seed);
      shuffle(block.last(n_rest), ~b, seed);
    } else {
      std::iota(block.begin(), block.end(), ServerIndex{0});
      shuffle(block, b, seed);
    }
  }
  map.count_slots(n_servers);
  return map;
}

void SlotMap::count_slots(std::uint32_t index_count) {
  slots_of_.assign(index_count, 0);
  for (const ServerIndex server : owners_) ++slots_of_[server];
  server_count_ = static_cast<std::uint32_t>(
      std::count_if(slots_of_.begin(), slots_of_.end(), [](auto n) { return n != 0; }));
}

Status SlotMap::add(ServerIndex server) {
  if (contains(server) || server > index_count() || server >= kServersMax)
    return fail(Errc::invalid);
  const std::uint32_t window = server_count_ + 1;
  std::uint32_t wanted = kSlots / window;

  // How many each server gives: always one more from the fullest. Ties go by lot.
  std::vector<std::uint32_t> quota(index_count(), 0);
  {
    std::vector<std::uint32_t> left = slots_of_;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> heap;  // (slots left, lot and index)
    for (std::uint32_t s = 0; s < left.size(); ++s) {
      if (left[s] > 0) heap.emplace_back(left[s], (lot(s, epoch_) << 16) | s);
    }
    std::make_heap(heap.begin(), heap.end());
    for (std::uint32_t i = 0; i < wanted; ++i) {
      std::pop_heap(heap.begin(), heap.end());
      auto& fullest = heap.back();
      --fullest.first;
      ++quota[fullest.second & 0xffff];
      std::push_heap(heap.begin(), heap.end());
    }
  }

  // Which: one out of each window of N+1 slots, from the server that has the most yet to give.
  const auto give = [&](std::uint32_t slot) {
    --quota[owners_[slot]];
    --wanted;
    owners_[slot] = server;
  };
  for (std::uint32_t start = 0; start + window <= kSlots && wanted > 0; start += window) {
    std::uint32_t best = kSlots;
    std::pair<std::uint32_t, std::uint64_t> best_rank{0, 0};
    for (std::uint32_t slot = start; slot < start + window; ++slot) {
      const std::pair rank{quota[owners_[slot]], lot(slot, epoch_)};
      if (rank.first > 0 && rank > best_rank) {
        best = slot;
        best_rank = rank;
      }
    }
    if (best != kSlots) give(best);
  }
  // What windows without a server that has to give left over: anywhere.
  if (wanted > 0) {
    std::vector<std::uint32_t> order(kSlots);
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::pair{lot(a, epoch_), a} < std::pair{lot(b, epoch_), b};
    });
    for (const std::uint32_t slot : order) {
      if (wanted == 0) break;
      if (owners_[slot] != server && quota[owners_[slot]] > 0) give(slot);
    }
  }
  BFS_ASSERT(wanted == 0);
  count_slots(std::max<std::uint32_t>(index_count(), server + 1u));
  ++epoch_;
  return {};
}

Status SlotMap::remove(ServerIndex server) {
  if (!contains(server) || server_count_ == 1) return fail(Errc::invalid);

  // How many each remaining server takes: always one more for the emptiest.
  std::vector<std::uint32_t> quota(index_count(), 0);
  std::vector<std::pair<std::uint32_t, std::uint64_t>> heap;
  for (std::uint32_t s = 0; s < slots_of_.size(); ++s) {
    if (slots_of_[s] > 0 && s != server)
      heap.emplace_back(slots_of_[s], (lot(s, epoch_) << 16) | s);
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>{});
  for (std::uint32_t i = 0; i < slots_of_[server]; ++i) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>{});
    auto& emptiest = heap.back();
    ++emptiest.first;
    ++quota[emptiest.second & 0xffff];
    std::push_heap(heap.begin(), heap.end(), std::greater<>{});
  }

  // Which: for each slot a server that is not near it in the map, and of those the one that has the
  // most to take.
  std::vector<ServerIndex> takers;
  for (std::uint32_t s = 0; s < quota.size(); ++s) {
    if (quota[s] > 0) takers.push_back(static_cast<ServerIndex>(s));
  }
  const std::uint32_t reach = server_count_ / 2;
  std::vector<std::uint32_t> seen_at(index_count(),
                                     kSlots);  // the last slot that the server is near to
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    if (owners_[slot] != server) continue;
    for (std::uint32_t d = 1; d <= reach; ++d) {
      seen_at[owners_[static_cast<Slot>(slot + d)]] = slot;
      seen_at[owners_[static_cast<Slot>(slot - d)]] = slot;
    }
    const auto rank = [&](ServerIndex s) {
      return std::tuple{seen_at[s] != slot, quota[s], lot(slot ^ s, epoch_), s};
    };
    ServerIndex best = takers.front();
    for (const ServerIndex s : takers) {
      if (rank(s) > rank(best)) best = s;
    }
    owners_[slot] = best;
    if (--quota[best] == 0) std::erase(takers, best);
  }
  count_slots(index_count());
  ++epoch_;
  return {};
}

std::vector<ServerIndex> SlotMap::replicas(Slot slot, std::uint32_t count,
                                           std::span<const ServerPlace> places) const {
  count = std::min(count, server_count_ - 1);
  const auto place = [&](ServerIndex s) {
    return s < places.size() ? places[s] : ServerPlace{.host = kSlots + s, .rack = ~0u};
  };
  std::vector<ServerIndex> order;  // all others, in map order
  {
    std::vector<bool> seen(index_count(), false);
    seen[owners_[slot]] = true;
    for (std::uint32_t d = 1; d < kSlots && order.size() + 1 < server_count_; ++d) {
      const ServerIndex s = owners_[static_cast<Slot>(slot + d)];
      if (!seen[s]) order.push_back(s);
      seen[s] = true;
    }
  }
  std::vector<ServerIndex> chosen;
  while (chosen.size() < count) {
    const auto novelty = [&](ServerIndex s) {
      bool host = place(s).host != place(owners_[slot]).host;
      bool rack = place(s).rack != place(owners_[slot]).rack;
      for (const ServerIndex c : chosen) {
        host = host && place(s).host != place(c).host;
        rack = rack && place(s).rack != place(c).rack;
      }
      return 2 * int{host} + int{host && rack};
    };
    std::size_t best = 0;
    int best_novelty = -1;
    for (std::size_t i = 0; i < order.size() && best_novelty < 3; ++i) {
      const int n = novelty(order[i]);
      if (n > best_novelty) {
        best = i;
        best_novelty = n;
      }
    }
    chosen.push_back(order[best]);
    order.erase(order.begin() + static_cast<std::ptrdiff_t>(best));
  }
  return chosen;
}

std::vector<std::byte> SlotMap::encode() const {
  std::vector<std::byte> bytes(kEncodedBytes);
  std::byte* at = bytes.data();
  put(at, kMagic);
  put(at, kVersion);
  put(at, static_cast<std::uint16_t>(index_count()));
  put(at, epoch_);
  std::memcpy(at, owners_.data(), 2 * kSlots);
  at += 2 * kSlots;
  put(at, crc32c(std::span{bytes}.first(kEncodedBytes - 4)));
  return bytes;
}

std::expected<SlotMap, std::string> SlotMap::decode(std::span<const std::byte> bytes) {
  if (bytes.size() != kEncodedBytes) return std::unexpected("the slot map has the wrong length");
  const std::byte* at = bytes.data();
  if (get<std::uint32_t>(at) != kMagic) return std::unexpected("not a slot map");
  if (get<std::uint16_t>(at) != kVersion)
    return std::unexpected("the slot map has an unknown version");
  const std::uint32_t index_count = get<std::uint16_t>(at);
  SlotMap map;
  map.epoch_ = get<std::uint64_t>(at);
  const std::byte* tail = bytes.data() + kEncodedBytes - 4;
  if (get<std::uint32_t>(tail) != crc32c(bytes.first(kEncodedBytes - 4)))
    return std::unexpected("the slot map's checksum is wrong");
  if (map.epoch_ == 0) return std::unexpected("the slot map's epoch is 0");
  if (index_count == 0 || index_count > kServersMax)
    return std::unexpected("the slot map's number of servers is out of range");
  map.owners_.resize(kSlots);
  std::memcpy(map.owners_.data(), at, 2 * kSlots);
  for (const ServerIndex server : map.owners_) {
    if (server >= index_count) return std::unexpected("the slot map names a server that it lacks");
  }
  map.count_slots(index_count);
  return map;
}

}  // namespace benchfs
