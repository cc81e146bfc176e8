// A server's data directory as an identity: which server it is, which cluster it belongs to, and
// that no other process uses it.
#pragma once
#include <expected>
#include <optional>
#include <string>

#include "net/cluster_info.hpp"
#include "net/socket.hpp"

namespace benchfs {

class DataDirectory {
 public:
  /// Makes the directory (0700) if it is missing, locks it for the life of this object, and reads
  /// who it is, or settles that: `server_id`, or a new name if that is empty. The error is a text
  /// that names the directory: not a directory, not writable, in use (with the pid of the user),
  /// another server's, or damaged.
  static std::expected<DataDirectory, std::string> open(const std::string& path,
                                                        const std::string& server_id);
  DataDirectory(DataDirectory&&) noexcept = default;
  DataDirectory& operator=(DataDirectory&&) noexcept = default;

  const std::string& path() const { return path_; }
  const std::string& server_id() const { return identity_.server_id; }
  std::uint64_t store_id() const { return identity_.store_id; }

  /// The cluster that the directory's data belong to, as it was when it was last formed.
  const std::optional<ClusterInfo>& stored() const { return stored_; }
  /// Remembers the cluster, durably.
  std::expected<void, std::string> store(const ClusterInfo& cluster);

 private:
  DataDirectory(std::string path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::expected<void, std::string> read_identity(const std::string& server_id);
  std::expected<void, std::string> read_stored();

  std::string path_;
  Fd lock_;
  StoreIdentity identity_;
  std::optional<ClusterInfo> stored_;
};

}  // namespace benchfs
