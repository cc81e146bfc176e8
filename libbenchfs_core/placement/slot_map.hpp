// The slot map: which server owns each of the 65536 slots, and with it every inode, directory entry
// and chunk. One function, used alike by clients, servers and the collective aggregation.
#pragma once
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/status.hpp"
#include "base/types.hpp"

namespace benchfs {

/// The slot of the directory entry `name` in the directory `parent`, and the home slot of a file
/// that is created under that name.
inline Slot entry_slot(InodeId parent, std::string_view name) {
  return static_cast<Slot>(hash64(name, parent));
}

/// The slot of chunk `chunk` of `inode`.
constexpr Slot chunk_slot(InodeId inode, std::uint64_t chunk) {
  return static_cast<Slot>(home_slot(inode) + chunk);
}

/// Where a server stands, for the choice of replicas: equal numbers mean the same host, the same
/// rack.
struct ServerPlace {
  std::uint32_t host = 0;
  std::uint32_t rack = 0;
};

/// Owners of all slots, at one epoch. A value: copy it to change it. Const members may be called by
/// many threads at once.
///
/// Initial map: blocks of N consecutive slots, each block a pseudo-random permutation of the N
/// servers that depends on the seed (the cluster id) and the block alone. Different permutations
/// keep ranks that walk at regular strides from meeting at one server all the time, which plain
/// round robin does to them. Of n consecutive slots at most ceil(n/N)+1 belong to one server: a run
/// is the tail of one block, k whole blocks and the head of another; a server is in each at most
/// once, and if both ends are nonempty then n > kN. When N does not divide 65536 the last block is
/// cut off, and a run across the end of the map has a third part that some servers are in. The
/// first 16 blocks keep those servers in their last positions: a head that reaches them is so long
/// that the bound holds again. It is ceil(n/N)+2 for runs across the end that are longer than 16
/// blocks. (No map has ceil(n/N)+1 everywhere, unless the servers with one slot more than the
/// others walk round it nearly periodically, which is the convoy.)
///
/// add() and remove() move no more slots than they must (consistent hashing with bounded load): the
/// bound on consecutive slots is then kept nearly, not exactly.
class SlotMap {
 public:
  /// The map of a new cluster of servers 0..n_servers-1, at epoch 1. 1 <= n_servers <= kServersMax.
  static SlotMap initial(std::uint32_t n_servers, std::uint64_t seed);

  ServerIndex owner(Slot slot) const { return owners_[slot]; }
  ServerIndex owner(InodeId inode, std::uint64_t chunk) const {
    return owners_[chunk_slot(inode, chunk)];
  }
  /// Owner of inode, attributes and chunk 0.
  ServerIndex home(InodeId inode) const { return owners_[home_slot(inode)]; }
  /// Owner of all slots, in order of slot; lives as long as the map.
  std::span<const ServerIndex> owners() const { return owners_; }

  Epoch epoch() const { return epoch_; }
  /// Servers that own slots.
  std::uint32_t server_count() const { return server_count_; }
  /// One more than the largest index of a server that ever was in the map.
  std::uint32_t index_count() const { return static_cast<std::uint32_t>(slots_of_.size()); }
  bool contains(ServerIndex server) const {
    return server < slots_of_.size() && slots_of_[server] != 0;
  }
  /// Number of slots that `server` owns.
  std::uint32_t slots_of(ServerIndex server) const {
    return server < slots_of_.size() ? slots_of_[server] : 0;
  }

  /// Adds `server`, which must not be in the map and at most index_count() (invalid). It receives
  /// floor(65536 / (N+1)) slots, nothing else moves, and afterwards each server is within one slot
  /// of its fair share if it was so before. Epoch + 1.
  Status add(ServerIndex server);
  /// Removes `server`: exactly its slots move, to the servers with the fewest. The last one cannot
  /// be removed (invalid). Other servers keep their index. Epoch + 1.
  Status remove(ServerIndex server);

  /// At most `count` servers for further copies of `slot`, without its owner: next in map order,
  /// each on a rack and host that have none yet where possible, else a host, else any other server.
  /// `places[i]` is where server i stands; empty: every server on a host of its own, one rack.
  /// Fewer than `count` if there are fewer servers. Up to a millisecond: not for the path of a
  /// request.
  std::vector<ServerIndex> replicas(Slot slot, std::uint32_t count,
                                    std::span<const ServerPlace> places = {}) const;

  /// Bytes of encode().
  static constexpr std::size_t kEncodedBytes = 16 + 2 * kSlots + 4;
  /// Little-endian: u32 magic, u16 version, u16 index_count, u64 epoch, 65536 x u16 owner, u32
  /// CRC32C of all that precedes.
  std::vector<std::byte> encode() const;
  /// Anything else than what encode() writes is refused with a phrase that says why.
  static std::expected<SlotMap, std::string> decode(std::span<const std::byte> bytes);

  bool operator==(const SlotMap&) const = default;

 private:
  SlotMap() = default;
  void count_slots(std::uint32_t index_count);

  std::vector<ServerIndex> owners_;      // kSlots of them
  std::vector<std::uint32_t> slots_of_;  // by server index
  std::uint32_t server_count_ = 0;
  Epoch epoch_ = 0;
};

}  // namespace benchfs
