// The coordinator's book of servers that want to join, filled by the join requests at its bootstrap
// port. Every server keeps one, since any may turn out to be the coordinator.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "net/cluster_info.hpp"
#include "net/socket.hpp"

namespace benchfs {

class Gathering {
 public:
  Gathering(ServerRecord self, std::uint32_t expected);

  /// Answers a join request: see bootstrap::Op::join.
  Explained<std::string> join(std::string_view payload);

  /// Who is here: this server, and those heard of lately; sorted by id.
  std::vector<ServerRecord> present();
  std::uint32_t expected() const { return expected_; }
  /// "2 of 3 servers are here: s0, s1".
  std::string roll_call();

  /// From now on, members are told the cluster and others that it is complete.
  void finish(const ClusterInfo& cluster, std::string text);
  /// From now on, everybody is told why there will be no cluster.
  void give_up(std::string why);
  /// Whether all that were present have been told.
  bool all_told() const { return untold_.empty(); }

 private:
  struct Guest {
    ServerRecord record;
    std::int64_t heard_ms = 0;
  };
  void forget_silent();

  ServerRecord self_;
  std::uint32_t expected_;
  std::map<std::string, Guest> guests_;  // by id
  std::int64_t looked_ms_ = 0;           ///< for guests that have fallen silent
  std::unordered_set<std::uint64_t> untold_;
  std::unordered_set<std::uint64_t> members_;
  std::string cluster_text_;
  std::string formed_why_;
  std::string failure_;
};

}  // namespace benchfs
