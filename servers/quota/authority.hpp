// Limits of all quotas, at the home of the root, and who may use how much of them. Servers get
// shares whose sum is never more than the limit, so that they need not ask for each write; what one
// does not use is called back when another one needs it. docs/adr/0017-quotas.md.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "loop/sync.hpp"
#include "metadata/meta_store.hpp"
#include "placement/slot_map.hpp"
#include "quota/peers.hpp"

namespace benchfs {

/// Single-threaded. Shares are kept in memory alone: after a start all servers are asked before
/// anything is handed out.
class QuotaAuthority {
 public:
  struct Options {
    ServerIndex self = 0;
    QuotaId id_max = kQuotaIdMax;
    /// A new quota whose directory is not made yet counts nothing: its id is left alone so long.
    std::int64_t young_ns = 600'000'000'000;
  };
  QuotaAuthority(MetaStore& store, const SlotMap& map, QuotaPeers& peers, Options options);
  QuotaAuthority(const QuotaAuthority&) = delete;
  QuotaAuthority& operator=(const QuotaAuthority&) = delete;

  Status start();
  /// Errors as of wire::Quota; stale_epoch if this is not the home of the root.
  Task<Result<wire::Quota::Reply>> quota(wire::Quota::Request request);
  Task<Result<wire::QuotaShare::Reply>> share(wire::QuotaShare::Request request);

 private:
  struct Given {
    std::uint64_t bytes = 0, files = 0;
    std::uint64_t number = 0;  ///< of the last word to that server
  };
  struct Quota {
    QuotaLimits limits;
    std::map<ServerIndex, Given> given;
    bool known = false;        ///< what the servers have
    std::int64_t told_ns = 0;  ///< when it was logged last that one does not say
    Semaphore turn{1};
  };
  /// The turn of one quota.
  class Turn {
   public:
    explicit Turn(Quota& quota) : quota_(quota) {}
    ~Turn() { quota_.turn.release(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Quota& quota_;
  };
  struct Use {
    std::uint64_t bytes = 0, files = 0;
  };

  std::vector<ServerIndex> servers() const;
  Quota* find(QuotaId id);
  Task<Status> recall(Quota* quota, int but);
  Task<Status> learn(Quota* quota, int but);
  Task<Result<Use>> use(QuotaId id);
  Task<Result<wire::Quota::Reply>> get(QuotaId id);
  Task<Result<wire::Quota::Reply>> set(wire::Quota::Request request);
  Task<Result<wire::Quota::Reply>> make(wire::Quota::Request request);
  Task<Result<QuotaId>> free_id();
  Task<Status> store(QuotaLimits limits);

  MetaStore& store_;
  const SlotMap& map_;
  QuotaPeers& peers_;
  Options options_;
  std::map<QuotaId, std::unique_ptr<Quota>> quotas_;
  std::uint64_t number_;
  QuotaId last_reused_ = 0;
  Semaphore making_{1};
};

}  // namespace benchfs
