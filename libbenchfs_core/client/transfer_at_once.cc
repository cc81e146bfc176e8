// A piece that is in one local file, moved by one system call: what most calls of a program with
// small accesses are, on a server's own host. Around a system call of a microsecond, a task and all
// that a Transfer keeps for many pieces would take as long again. Whatever there is to wait for, to
// ask a server, or to report as an error, is left to a Transfer, which begins from the start; the
// rules are its rules.
#include <unistd.h>

#include <algorithm>

#include "client/transfer.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

bool Transfer::local_allowed(Client& client, const OpenFile& file, Direction direction) {
  if (!client.local().possible() || file.local_refused) return false;
  // What is written by messages the server admits, within the quota.
  return direction == Direction::read || quota_of(file.inode) == 0;
}

std::uint64_t Transfer::local_unit(const OpenFile& file) {
  return std::min(file.chunk_bytes, kStripeBytes);
}

bool Transfer::spreads(const OpenFile& file, std::uint64_t end) {
  return end > file.chunk_bytes && !file.spread;
}

void Transfer::ended_write(Client& client, OpenFile& file, std::uint64_t end) {
  client.forget(file.inode);
  file.saw_size(end);
}

bool Transfer::at_once(Client& client, OpenFile& file, Direction direction,
                       const benchfs_extent& extent, const iovec& memory) {
  const bool writes = direction == Direction::write;
  const std::uint64_t bytes = extent.bytes;
  const std::uint64_t end = extent.offset + bytes;
  if (file.local == nullptr || !local_allowed(client, file, direction)) return false;
  const std::uint64_t unit = local_unit(file);
  if (bytes == 0 || (extent.offset & (unit - 1)) + bytes > unit) return false;
  if (writes && (spreads(file, end) || file.through != Through::nothing)) return false;

  LocalAccess& local = client.local();
  const ServerIndex server = client.map().owner(file.inode, extent.offset >> file.chunk_shift());
  if (!local.usable(server)) return false;
  if (!local.connected(server)) return false;
  const bool in_arena = local.arena(server) != nullptr;
  // Blocks are counted by their places: in an arena in the file, else in the local file.
  const StripePlace at = stripe_at(extent.offset);
  const std::uint64_t place = in_arena ? extent.offset : at.offset;
  const int fd = in_arena ? -1 : file.local->at(server, at.file).fd.get();
  if (!in_arena && fd < 0) return false;

  std::uint64_t borrowed = 0;
  if (writes) {
    borrowed = local.blocks_of(server, place, bytes).bytes();
    if (!local.borrow(server, borrowed)) return false;
    file.dirty_servers[server] = true;
  }
  bool all = false;
  if (in_arena) {
    const std::span<std::byte> data{static_cast<std::byte*>(memory.iov_base), bytes};
    const auto moved = copy_at_once(local, server, file.inode, direction, extent.offset, data);
    all = moved && *moved == bytes;
  } else {
    const auto from = static_cast<off_t>(at.offset);
    const ssize_t moved = writes ? ::pwrite(fd, memory.iov_base, bytes, from)
                                 : ::pread(fd, memory.iov_base, bytes, from);
    all = moved == static_cast<ssize_t>(bytes);
    if (all) local.count(server, writes, bytes);
  }
  if (writes) local.give_back(server, borrowed);
  if (!all) return false;

  if (writes) {
    file.merge_next = false;
    ended_write(client, file, end);
    file.wrote_to(end);
  } else {
    file.saw_size(bytes);
  }
  client.tell_overdue();
  return true;
}

}  // namespace benchfs
