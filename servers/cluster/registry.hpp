// Meeting through a registry directory on a shared file system. Each server keeps one record file
// there; the first of the sorted ids that is alive is the coordinator, which also publishes the
// cluster file and clears away what earlier runs have left.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cluster/meeting.hpp"
#include "net/liveness.hpp"

namespace benchfs {

class Registry final : public Meeting {
 public:
  /// `probe_ms`: how long another process may take to answer.
  Registry(Loop& loop, std::string directory, ServerRecord self, std::int64_t probe_ms);

  Task<Explained<void>> enter() override;
  Task<Explained<std::optional<Where>>> coordinator() override;
  Task<Explained<void>> check_free() override;
  Task<Explained<void>> publish(const ClusterInfo& cluster, const std::string& text) override;
  void leave() override;

 private:
  /// What a record file held when it was last read.
  struct Seen {
    std::uint64_t inode = 0;
    std::int64_t changed_ns = 0;
    std::optional<ServerRecord> record;
    std::uint64_t confirmed = 0;  ///< instance that has answered
    std::int64_t looked_at_ms = 0;
    bool warned = false;
  };
  Task<Explained<void>> claim_name();
  /// What a record file holds; read again only if it has changed. Garbage is logged once.
  Seen& look_at(const std::string& name);
  /// Of all record files, sorted.
  std::expected<std::vector<std::string>, std::string> names();
  Task<void> sweep(const ClusterInfo* cluster);
  std::string path(std::string_view name) const;

  Loop& loop_;
  std::string directory_;
  ServerRecord self_;
  std::string own_name_;
  std::string tag_;
  std::int64_t probe_ms_;
  bool entered_ = false;
  std::map<std::string, Seen> seen_;
};

}  // namespace benchfs
