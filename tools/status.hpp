// The state of a cluster's servers, as `status` and `run --status` show it.
#pragma once
#include <benchfs.h>

#include <expected>
#include <string>
#include <vector>

namespace benchfs::tools {

/// The name alone means the function of that name.
using ServerStatus = struct benchfs_server_status;

struct ServerState {
  int index = 0;
  std::string host;
  std::string error;  ///< why it did not answer; empty: it did
  ServerStatus status{};
};

struct ClusterState {
  std::string cluster_id;
  std::uint64_t epoch = 0;
  std::vector<ServerState> servers;

  std::size_t dead() const;
  ServerStatus totals() const;
};

/// Asks every server. `cluster`: as benchfs_connect() takes it; null: the environment decides.
std::expected<ClusterState, std::string> query_cluster(const char* cluster);

using Row = std::vector<std::string>;
/// Columns as wide as their widest cell; the first `left` of them to the left, the others to the
/// right.
std::string aligned(const std::vector<Row>& rows, std::size_t left);

std::string to_table(const ClusterState& cluster);
std::string to_json(const ClusterState& cluster);

}  // namespace benchfs::tools
