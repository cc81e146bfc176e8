// Tells other servers of directories that are being removed: one wire::MarkDirectory call each.
#pragma once
#include "metadata/removals.hpp"
#include "net/caller.hpp"

namespace benchfs {

class PeerRemovals final : public RemovalPeers {
 public:
  explicit PeerRemovals(Caller& caller) : caller_(caller) {}

  Task<Status> mark_directory(ServerIndex server, InodeId inode, std::uint64_t token,
                              std::uint32_t operation) override {
    const wire::MarkDirectory::Request request{inode, token, operation, 0};
    const auto answer = co_await caller_.call<wire::MarkDirectory>(server, request);
    if (!answer) co_return std::unexpected(answer.error());
    co_return Status{};
  }

 private:
  Caller& caller_;
};

}  // namespace benchfs
