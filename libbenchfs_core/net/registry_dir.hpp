// The registry directory as its readers see it: names of its files, and reading them without
// trusting them. Writing is for servers (servers/cluster/registry).
#pragma once
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "net/cluster_info.hpp"
#include "net/socket.hpp"

namespace benchfs {

namespace registry_names {
inline constexpr std::string_view kCluster = "cluster.yaml";  ///< the published cluster file
inline constexpr std::string_view kForming =
    "forming.yaml";  ///< the same, before all servers are ready
inline constexpr std::string_view kFailure = "failure.yaml";  ///< why forming was given up
inline constexpr std::string_view kSecret = "secret";
inline constexpr std::string_view kRecordSuffix = ".server";
inline constexpr std::string_view kTemporaryPrefix = ".tmp.";
}  // namespace registry_names

/// Whole content of a regular file of at most `bytes_max` bytes; symbolic links are not followed,
/// and a FIFO is not waited for. The text names the file.
Explained<std::string> read_bounded_file(const std::string& path, std::size_t bytes_max);

/// Names of the server records in the directory, sorted; not_found if there is no such directory.
Explained<std::vector<std::string>> list_records(const std::string& directory);

/// The cluster file `name` of the directory: not_found, bad_message (not a cluster file), or that
/// of the system call.
Explained<ClusterInfo> read_registry_cluster(const std::string& directory, std::string_view name);

/// Where servers and clients of one user meet if nothing is configured: $BENCHFS_REGISTRY, else
/// $XDG_RUNTIME_DIR/benchfs/registry, else /tmp/benchfs-<uid>/registry. Nothing is created. The
/// error says why the place cannot be trusted: it, or /tmp/benchfs-<uid>, is not a directory,
/// belongs to somebody else, or can be written by others.
std::expected<std::string, std::string> default_registry();

/// Null text if `directory` does not exist or is a directory of this user that nobody else can
/// write; else what is wrong.
std::expected<void, std::string> check_private_directory(const std::string& directory);

}  // namespace benchfs
