// `benchfs start`: servers on this machine that live until `benchfs stop`. What an earlier start
// has left, dead or half dead, is cleared away first; one that lives is not touched.
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <filesystem>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "base/types.hpp"
#include "command.hpp"
#include "launch.hpp"
#include "paths.hpp"
#include "state.hpp"

namespace benchfs::tools {
namespace {

constexpr std::int64_t kStopMs = 30'000;

struct StartOptions {
  unsigned servers = 1;
  std::string data_dir, registry, listen, config, program;
  std::int64_t timeout_ms = 60'000;
  bool clean = false;
};

std::string pids_of(const Started& started) {
  std::vector<pid_t> pids;
  for (const StartedServer& server : started.servers)
    if (is_alive(server.process)) pids.push_back(server.process.pid);
  return fmt::format("{}", fmt::join(pids, ", "));
}

// True if nothing of an earlier start is in the way any more.
bool clear_earlier(const Started& earlier, const std::string& registry) {
  const std::size_t alive = earlier.alive();
  if (alive == 0) return true;
  if (alive == earlier.servers.size()) {
    print_error("start", fmt::format("{} {} already on the registry {} (pid {}); end {} with: "
                                     "benchfs stop --registry {}",
                                     alive, alive == 1 ? "server runs" : "servers run", registry,
                                     pids_of(earlier), alive == 1 ? "it" : "them", registry));
    return false;
  }
  print_note(
      fmt::format("of {} servers that were started earlier, {} {} dead; stopping the other {}",
                  earlier.servers.size(), earlier.servers.size() - alive,
                  earlier.servers.size() - alive == 1 ? "is" : "are", alive));
  return end_processes(earlier.processes(), kStopMs, [](const EndedProcess&) {});
}

// A wait with N servers for the data of N others would end in a time-out or worse.
bool check_data(const StartOptions& options, const std::string& data_dir) {
  unsigned present = 0;
  std::error_code error;
  while (std::filesystem::exists(fmt::format("{}/{}", data_dir, server_name(present)), error))
    ++present;
  if (options.clean) {
    for (unsigned i = 0; i < present; ++i)
      for (const char* suffix : {"", ".log"}) {
        const auto removed = remove_tree(fmt::format("{}/{}{}", data_dir, server_name(i), suffix));
        if (removed) continue;
        print_error("start", removed.error());
        return false;
      }
    return true;
  }
  if (present == 0 || present == options.servers) return true;
  print_error("start",
              fmt::format("{} holds the data of {} {}: start with -n {}, or choose another "
                          "--data-dir, or delete the data with --clean",
                          data_dir, present, present == 1 ? "server" : "servers", present));
  return false;
}

int start(const StartOptions& options, const std::vector<std::string>& flags) {
  const auto place = registry_or_default(options.registry);
  if (!place) {
    print_error("start", place.error());
    return kFailure;
  }
  const std::string& registry = *place;
  const std::string data_dir = data_dir_or_default(options.data_dir, registry);
  const auto program = find_benchfsd(options.program);
  if (!program) {
    print_error("start", program.error());
    return kFailure;
  }
  const auto made = make_private_dir(registry);
  if (!made) {
    print_error("start", made.error());
    return kFailure;
  }
  auto state = StateFile::open(registry, true);
  if (!state) {
    print_error("start", state.error());
    return kFailure;
  }
  if (!clear_earlier(state->started(), registry) || !check_data(options, data_dir)) return kFailure;

  SignalWatch signals{SIGINT, SIGTERM, SIGHUP};
  const std::int64_t begin = now_ms();
  const auto cluster = launch({.program = *program,
                               .servers = options.servers,
                               .registry = registry,
                               .data_dir = data_dir,
                               .listen = options.listen,
                               .config = options.config.empty() ? "" : absolute(options.config),
                               .flags = flags,
                               .timeout_ms = options.timeout_ms,
                               .end_with_parent = false},
                              *state, signals);
  if (!cluster) {
    print_error("start", cluster.error().text);
    if (cluster.error().signal == 0) print_note(fmt::format("logs: {}/server-*.log", data_dir));
    return cluster.error().signal == 0 ? kFailure : 128 + cluster.error().signal;
  }
  fmt::print("{} {} ready after {}: cluster {}, epoch {}\n", options.servers,
             options.servers == 1 ? "server" : "servers",
             format_duration(static_cast<std::uint64_t>(now_ms() - begin) * 1'000'000), cluster->id,
             cluster->epoch);
  for (unsigned i = 0; i < options.servers; ++i)
    fmt::print("  {}  {}  pid {}\n", server_name(i), cluster->addresses[i],
               state->started().servers[i].process.pid);
  fmt::print("registry {}\ndata     {}\n", registry, data_dir);
  if (registry != registry_or_default("").value_or(""))
    fmt::print("Programs find it with: export BENCHFS_REGISTRY={}\n", registry);
  return kOk;
}

}  // namespace

Command make_start(CLI::App& benchfs) {
  auto options = std::make_shared<StartOptions>();
  CLI::App* app = benchfs.add_subcommand("start", "Start servers on this machine");
  app->add_option("-n,--servers", options->servers, "Number of servers")
      ->capture_default_str()
      ->check(CLI::Range(1u, kServersMax));
  app->add_option("--data-dir", options->data_dir,
                  "Directory for data, on a fast file system of this machine (default: "
                  "BENCHFS_DATA_DIR, else one of this user's in TMPDIR or /tmp)");
  app->add_option(
      "--registry", options->registry,
      "Directory where servers and programs meet (default: BENCHFS_REGISTRY, else one of "
      "this user's)");
  app->add_option("--listen", options->listen,
                  "Address or network interface to listen on (default: loopback)");
  app->add_option("--config", options->config, "YAML file with settings of benchfsd");
  add_duration(*app, "--timeout", options->timeout_ms, "How long to wait until all are ready");
  app->add_flag("--clean", options->clean, "First delete the data that are there");
  app->add_option("--benchfsd", options->program,
                  "The server program (default: the installed one)");
  app->footer("What follows \"--\" is given to each benchfsd: see benchfsd --help.");
  name_values(*app);
  return {app, true, [options](const auto& rest) { return start(*options, rest); }};
}

}  // namespace benchfs::tools
