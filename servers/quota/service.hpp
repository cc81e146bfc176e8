// The messages of quotas: what clients ask of the authority, and servers of each other.
#pragma once
#include "net/service.hpp"
#include "quota/authority.hpp"
#include "quota/shares.hpp"

namespace benchfs {

class QuotaService {
 public:
  QuotaService(QuotaAuthority& authority, QuotaShares& shares)
      : authority_(authority), shares_(shares) {}
  void add_to(Dispatcher& dispatcher);

  Task<void> quota(Incoming incoming);
  Task<void> share(Incoming incoming);
  Task<void> recall(Incoming incoming);

 private:
  QuotaAuthority& authority_;
  QuotaShares& shares_;
};

}  // namespace benchfs
