// Matching the servers that came against the cluster that their data directories belong to. A slot
// map is only as good as the data behind it, so that nothing but the same set of data directories
// will do.
#include "cluster/build_cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.hpp"

namespace benchfs {
namespace {

std::string place(const ServerRecord& server) {
  return fmt::format("{} ({}:{})", server.id, server.host, server.data_dir);
}

void append(std::string& list, const std::string& item) {
  if (!list.empty()) list += ", ";
  list += item;
}

}  // namespace

std::optional<std::size_t> newest_stored(const std::vector<ServerRecord>& servers) {
  const auto newest = std::max_element(
      servers.begin(), servers.end(),
      [](const ServerRecord& a, const ServerRecord& b) { return a.stored_epoch < b.stored_epoch; });
  if (newest == servers.end() || newest->stored_epoch == 0) return std::nullopt;
  return static_cast<std::size_t>(newest - servers.begin());
}

std::expected<ClusterInfo, std::string> build_cluster(std::vector<ServerRecord> servers,
                                                      const std::optional<ClusterInfo>& stored,
                                                      std::uint64_t new_id,
                                                      std::int64_t created_ns) {
  std::sort(servers.begin(), servers.end(),
            [](const ServerRecord& a, const ServerRecord& b) { return a.id < b.id; });
  std::map<std::uint64_t, std::string> by_cluster;
  for (const ServerRecord& server : servers) {
    if (server.stored_cluster_id != 0) append(by_cluster[server.stored_cluster_id], place(server));
  }
  if (by_cluster.empty()) {
    const auto count = static_cast<std::uint32_t>(servers.size());
    return ClusterInfo{.cluster_id = new_id,
                       .epoch = 1,
                       .created_ns = created_ns,
                       .servers = std::move(servers),
                       .map = SlotMap::initial(count, new_id)};
  }
  if (by_cluster.size() > 1) {
    std::string parts;
    for (const auto& [id, members] : by_cluster) {
      parts += fmt::format("{}cluster {}: {}", parts.empty() ? "" : "; ", to_hex(id), members);
    }
    return std::unexpected("the data directories belong to different clusters: " + parts);
  }
  if (!stored || stored->cluster_id != by_cluster.begin()->first)
    return std::unexpected(
        fmt::format("the file of cluster {}, which the data directories belong to,"
                    " could not be had",
                    to_hex(by_cluster.begin()->first)));

  ClusterInfo cluster = *stored;
  cluster.created_ns = created_ns;
  std::string missing;
  std::string emptied;
  std::size_t matched = 0;
  for (ServerRecord& member : cluster.servers) {
    const auto same = [&](const ServerRecord& s) { return s.id == member.id; };
    const auto found = std::find_if(servers.begin(), servers.end(), same);
    if (found == servers.end()) {
      append(missing, place(member));
      continue;
    }
    if (found->store_id != member.store_id) append(emptied, place(*found));
    ++matched;
    member = *found;
  }
  std::string foreign;
  if (matched < servers.size()) {
    for (const ServerRecord& server : servers) {
      if (cluster.find_instance(server.instance) == nullptr) append(foreign, place(server));
    }
  }
  if (missing.empty() && foreign.empty() && emptied.empty()) return cluster;

  std::string why = fmt::format("the data directories belong to cluster {} of {} servers",
                                to_hex(cluster.cluster_id), cluster.servers.size());
  if (!missing.empty()) why += "; missing: " + missing;
  if (!foreign.empty()) why += "; not part of it: " + foreign;
  if (!emptied.empty()) why += "; not the data directory that it was made with: " + emptied;
  return std::unexpected(why);
}

}  // namespace benchfs
