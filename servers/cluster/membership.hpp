// A server's part in its cluster: forming it with the others, announcing it to clients once all are
// ready, and leaving it.
#pragma once
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/server_config.hpp"
#include "cluster/gathering.hpp"
#include "cluster/identity.hpp"
#include "cluster/listen.hpp"
#include "cluster/meeting.hpp"
#include "net/bootstrap_server.hpp"
#include "net/cluster_info.hpp"

namespace benchfs {

/// The secret of the job, as bytes: of `secret_file`, or made in the registry (0600) by whichever
/// server comes first. The error is a text for the user.
std::expected<std::string, std::string> job_secret(const ServerConfig& config);

/// The registry of the configuration, or the default one if it names neither registry nor servers.
std::expected<std::string, std::string> registry_of(const ServerConfig& config);

/// The record of this process.
ServerRecord make_record(const DataDirectory& data, const ListenAddress& listen,
                         const BootstrapServer& bootstrap, std::span<const std::byte> ucx_address);

class Membership {
 public:
  struct Options {
    std::string registry;  ///< used if `servers` is empty
    std::vector<std::string> servers;
    std::uint32_t expected = 1;        ///< with a registry; a list is of all servers
    std::int64_t timeout_ms = 60'000;  ///< of form(), and again of announce()
    std::int64_t probe_ms = 3'000;     ///< how long another process may take to answer
  };
  static std::expected<Options, std::string> options_of(const ServerConfig& config);

  /// `data` and `bootstrap` outlive it.
  Membership(Loop& loop, Options options, ServerRecord self, DataDirectory& data,
             BootstrapServer& bootstrap);
  ~Membership();
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  /// Forms the cluster with the other servers, or fails with a text for the user within the
  /// timeout: servers that are missing, ids or data directories that do not fit, a registry in use.
  /// The data directory then remembers the cluster. This server must be able to take messages when
  /// it calls.
  Task<std::expected<ClusterInfo, std::string>> form();
  /// Says that this server serves; returns once all do and clients can find the cluster.
  Task<std::expected<void, std::string>> announce();
  /// Makes form() and announce() end within a moment, with an error; the record is taken away.
  void cancel() { canceled_ = true; }
  /// The cluster, once formed.
  const std::optional<ClusterInfo>& cluster() const { return cluster_; }
  /// Takes this server's record away, on a clean exit; the last server takes the cluster file.
  /// Before the bootstrap port closes, so that nobody takes the registry for stale in between.
  void leave();

 private:
  using Formed = Explained<ClusterInfo>;
  Task<Formed> try_form();
  Task<Formed> coordinate();
  Task<Formed> join(Meeting::Where where);
  Task<Explained<void>> check_reachable(std::vector<ServerRecord> servers);
  Task<Explained<ClusterInfo>> decide(std::vector<ServerRecord> servers);
  Task<Explained<void>> publish_when_ready();
  Task<Explained<void>> wait_until_published();
  Task<void> tell_all();

  Loop& loop_;
  Options options_;
  ServerRecord self_;
  DataDirectory& data_;
  BootstrapServer& bootstrap_;
  Gathering gathering_;
  std::unique_ptr<Meeting> meeting_;
  std::optional<ClusterInfo> cluster_;
  std::string cluster_text_;
  std::optional<Meeting::Where> coordinator_;  ///< nothing: this server, once formed
  std::string last_word_;                      ///< why the last attempt did not succeed
  bool place_free_ = false;
  bool canceled_ = false;
};

}  // namespace benchfs
