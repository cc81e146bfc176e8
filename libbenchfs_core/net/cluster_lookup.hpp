// How a client finds its cluster: through a registry directory, or by asking servers of a list.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/client_config.hpp"
#include "net/cluster_info.hpp"
#include "net/registry_dir.hpp"
#include "net/socket.hpp"

namespace benchfs {

struct FoundCluster {
  ClusterInfo info;
  std::string secret;  ///< the job's secret, as bytes
  std::string source;  ///< "registry /x" or "server host:port", for messages
};

/// Where a client looks: of `config`, or the default registry if it names neither servers nor
/// registry.
struct LookupPlan {
  std::vector<std::string> servers;  ///< host:port; used if there are any
  std::string registry;
  std::string secret_file;
  std::int64_t deadline_ms = 0;
  std::int64_t probe_ms = 0;  ///< how long one server may take to answer a probe
};
Explained<LookupPlan> plan_lookup(const ClientConfig& config);

/// Finds the cluster within the configured deadline. A cluster that is still forming is waited for,
/// nothing else. Errors, each with a text that says what was found where and what to do:
///   not_found    no cluster there
///   stale        there was one, but none of its servers answers
///   shutting_down  its servers are about to exit
///   timed_out    it was still forming at the deadline
///   unreachable  none of the listed servers answers
///   access       the secret is not theirs, or its file cannot be used
///   bad_message  the cluster file is damaged
Task<Explained<FoundCluster>> find_cluster(Loop& loop, ClientConfig config);
Task<Explained<FoundCluster>> find_cluster(Loop& loop, LookupPlan plan);

}  // namespace benchfs
