// Tells other servers to drop data: one wire::DropData call each.
#pragma once
#include "metadata/drop_queue.hpp"
#include "net/caller.hpp"

namespace benchfs {

class PeerDrops final : public DropPeers {
 public:
  explicit PeerDrops(Caller& caller) : caller_(caller) {}

  Task<Status> drop_data(ServerIndex server, InodeId inode, std::uint64_t size,
                         bool remove) override {
    const wire::DropData::Request request{inode, size, remove ? 1u : 0u, 0};
    const auto answer = co_await caller_.call<wire::DropData>(server, request);
    if (!answer) co_return std::unexpected(answer.error());
    co_return Status{};
  }

 private:
  Caller& caller_;
};

}  // namespace benchfs
