// Messages 45 to 47: quotas (docs/adr/0017-quotas.md).
#pragma once
#include <cstdint>

#include "wire/header.hpp"

namespace benchfs::wire {

/// At the quotas' authority, the home of the root. get: limits and use. set: new limits. make: a
/// quota of an id that nothing counts for, with these limits. Error: not_found (no such quota),
/// no_space (make: there are kQuotaIdMax), unreachable (of any server that may have files of it).
struct Quota {
  static constexpr std::uint16_t kId = 45;
  static constexpr const char* kName = "quota";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kGet = 1, kSet = 2, kMake = 3;
  static constexpr std::uint64_t kKeep = ~0ull;  ///< of set: the limit stays
  struct Request {
    std::uint32_t id;
    std::uint32_t operation;
    std::uint64_t bytes_limit, files_limit;  ///< 0: none
  };
  struct Reply {
    std::uint32_t id;
    std::uint32_t zero;
    std::uint64_t bytes_limit, files_limit;
    std::uint64_t bytes_used;  ///< of get alone
    std::uint64_t files_used;  ///< the same; without the directory that has the quota
  };
};
/// From a server to the authority: it wants to store or make more than its share allows. Reply: its
/// share now, which is as large as before if there is no more. A share of ~0 has no limit.
struct QuotaShare {
  static constexpr std::uint16_t kId = 46;
  static constexpr const char* kName = "quota_share";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    std::uint32_t id;
    std::uint32_t server;
    std::uint64_t seen;  ///< number of the authority's last word that the sender knows of
    std::uint64_t bytes_used, files_used;    ///< stored and being written
    std::uint64_t bytes_more, files_more;    ///< wanted beyond that
    std::uint64_t bytes_share, files_share;  ///< as it is
  };
  struct Reply {
    std::uint64_t number;
    std::uint64_t bytes_share, files_share;
  };
};
/// From the authority to a server. report: what it has. lower: it gives back what it does not use.
/// From a check of the file system, check: the inodes that count for the quota, counted one by one,
/// beside the count that is kept (files_used); repair: that is set right, too. Error: busy (there
/// is no moment without a change).
struct QuotaRecall {
  static constexpr std::uint16_t kId = 47;
  static constexpr const char* kName = "quota_recall";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kReport = 1, kLower = 2, kCheck = 3, kRepair = 4;
  struct Request {
    std::uint32_t id;
    std::uint32_t operation;
    std::uint64_t number;  ///< of this word of the authority
  };
  struct Reply {
    std::uint64_t bytes_used, files_used;
    std::uint64_t bytes_share, files_share;  ///< at least what is used and being written
    std::uint64_t files_counted;             ///< of check and repair
  };
};

}  // namespace benchfs::wire
