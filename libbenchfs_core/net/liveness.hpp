// Which of many server processes are alive: probes of their bootstrap ports, some at a time.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "net/bootstrap_protocol.hpp"
#include "net/cluster_info.hpp"
#include "net/socket.hpp"

namespace benchfs {

enum class Liveness : std::uint8_t {
  gone,      ///< nobody answers there, or another process
  silent,    ///< no answer in time: stopped, overloaded, or behind a firewall
  draining,  ///< about to exit
  alive,
};

struct Sighting {
  Liveness liveness = Liveness::gone;
  bootstrap::State state = bootstrap::State::starting;  ///< if alive or draining
  std::uint64_t cluster_id = 0;                         ///< the same
};

/// Looks for one process; instance 0 stands for whichever is there.
Task<Sighting> look_for(Loop& loop, ServerRecord record, std::int64_t timeout_ms);
/// Looks for all, at most 64 at a time, each for `timeout_ms`; results in the order of the records.
Task<std::vector<Sighting>> look_for_all(Loop& loop, std::vector<ServerRecord> records,
                                         std::int64_t timeout_ms);

}  // namespace benchfs
