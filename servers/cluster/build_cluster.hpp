// The coordinator's decision: from the servers that have come to the cluster that they are.
#pragma once
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "net/cluster_info.hpp"

namespace benchfs {

/// The place in `servers` of the one whose data directory has the newest cluster file; nothing if
/// all directories are new.
std::optional<std::size_t> newest_stored(const std::vector<ServerRecord>& servers);

/// A new cluster of `servers` (in order of their ids) if all data directories are new: `new_id`,
/// epoch 1. Else the cluster `stored` of newest_stored(), every server at its old index. The error
/// names servers and data directories that do not fit: of different clusters, missing, foreign, or
/// emptied.
std::expected<ClusterInfo, std::string> build_cluster(std::vector<ServerRecord> servers,
                                                      const std::optional<ClusterInfo>& stored,
                                                      std::uint64_t new_id,
                                                      std::int64_t created_ns);

}  // namespace benchfs
