// What servers and clients know of a cluster: the record that each server publishes, and the
// cluster file: id, epoch, servers in order of their index, slot map. Both are YAML, read strictly:
// sizes are bounded, unknown, repeated or missing keys and values out of range are refused with a
// text that names the file and the cause. Nothing here throws.
#pragma once
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

/// One server process.
struct ServerRecord {
  std::string id;             ///< name in the cluster, kept in the data directory
  std::string host;           ///< host name, for people
  std::uint64_t host_id = 0;  ///< of host_id(): equal for processes on one host
  std::int64_t pid = 0;
  std::string bootstrap_host;  ///< numeric address at which others reach its bootstrap port
  std::uint16_t bootstrap_port = 0;
  std::uint64_t instance = 0;  ///< random per process, never 0
  std::vector<std::byte> ucx_address;
  std::string data_dir;        ///< for people
  std::uint64_t store_id = 0;  ///< random per data directory: tells an emptied one from the old one
  std::uint64_t stored_cluster_id =
      0;  ///< the cluster that the data directory belongs to; 0: none yet
  Epoch stored_epoch = 0;
  std::int64_t started_ns = 0;  ///< wall clock

  bool operator==(const ServerRecord&) const = default;
};

struct ClusterInfo {
  std::uint64_t cluster_id;  ///< random, never 0; kept as long as the data directories are
  Epoch epoch;
  std::int64_t created_ns;            ///< wall clock, when these processes formed the cluster
  std::vector<ServerRecord> servers;  ///< a server's index is its place here
  SlotMap map;

  /// The server of this process instance; null if it is not part of the cluster.
  const ServerRecord* find_instance(std::uint64_t instance) const;

  bool operator==(const ClusterInfo&) const = default;
};

inline constexpr std::size_t kRecordTextMax = 64u << 10;
inline constexpr std::size_t kClusterTextMax = 16u << 20;

/// `name` stands for the source of the text in errors.
std::string encode_record(const ServerRecord& record);
std::expected<ServerRecord, std::string> decode_record(std::string_view text,
                                                       std::string_view name);

std::string encode_cluster(const ClusterInfo& cluster);
std::expected<ClusterInfo, std::string> decode_cluster(std::string_view text,
                                                       std::string_view name);

/// What a data directory says of itself.
struct StoreIdentity {
  std::string server_id;
  std::uint64_t store_id = 0;
  bool operator==(const StoreIdentity&) const = default;
};
std::string encode_identity(const StoreIdentity& identity);
std::expected<StoreIdentity, std::string> decode_identity(std::string_view text,
                                                          std::string_view name);

/// Why the processes of `instances` could not form a cluster: left for the others by the one that
/// found out.
struct FormingFailure {
  std::vector<std::uint64_t> instances;
  std::string text;
  bool operator==(const FormingFailure&) const = default;
};
std::string encode_failure(const FormingFailure& failure);
std::expected<FormingFailure, std::string> decode_failure(std::string_view text,
                                                          std::string_view name);

std::string this_host_name();
/// Random, never 0.
std::uint64_t random_id();
/// "2026-01-31 12:00:00 UTC".
std::string format_wall_time(std::int64_t ns);
/// "server s0 (pid 17 on node1)".
std::string describe(const ServerRecord& record);

}  // namespace benchfs
