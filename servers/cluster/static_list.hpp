// Meeting through a list of host:port, without any shared file system. The first of the list is the
// coordinator; clients ask any server for the cluster file.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "cluster/meeting.hpp"

namespace benchfs {

class StaticList final : public Meeting {
 public:
  StaticList(Loop& loop, std::vector<std::string> servers, ServerRecord self,
             std::int64_t probe_ms);

  /// Finds this server in the list.
  Task<Explained<void>> enter() override;
  Task<Explained<std::optional<Where>>> coordinator() override;
  Task<Explained<void>> check_free() override;
  Task<Explained<void>> publish(const ClusterInfo& cluster, const std::string& text) override;
  void leave() override {}

 private:
  Loop& loop_;
  std::vector<std::string> servers_;
  ServerRecord self_;
  std::int64_t probe_ms_;
  std::vector<HostPort> addresses_;
  std::size_t own_index_ = 0;
};

}  // namespace benchfs
