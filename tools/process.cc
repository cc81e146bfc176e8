// Identity of a process is its number and its start time, both of /proc/PID/stat. To end one, a
// pidfd is opened first and the start time checked after: from then on the pidfd can only mean that
// process.
#include "process.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
extern "C" {  // glibc 2.36 forgets it
#include <sys/pidfd.h>
}

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/clock.hpp"

namespace benchfs::tools {
namespace {

constexpr std::int64_t kAfterKillMs = 10'000;

struct Target {
  std::size_t index;
  Fd pidfd;
};

// Waits until all of `targets` have ended or the time is over, and takes the ended ones out.
void wait_for(std::vector<Target>& targets, std::int64_t end_ms, bool killed,
              const std::function<void(const EndedProcess&)>& ended) {
  while (!targets.empty()) {
    std::vector<pollfd> polls;
    for (const Target& target : targets) polls.push_back({target.pidfd.get(), POLLIN, 0});
    const auto left = std::max<std::int64_t>(0, end_ms - now_ms());
    const int ready = ::poll(polls.data(), polls.size(), static_cast<int>(left));
    if (ready == 0) return;
    if (ready < 0) continue;  // EINTR
    std::vector<Target> left_over;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      if (polls[i].revents == 0)
        left_over.push_back(std::move(targets[i]));
      else
        ended({targets[i].index, killed});
    }
    targets = std::move(left_over);
  }
}

}  // namespace

std::optional<std::uint64_t> start_ticks_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  // pid (name) state ...: the name may hold anything, so what follows its last parenthesis is read.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string state, word;
  fields >> state;
  if (state == "Z" || state == "X") return std::nullopt;
  for (int field = 4; field < 22; ++field) fields >> word;
  std::uint64_t ticks = 0;
  fields >> ticks;
  if (!fields) return std::nullopt;
  return ticks;
}

bool is_alive(const Process& process) {
  return process.pid > 0 && start_ticks_of(process.pid) == process.start_ticks;
}

Fd open_pidfd(pid_t pid) {
  return Fd(::pidfd_open(pid, 0));
}

std::string describe_exit(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    return fmt::format("signal {} ({})", signal, ::strsignal(signal));
  }
  return fmt::format("exit status {}", WEXITSTATUS(wait_status));
}

bool end_processes(const std::vector<Process>& processes, std::int64_t timeout_ms,
                   const std::function<void(const EndedProcess&)>& ended) {
  std::vector<Target> targets;
  for (std::size_t i = 0; i < processes.size(); ++i) {
    if (processes[i].pid <= 0) continue;
    Fd pidfd = open_pidfd(processes[i].pid);
    if (!pidfd || !is_alive(processes[i])) continue;
    targets.push_back({i, std::move(pidfd)});
  }
  for (const Target& target : targets) ::pidfd_send_signal(target.pidfd.get(), SIGTERM, nullptr, 0);
  wait_for(targets, now_ms() + timeout_ms, false, ended);
  for (const Target& target : targets) ::pidfd_send_signal(target.pidfd.get(), SIGKILL, nullptr, 0);
  wait_for(targets, now_ms() + kAfterKillMs, true, ended);
  return targets.empty();
}

SignalWatch::SignalWatch(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, &before_);
  fd_ = Fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

SignalWatch::~SignalWatch() {
  while (next()) {
  }
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<int> SignalWatch::next() {
  signalfd_siginfo info;
  if (::read(fd_.get(), &info, sizeof(info)) != sizeof(info)) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace benchfs::tools
