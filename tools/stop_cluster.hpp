// Stops servers that this host cannot signal, by asking each through its bootstrap port with the
// proof of the job's secret.
#pragma once
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

namespace benchfs::tools {

struct StopReport {
  std::vector<std::string> stopped;  ///< "server s0 (pid 17 on node1)"
  std::vector<std::string> failed;   ///< the same, and why
};

/// Asks all servers of the cluster that still live to drain and exit, and waits until they are
/// gone. `servers`: host:port list, used if it is not empty, else `registry`. Nothing there is an
/// empty report; an error is a text that says why that is not known.
std::expected<StopReport, std::string> stop_cluster(const std::string& registry,
                                                    const std::string& servers,
                                                    std::int64_t timeout_ms);

}  // namespace benchfs::tools
