// Asks other servers for their part in renames and links: one message each.
#pragma once
#include "metadata/move_peers.hpp"
#include "net/caller.hpp"

namespace benchfs {

class PeerMoves final : public MovePeers {
 public:
  explicit PeerMoves(Caller& caller) : caller_(caller) {}

  Task<Result<wire::PlaceEntry::Reply>> place_entry(ServerIndex server,
                                                    wire::PlaceEntry::Request request,
                                                    std::string_view name) override {
    const auto bytes = std::as_bytes(std::span{name.data(), name.size()});
    BFS_CO_TRY(answer, co_await caller_.call<wire::PlaceEntry>(server, request, bytes));
    co_return answer.body;
  }
  Task<Status> drop_link(ServerIndex server, InodeId inode, std::uint64_t token) override {
    const wire::DropLink::Request request{inode, token};
    const auto answer = co_await caller_.call<wire::DropLink>(server, request);
    if (!answer) co_return std::unexpected(answer.error());
    co_return Status{};
  }
  Task<Status> forget_token(ServerIndex server, std::uint64_t token) override {
    const wire::ForgetToken::Request request{token};
    const auto answer = co_await caller_.call<wire::ForgetToken>(server, request);
    if (!answer) co_return std::unexpected(answer.error());
    co_return Status{};
  }
  Task<Result<std::uint64_t>> move_gate(ServerIndex server,
                                        wire::MoveGate::Request request) override {
    BFS_CO_TRY(answer, co_await caller_.call<wire::MoveGate>(server, request));
    co_return answer.body.moves;
  }

 private:
  Caller& caller_;
};

}  // namespace benchfs
