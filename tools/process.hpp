// Processes of this machine: who they are, whether they live, and how they are ended without ever
// hitting another process that got the same number.
#pragma once
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/socket.hpp"

namespace benchfs::tools {

/// A process beyond doubt: its number and when it was started, in clock ticks since boot.
struct Process {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;
};

/// When `pid` was started; nothing if there is no such process, or if it has ended already.
std::optional<std::uint64_t> start_ticks_of(pid_t pid);
bool is_alive(const Process& process);

/// A descriptor that becomes readable when the process ends; closed if there is no such process.
Fd open_pidfd(pid_t pid);

/// "signal 9 (Killed)" or "exit status 3", of a status from waitpid().
std::string describe_exit(int wait_status);

struct EndedProcess {
  std::size_t index;  ///< in the vector that was given
  bool killed;        ///< SIGKILL was needed
};

/// Sends SIGTERM to all, and SIGKILL to those that still live after `timeout_ms`; tells `ended`
/// about each that was alive. True if all are gone, which can be false only for one that the kernel
/// holds.
bool end_processes(const std::vector<Process>& processes, std::int64_t timeout_ms,
                   const std::function<void(const EndedProcess&)>& ended);

/// Takes the named signals as events of a descriptor while it lives.
class SignalWatch {
 public:
  explicit SignalWatch(std::initializer_list<int> signals);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  int fd() const { return fd_.get(); }
  /// The next signal that has come, or nothing.
  std::optional<int> next();
  /// For a child before exec: the signal mask as it was.
  void restore_in_child() const { sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
  Fd fd_;
};

}  // namespace benchfs::tools
