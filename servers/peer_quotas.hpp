// What servers say to each other of quotas: one message each, or a plain call of a part that is in
// this server itself.
#pragma once
#include "net/caller.hpp"
#include "placement/slot_map.hpp"
#include "quota/authority.hpp"
#include "quota/peers.hpp"
#include "quota/shares.hpp"

namespace benchfs {

class PeerQuotas final : public QuotaPeers {
 public:
  PeerQuotas(Caller& caller, const SlotMap& map, ServerIndex self)
      : caller_(caller), map_(map), self_(self) {}
  /// Before anybody asks.
  void set_local(QuotaAuthority* authority, QuotaShares* shares) {
    authority_ = authority;
    shares_ = shares;
  }

  Task<Result<wire::QuotaShare::Reply>> share(wire::QuotaShare::Request request) override {
    const ServerIndex server = map_.home(kRootInode);
    if (server == self_) {
      auto asking = authority_->share(request);
      co_return co_await asking;
    }
    BFS_CO_TRY(answer, co_await caller_.call<wire::QuotaShare>(server, request));
    co_return answer.body;
  }
  Task<Result<wire::QuotaRecall::Reply>> recall(ServerIndex server,
                                                wire::QuotaRecall::Request request) override {
    if (server == self_) {
      auto asking = shares_->recall(request);
      co_return co_await asking;
    }
    BFS_CO_TRY(answer, co_await caller_.call<wire::QuotaRecall>(server, request));
    co_return answer.body;
  }

 private:
  Caller& caller_;
  const SlotMap& map_;
  ServerIndex self_;
  QuotaAuthority* authority_ = nullptr;
  QuotaShares* shares_ = nullptr;
};

}  // namespace benchfs
