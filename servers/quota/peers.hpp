// What the servers say to each other of quotas. Implemented over net/ where the server is wired,
// and by the tests.
#pragma once
#include "base/status.hpp"
#include "base/types.hpp"
#include "loop/task.hpp"
#include "wire/messages.hpp"

namespace benchfs {

class QuotaPeers {
 public:
  virtual ~QuotaPeers() = default;
  // Each ends within the deadline of calls between servers.

  /// To the authority.
  virtual Task<Result<wire::QuotaShare::Reply>> share(wire::QuotaShare::Request request) = 0;
  /// From it.
  virtual Task<Result<wire::QuotaRecall::Reply>> recall(ServerIndex server,
                                                        wire::QuotaRecall::Request request) = 0;
};

}  // namespace benchfs
