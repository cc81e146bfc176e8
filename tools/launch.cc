// Each benchfsd runs in a session of its own, with its log as standard error and a pipe as standard
// output, through which its ready line comes. The pipes and the signals are watched with one
// poll().
#include "launch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "paths.hpp"

namespace benchfs::tools {
namespace {

// One that failed to start is told to stop for this long, then killed.
constexpr std::int64_t kStopMs = 10'000;
// From the end of a process's output to its end.
constexpr int kExitMs = 2'000;

struct Starting {
  std::string id;
  pid_t pid = 0;
  Fd out;  ///< closed when it is ready
  std::string text;
  std::string log;
  std::uint64_t log_offset = 0;
  ReadyLine ready;
};

std::vector<std::string> arguments(const LaunchOptions& options, const std::string& id) {
  std::vector<std::string> args = {options.program,
                                   "--server-id",
                                   id,
                                   "--expected-servers",
                                   std::to_string(options.servers),
                                   "--registry",
                                   options.registry,
                                   "--data-dir",
                                   fmt::format("{}/{}", options.data_dir, id)};
  if (!options.listen.empty()) args.insert(args.end(), {"--listen", options.listen});
  if (!options.config.empty()) args.insert(args.end(), {"--config", options.config});
  args.insert(args.end(), options.flags.begin(), options.flags.end());
  return args;
}

// In the child, between fork and exec.
[[noreturn]] void become_server(const std::vector<std::string>& args, int out, int log,
                                const SignalWatch& signals, pid_t parent, bool end_with_parent) {
  ::setsid();
  signals.restore_in_child();
  if (end_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
  }
  // A list of servers in the environment would stand against the registry that is given.
  ::unsetenv("BENCHFS_SERVERS");
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::close_range(STDERR_FILENO + 1, ~0u, 0);
  std::vector<char*> argv;
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  ::dprintf(STDERR_FILENO, "benchfs: cannot run %s: %s\n", argv[0], ::strerror(errno));
  ::_exit(127);
}

std::expected<Starting, std::string> spawn(const LaunchOptions& options, unsigned index,
                                           const SignalWatch& signals) {
  Starting server;
  server.id = server_name(index);
  server.log = fmt::format("{}/{}.log", options.data_dir, server.id);
  Fd log(::open(server.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log) return std::unexpected(fmt::format("{}: {}", server.log, ::strerror(errno)));
  server.log_offset =
      static_cast<std::uint64_t>(std::max<off_t>(0, ::lseek(log.get(), 0, SEEK_END)));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return std::unexpected(fmt::format("cannot make a pipe: {}", ::strerror(errno)));
  server.out = Fd(ends[0]);
  const Fd write_end(ends[1]);
  ::fcntl(server.out.get(), F_SETFL, O_NONBLOCK);

  const auto args = arguments(options, server.id);
  const pid_t parent = ::getpid();
  server.pid = ::fork();
  if (server.pid == 0)
    become_server(args, write_end.get(), log.get(), signals, parent, options.end_with_parent);
  if (server.pid < 0)
    return std::unexpected(fmt::format("cannot start a process: {}", ::strerror(errno)));
  return server;
}

// Takes in what the server has printed. The error says how it ended.
std::expected<void, std::string> take_output(Starting& server) {
  std::array<char, 4096> buffer;
  const ssize_t got = ::read(server.out.get(), buffer.data(), buffer.size());
  if (got < 0) return {};
  if (got == 0) {
    // The end of its output is the end of the process, or very nearly.
    const Fd pidfd = open_pidfd(server.pid);
    pollfd ended{pidfd.get(), POLLIN, 0};
    int status = 0;
    if (::poll(&ended, 1, kExitMs) != 1 || ::waitpid(server.pid, &status, WNOHANG) != server.pid)
      return std::unexpected(fmt::format("{} closed its output before it was ready", server.id));
    return std::unexpected(
        fmt::format("{} ended with {} before it was ready", server.id, describe_exit(status)));
  }
  server.text.append(buffer.data(), static_cast<std::size_t>(got));
  for (std::size_t end; (end = server.text.find('\n')) != std::string::npos;) {
    const std::string line = server.text.substr(0, end);
    server.text.erase(0, end + 1);
    const auto ready = parse_ready(line);
    if (ready) {
      server.ready = *ready;
      server.out.reset();
      return {};
    }
    // Some library's: it belongs to the log.
    std::ofstream(server.log, std::ios::app) << line << "\n";
  }
  return {};
}

LaunchError with_log(const Starting& server, const std::string& text) {
  const std::string lines = last_lines(server.log, server.log_offset);
  if (lines.empty()) return {text + "; its log is empty"};
  return {fmt::format("{}; the end of its log:\n{}", text, lines)};
}

// Waits for the ready lines of all servers.
std::expected<void, LaunchError> wait_ready(std::vector<Starting>& servers, std::int64_t timeout_ms,
                                            SignalWatch& signals) {
  const std::int64_t end = now_ms() + timeout_ms;
  while (true) {
    std::vector<pollfd> polls = {{signals.fd(), POLLIN, 0}};
    const Starting* waiting = nullptr;
    for (const Starting& server : servers) {
      if (server.out && waiting == nullptr) waiting = &server;
      polls.push_back({server.out.get(), POLLIN, 0});  // a descriptor of -1 is passed over
    }
    if (waiting == nullptr) return {};
    const std::int64_t left = end - now_ms();
    if (left <= 0)
      return std::unexpected(with_log(
          *waiting,
          fmt::format("{} was not ready after {}", waiting->id,
                      format_duration(static_cast<std::uint64_t>(timeout_ms) * 1'000'000))));
    ::poll(polls.data(), polls.size(), static_cast<int>(left));
    while (const auto signal = signals.next())
      if (*signal != SIGCHLD)
        return std::unexpected(
            LaunchError{fmt::format("broken off by {}", ::strsignal(*signal)), *signal});
    for (std::size_t i = 0; i < servers.size(); ++i) {
      if (polls[i + 1].revents == 0) continue;
      const auto taken = take_output(servers[i]);
      if (!taken) return std::unexpected(with_log(servers[i], taken.error()));
    }
  }
}

std::expected<void, LaunchError> start_all(const LaunchOptions& options, StateFile& state,
                                           SignalWatch& signals, std::vector<Starting>& servers) {
  for (unsigned i = 0; i < options.servers; ++i) {
    auto server = spawn(options, i, signals);
    if (!server) return std::unexpected(LaunchError{server.error()});
    const Process process{server->pid, start_ticks_of(server->pid).value_or(0)};
    const StartedServer entry{server->id, process, server->log};
    servers.push_back(std::move(*server));
    const auto added = state.add(entry);
    if (!added) return std::unexpected(LaunchError{added.error()});
  }
  return wait_ready(servers, options.timeout_ms, signals);
}

}  // namespace

std::optional<ReadyLine> parse_ready(const std::string& line) {
  std::istringstream words(line);
  ReadyLine ready;
  std::string index, count, pid;
  const auto fixed = [&words](std::initializer_list<std::string_view> expected) {
    std::string word;
    for (const std::string_view text : expected)
      if (!(words >> word) || word != text) return false;
    return true;
  };
  if (!fixed({"benchfsd:", "ready:", "server"}) || !(words >> ready.server >> index) ||
      !fixed({"of"}) || !(words >> count) || !fixed({"cluster"}) || !(words >> ready.cluster) ||
      !fixed({"epoch"}) || !(words >> ready.epoch) || !fixed({"listening", "on"}) ||
      !(words >> ready.address) || !fixed({"pid"}) || !(words >> pid))
    return std::nullopt;
  return ready;
}

std::string last_lines(const std::string& path, std::uint64_t offset, unsigned lines) {
  std::ifstream file(path);
  file.seekg(static_cast<std::streamoff>(offset));
  std::vector<std::string> all;
  for (std::string line; std::getline(file, line);) {
    if (all.size() == lines) all.erase(all.begin());
    all.push_back("    " + escape_line(line));
  }
  return fmt::format("{}", fmt::join(all, "\n"));
}

std::expected<Cluster, LaunchError> launch(const LaunchOptions& options, StateFile& state,
                                           SignalWatch& signals) {
  const auto made = make_dir(options.data_dir);
  if (!made) return std::unexpected(LaunchError{made.error()});
  const auto begun = state.begin(options.data_dir);
  if (!begun) return std::unexpected(LaunchError{begun.error()});

  std::vector<std::string> fresh;
  std::error_code error;
  for (unsigned i = 0; i < options.servers; ++i) {
    const std::string dir = fmt::format("{}/{}", options.data_dir, server_name(i));
    if (!std::filesystem::exists(dir, error)) fresh.push_back(dir);
  }
  std::vector<Starting> servers;
  const auto started = start_all(options, state, signals, servers);
  if (!started) {
    end_processes(state.started().processes(), kStopMs, [](const EndedProcess&) {});
    for (const Starting& server : servers) ::waitpid(server.pid, nullptr, WNOHANG);
    // Without a cluster there are no data in them, only the beginnings of a store.
    for (const std::string& dir : fresh) (void)remove_tree(dir);
    state.remove();
    return std::unexpected(started.error());
  }
  Cluster cluster;
  for (const Starting& server : servers) {
    cluster.id = server.ready.cluster;
    cluster.epoch = server.ready.epoch;
    cluster.addresses.push_back(server.ready.address);
  }
  return cluster;
}

}  // namespace benchfs::tools
