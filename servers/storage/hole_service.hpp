// The messages about storage rather than data: allocate, seek.
#pragma once
#include "loop/loop.hpp"
#include "net/service.hpp"
#include "placement/slot_map.hpp"
#include "quota/shares.hpp"
#include "storage/chunk_store.hpp"
#include "storage/space.hpp"

namespace benchfs {

class HoleService {
 public:
  /// quotas: null: no file has one.
  HoleService(Loop& loop, ChunkStore& store, Space& space, QuotaShares* quotas, const SlotMap& map,
              ServerIndex self)
      : loop_(loop), store_(store), space_(space), quotas_(quotas), map_(map), self_(self) {}
  void add_to(Dispatcher& dispatcher);

  Task<void> allocate(Incoming incoming);
  Task<void> seek(Incoming incoming);

  // The work of the handlers, without the network.
  Task<Status> carry_out(wire::Allocate::Request request);
  Task<Result<wire::Seek::Reply>> find(wire::Seek::Request request);

 private:
  Task<Status> check_space(wire::Allocate::Request request);
  Task<Status> allocate_owned(wire::Allocate::Request request);
  Task<Result<wire::Seek::Reply>> find_hole(wire::Seek::Request request);
  std::uint64_t owned_bytes(const wire::Allocate::Request& request) const;
  bool owns(InodeId inode, std::uint64_t chunk) const { return map_.owner(inode, chunk) == self_; }

  Loop& loop_;
  ChunkStore& store_;
  Space& space_;
  QuotaShares* quotas_;
  const SlotMap& map_;
  ServerIndex self_;
};

}  // namespace benchfs
