// benchfsd: one server of a BenchFS cluster. Reads the configuration, runs the server until
// SIGTERM, SIGINT or SIGHUP, and exits with 0 after a clean stop, 1 after a failure, 2 if the
// configuration is wrong.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>
#include <iterator>
#include <span>
#include <string>

#include "base/log.hpp"
#include "base/server_config.hpp"
#include "base/text.hpp"
#include "config.h"
#include "net/ucx_log.hpp"
#include "server.hpp"

namespace {

using namespace benchfs;

Server* running = nullptr;  // for the signal handler alone

void on_signal(int) {
  running->request_stop();
}

int complain(int exit_code, const std::string& text) {
  fmt::print(stderr, "benchfsd: {}\n", text);
  return exit_code;
}

void print_help() {
  const ServerConfig defaults;
  fmt::print(
      "Usage: benchfsd [--config FILE] [--KEY VALUE]...\n\n"
      "One server of a BenchFS cluster: an ad-hoc parallel file system for the nodes of one job.\n"
      "Every setting is a flag, a variable BENCHFS_<KEY>, or a key of the YAML file that --config "
      "or\n"
      "BENCHFS_CONFIG names; the first of these that has it decides.\n\n"
      "{}\n"
      "  --config FILE\n      YAML file with settings.\n"
      "  --print-config\n      Print the settings in force as YAML, and exit.\n"
      "  --help, --version\n\n"
      "SIGTERM, SIGINT and SIGHUP drain, sync and deregister. Exit code: 0 stopped, 1 failure, 2 "
      "wrong setting.\n",
      config::help(server_options(), &defaults));
}

void install_signals(Server& server) {
  running = &server;
  struct sigaction action {};
  action.sa_handler = &on_signal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  struct sigaction hangup {};
  sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);  // not under nohup
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is an error of the write (EFBIG), not our end
}

/// As many descriptors as this user may have: chunk files, bootstrap connections, RocksDB's own.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void print_ready(const Server& server) {
  const ClusterInfo& cluster = server.cluster();
  const ServerRecord& record = server.record();
  fmt::print(
      "benchfsd: ready: server {} ({} of {}) cluster {} epoch {} listening on {}:{} pid {}\n",
      record.id, server.index(), cluster.servers.size(), to_hex(cluster.cluster_id), cluster.epoch,
      record.bootstrap_host, record.bootstrap_port, record.pid);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<const char* const> args(argv + 1,
                                          static_cast<std::size_t>(argc > 0 ? argc - 1 : 0));
  auto loaded = load_server_config({.args = args, .environment = config::process_environment()});
  if (!loaded) return complain(2, loaded.error());
  switch (loaded->outcome.action) {
    case config::Action::help:
      print_help();
      return 0;
    case config::Action::version:
      fmt::print("benchfsd {}\n", PACKAGE_VERSION);
      return 0;
    case config::Action::print_config:
      fmt::print("{}", config::dump(server_options(), &loaded->config));
      return 0;
    case config::Action::run:
      break;
  }
  if (auto log = init_log(loaded->config.log_level, loaded->config.log_file, "benchfsd"); !log) {
    return complain(2, log.error());
  }
  send_ucx_messages_to_log();
  raise_descriptor_limit();
  for (const auto& warning : loaded->outcome.warnings) log_warn("{}", warning);

  auto server = Server::create(loaded->config);
  if (!server) return complain(1, server.error());
  install_signals(**server);
  const auto served = (*server)->run([&] { print_ready(**server); });
  if (!served) return complain(1, served.error());
  log_info("stopped");
  return 0;
}
