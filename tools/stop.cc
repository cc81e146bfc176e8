// `benchfs stop`: ends the servers of a registry. Those that `benchfs start` made on this host are
// ended by signal, after making sure that each process still is the one that was started; all
// others are asked.
#include <fmt/format.h>
#include <stdlib.h>

#include "base/text.hpp"
#include "command.hpp"
#include "paths.hpp"
#include "state.hpp"
#include "stop_cluster.hpp"

namespace benchfs::tools {
namespace {

struct StopOptions {
  std::string registry, servers;
  std::int64_t timeout_ms = 60'000;
  bool clean = false;
};

std::string duration(std::int64_t ms) {
  return format_duration(static_cast<std::uint64_t>(ms) * 1'000'000);
}

// Ends those that were started on this host; adds what was ended to `stopped`.
bool stop_started(const Started& started, std::int64_t timeout_ms, std::size_t& stopped) {
  const bool gone = end_processes(started.processes(), timeout_ms, [&](const EndedProcess& ended) {
    const StartedServer& server = started.servers[ended.index];
    ++stopped;
    if (ended.killed)
      print_error("stop", fmt::format("{} (pid {}) did not end within {} and was killed", server.id,
                                      server.process.pid, duration(timeout_ms)));
    else
      fmt::print("stopped {} (pid {})\n", server.id, server.process.pid);
  });
  if (!gone)
    print_error("stop", "a process does not end, not even by SIGKILL: it hangs in the kernel");
  return gone;
}

bool stop_others(const StopOptions& options, const std::string& registry, std::size_t& stopped) {
  const auto report = stop_cluster(registry, options.servers, options.timeout_ms);
  if (!report) {
    print_error("stop", report.error());
    return false;
  }
  for (const std::string& server : report->stopped) fmt::print("stopped {}\n", server);
  for (const std::string& server : report->failed) print_error("stop", server);
  stopped += report->stopped.size();
  return report->failed.empty();
}

bool remove_data(const Started& started) {
  for (const StartedServer& server : started.servers)
    for (const char* suffix : {"", ".log"}) {
      const auto removed = remove_tree(fmt::format("{}/{}{}", started.data_dir, server.id, suffix));
      if (removed) continue;
      print_error("stop", removed.error());
      return false;
    }
  if (!started.servers.empty()) fmt::print("deleted the data in {}\n", started.data_dir);
  return true;
}

int stop(StopOptions options) {
  const char* list = ::getenv("BENCHFS_SERVERS");
  if (options.servers.empty() && options.registry.empty() && list != nullptr)
    options.servers = list;
  std::size_t stopped = 0;
  if (!options.servers.empty()) {
    if (!stop_others(options, "", stopped)) return kFailure;
    if (stopped == 0) fmt::print("nothing runs at {}\n", options.servers);
    return kOk;
  }

  const auto registry = registry_or_default(options.registry);
  if (!registry) {
    print_error("stop", registry.error());
    return kFailure;
  }
  auto state = StateFile::open(*registry, false);
  if (!state) {
    print_error("stop", state.error());
    return kFailure;
  }
  if (!stop_started(state->started(), options.timeout_ms, stopped)) return kFailure;
  if (!stop_others(options, *registry, stopped)) return kFailure;
  if (stopped == 0) fmt::print("nothing runs on the registry {}\n", *registry);
  if (options.clean && !remove_data(state->started())) return kFailure;
  // The data directory is remembered until it is no longer wanted.
  if (state->found() && options.clean) state->remove();
  return kOk;
}

}  // namespace

Command make_stop(CLI::App& benchfs) {
  auto options = std::make_shared<StopOptions>();
  CLI::App* app = benchfs.add_subcommand("stop", "Stop servers; their data stay where they are");
  auto* registry = app->add_option("--registry", options->registry,
                                   "Registry directory (default: that of the environment)");
  app->add_option("--servers", options->servers,
                  "host:port,... of any servers, instead of a registry")
      ->excludes(registry);
  add_duration(*app, "--timeout", options->timeout_ms,
               "After this, SIGKILL to those that were started on this machine");
  app->add_flag("--clean", options->clean,
                "Delete the data of the servers that were started on this machine");
  app->footer("Nothing to stop is no failure.");
  name_values(*app);
  return {app, false, [options](const auto&) { return stop(*options); }};
}

}  // namespace benchfs::tools
