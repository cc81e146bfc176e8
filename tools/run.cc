// `benchfs run`: servers for the life of one command. The command gets a process group of its own,
// the terminal if there is one, and every signal that this process gets. Its exit status is ours.
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/types.hpp"
#include "command.hpp"
#include "launch.hpp"
#include "paths.hpp"
#include "run_dir.hpp"
#include "status.hpp"

namespace benchfs::tools {
namespace {

// The data are about to be deleted: no reason to wait long for servers that sync them.
constexpr std::int64_t kStopMs = 10'000;
constexpr std::int64_t kStopKeepMs = 120'000;

struct RunOptions {
  unsigned servers = 1;
  std::string data_dir, listen, config, program;
  std::int64_t timeout_ms = 60'000;
  bool keep_data = false;
  bool no_preload = false;
  bool status = false;
};

// The terminal's foreground, passed to the command and taken back.
class Terminal {
 public:
  Terminal() : ours_(::isatty(STDIN_FILENO) == 1 && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp()) {}
  void give(pid_t group) const {
    if (ours_) set(group);
  }
  void take_back() const {
    if (ours_) set(::getpgrp());
  }

 private:
  static void set(pid_t group) {
    // A background process that sets the foreground would be stopped by SIGTTOU.
    const auto before = ::signal(SIGTTOU, SIG_IGN);
    ::tcsetpgrp(STDIN_FILENO, group);
    ::signal(SIGTTOU, before);
  }
  bool ours_;
};

[[noreturn]] void become_command(const std::vector<std::string>& words, const RunOptions& options,
                                 const std::string& registry, const SignalWatch& signals,
                                 const Terminal& terminal, pid_t parent) {
  ::setpgid(0, 0);
  terminal.give(::getpid());
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);
  signals.restore_in_child();
  ::setenv("BENCHFS_REGISTRY", registry.c_str(), 1);
  ::unsetenv("BENCHFS_SERVERS");
  const auto library = find_mpio_library();
  if (library && !options.no_preload) ::setenv("LD_PRELOAD", preload_value(*library).c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  const int cause = errno;
  ::dprintf(STDERR_FILENO, "benchfs: run: %s: %s\n", argv[0], ::strerror(cause));
  ::_exit(cause == ENOENT ? 127 : 126);
}

// A server that ends while the command runs: its files are out of reach, and the log says why.
void tell_server_ended(const Started& started, pid_t pid, int status) {
  for (const StartedServer& server : started.servers) {
    if (server.process.pid != pid) continue;
    const std::string lines = last_lines(server.log);
    print_error("run", fmt::format("{} ended with {} while the command runs{}{}", server.id,
                                   describe_exit(status),
                                   lines.empty() ? "" : "; the end of its log:\n", lines));
  }
}

int exit_status_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Waits for the command, passing signals on; gives its status as of waitpid().
int wait_command(pid_t command, const Started& started, SignalWatch& signals,
                 const Terminal& terminal) {
  while (true) {
    pollfd poll{signals.fd(), POLLIN, 0};
    ::poll(&poll, 1, -1);
    while (const auto signal = signals.next())
      if (*signal != SIGCHLD) ::kill(-command, *signal);
    int status = 0, of_command = 0;
    bool ended = false;
    pid_t pid;
    while ((pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
      if (pid == command && WIFSTOPPED(status)) {
        // Ctrl-Z: stop with it, so that the shell notices, and go on with it.
        terminal.take_back();
        ::raise(SIGSTOP);
        terminal.give(command);
        ::kill(-command, SIGCONT);
      } else if (pid == command) {
        terminal.take_back();
        ended = true;
        of_command = status;
      } else if (!WIFSTOPPED(status)) {
        tell_server_ended(started, pid, status);
      }
    }
    if (ended) return of_command;
  }
}

void show_shares(const std::string& registry) {
  const auto cluster = query_cluster(registry.c_str());
  if (!cluster) {
    print_error("status", cluster.error());
    return;
  }
  fmt::print("{}", to_table(*cluster));
  std::fflush(stdout);
}

int with_servers(const RunOptions& options, const std::vector<std::string>& words,
                 const std::string& program, RunDir& dir, Guardian& guardian) {
  const auto made = make_private_dir(dir.registry());
  if (!made) {
    print_error("run", made.error());
    return kFailure;
  }
  auto state = StateFile::open(dir.registry(), true);
  if (!state) {
    print_error("run", state.error());
    return kFailure;
  }
  SignalWatch signals{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD};
  const auto cluster =
      launch({.program = program,
              .servers = options.servers,
              .registry = dir.registry(),
              .data_dir = options.keep_data ? absolute(options.data_dir) : dir.data(),
              .listen = options.listen,
              .config = options.config.empty() ? "" : absolute(options.config),
              .flags = {},
              .timeout_ms = options.timeout_ms,
              .end_with_parent = true},
             *state, signals);
  if (!cluster) {
    print_error("run", cluster.error().text);
    return cluster.error().signal == 0 ? kFailure : 128 + cluster.error().signal;
  }

  const Terminal terminal;
  const pid_t parent = ::getpid();
  const pid_t command = ::fork();
  if (command == 0) become_command(words, options, dir.registry(), signals, terminal, parent);
  if (command < 0) {
    print_error("run", fmt::format("cannot start a process: {}", ::strerror(errno)));
    return kFailure;
  }
  ::setpgid(command, command);  // here too: whichever of the two comes first
  guardian.watch_group(command);
  const int status = wait_command(command, state->started(), signals, terminal);
  if (options.status) show_shares(dir.registry());
  return exit_status_of(status);
}

int run(const RunOptions& options, const std::vector<std::string>& words) {
  if (words.empty()) {
    print_error("run", "no command: benchfs run -n 2 -- mpiexec -n 4 PROGRAM");
    return kUsage;
  }
  if (options.keep_data && options.data_dir.empty()) {
    print_error("run", "--keep-data needs --data-dir: the place where the data stay");
    return kUsage;
  }
  const auto program = find_benchfsd(options.program);
  if (!program) {
    print_error("run", program.error());
    return kFailure;
  }
  if (!options.no_preload && !find_mpio_library())
    print_note(fmt::format(
        "{} has no libbenchfs_mpio.so: MPI programs will not know benchfs: names", library_dir()));
  const bool own_place = !options.data_dir.empty() && !options.keep_data;
  auto dir = RunDir::make(own_place ? absolute(options.data_dir) : scratch_dir());
  if (!dir) {
    print_error("run", dir.error());
    return kFailure;
  }
  auto guardian = Guardian::start(*dir);
  if (!guardian) {
    print_error("run", guardian.error());
    dir->remove(0);
    return kFailure;
  }
  const int result = with_servers(options, words, *program, *dir, *guardian);
  dir->remove(options.keep_data ? kStopKeepMs : kStopMs);
  guardian->release();
  return result;
}

}  // namespace

Command make_run(CLI::App& benchfs) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* app = benchfs.add_subcommand(
      "run",
      "Run a command with servers of its own: benchfs run [OPTIONS] -- COMMAND [ARGUMENT...]");
  app->prefix_command();
  app->add_option("-n,--servers", options->servers, "Number of servers")
      ->capture_default_str()
      ->check(CLI::Range(1u, kServersMax));
  app->add_option("--data-dir", options->data_dir,
                  "Directory for data, in a directory of its own there (default: BENCHFS_DATA_DIR, "
                  "else TMPDIR, else /tmp)");
  app->add_flag("--keep-data", options->keep_data,
                "Keep the data, in --data-dir itself; a later run or start can use them again");
  app->add_option("--listen", options->listen,
                  "Address or network interface to listen on (default: loopback)");
  app->add_option("--config", options->config, "YAML file with settings of benchfsd");
  add_duration(*app, "--timeout", options->timeout_ms, "How long to wait until all are ready");
  app->add_flag("--no-preload", options->no_preload,
                "Do not set LD_PRELOAD: the command is linked with the driver");
  app->add_flag("--status", options->status, "Show the share of every server after the command");
  app->add_option("--benchfsd", options->program,
                  "The server program (default: the installed one)");
  app->footer(
      "The command and the processes it starts find the servers through BENCHFS_REGISTRY, and "
      "the "
      "MPI-IO\ndriver through LD_PRELOAD. Its exit status is that of benchfs run; 128 + N if "
      "signal N "
      "ended it.");
  name_values(*app);
  return {app, true, [options](const auto& words) { return run(*options, words); }};
}

}  // namespace benchfs::tools
