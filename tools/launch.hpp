// Starts servers on this machine and waits until all of them are ready, for `start` and `run`.
#pragma once
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "process.hpp"
#include "state.hpp"

namespace benchfs::tools {

struct LaunchOptions {
  std::string program;  ///< path of benchfsd
  unsigned servers = 1;
  std::string registry;            ///< exists
  std::string data_dir;            ///< server i gets data_dir/server-000i, and its log beside it
  std::string listen;              ///< empty: benchfsd's own default
  std::string config;              ///< empty: none
  std::vector<std::string> flags;  ///< more, given to each benchfsd as they are
  std::int64_t timeout_ms = 60'000;
  bool end_with_parent = false;  ///< the servers get SIGTERM when this process ends
};

struct Cluster {
  std::string id;  ///< 16 hexadecimal digits
  std::string epoch;
  std::vector<std::string> addresses;  ///< host:port, in the order of the servers started
};

/// What a ready line of benchfsd says; nothing if `line` is none.
struct ReadyLine {
  std::string server, cluster, epoch, address;
};
std::optional<ReadyLine> parse_ready(const std::string& line);

struct LaunchError {
  std::string text;  ///< with the last lines of the log where there are any
  int signal = 0;    ///< the signal that broke it off, else 0
};

/// Starts the servers, entering each into `state`. On failure those that were started are stopped
/// again. `signals` breaks it off; other signals than SIGCHLD must not come through it.
std::expected<Cluster, LaunchError> launch(const LaunchOptions& options, StateFile& state,
                                           SignalWatch& signals);

/// The last lines of a log from `offset` on, indented; empty if there are none.
std::string last_lines(const std::string& path, std::uint64_t offset = 0, unsigned lines = 10);

}  // namespace benchfs::tools
