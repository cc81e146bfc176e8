// How the servers of a cluster find each other: through a registry directory or a list of
// addresses. Membership drives it; the talk between servers goes over their bootstrap ports in both
// cases.
#pragma once
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "net/cluster_info.hpp"
#include "net/socket.hpp"

namespace benchfs {

/// Errors are texts for the user; they end the forming of the cluster.
class Meeting {
 public:
  struct Where {
    std::string host;
    std::uint16_t port = 0;
    std::string name;  ///< for messages
  };
  virtual ~Meeting() = default;

  /// Makes this server known. Errc::busy: not yet possible, try again; the text says why.
  virtual Task<Explained<void>> enter() = 0;
  /// Whom to join at this moment; nothing: this server is the coordinator.
  virtual Task<Explained<std::optional<Where>>> coordinator() = 0;
  /// Asked of the coordinator before it forms the cluster: that the place is free. Errc::busy: an
  /// earlier cluster is about to go.
  virtual Task<Explained<void>> check_free() = 0;
  /// Publishes the cluster for clients; called by the coordinator.
  virtual Task<Explained<void>> publish(const ClusterInfo& cluster, const std::string& text) = 0;
  /// Undoes enter() and, if nobody of the cluster is left, publish().
  virtual void leave() = 0;
};

}  // namespace benchfs
