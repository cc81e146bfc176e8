// A directory is in use while somebody holds the lock on its file `lock`. The kernel drops the lock
// with the last holder, so what a crash has left is recognised without guessing.
#include "run_dir.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>

#include "command.hpp"
#include "paths.hpp"
#include "state.hpp"

namespace benchfs::tools {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kStopMs = 10'000;

// The host is in the name: on a shared file system the processes of another host cannot be judged.
std::string name_prefix() {
  return fmt::format("benchfs-run-{}-{}-", ::geteuid(), host_name());
}

void end_servers(const std::string& registry, std::int64_t timeout_ms) {
  const auto state = StateFile::open(registry, false);
  if (!state || !state->found()) return;
  end_processes(state->started().processes(), timeout_ms, [](const EndedProcess&) {});
}

// The lock goes last: what could not be removed is found by the next run.
std::expected<void, std::string> remove_run(const std::string& dir) {
  for (const char* part : {"/registry", "/data", ""}) {
    const auto removed = remove_tree(dir + part);
    if (!removed) return removed;
  }
  return {};
}

Fd lock_of(const std::string& dir, int flags) {
  Fd fd(::open((dir + "/lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600));
  if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return Fd();
  return fd;
}

void remove_stale(const std::string& parent) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(parent, error)) {
    const std::string path = entry.path().string();
    if (!entry.path().filename().string().starts_with(name_prefix())) continue;
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != ::geteuid())
      continue;
    const Fd lock = lock_of(path, 0);
    if (!lock) continue;
    end_servers(path + "/registry", kStopMs);
    const auto removed = remove_run(path);
    if (removed)
      print_note(fmt::format("removed {}, which an earlier run had left", path));
    else
      print_note(removed.error());
  }
}

[[noreturn]] void guard(const RunDir& dir, Fd pipe, Fd parent) {
  ::setsid();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) ::signal(signal, SIG_IGN);
  ::prctl(PR_SET_NAME, "benchfs-guard");
  const int null = ::open("/dev/null", O_RDWR);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  pid_t group = 0, message = 0;
  while (true) {
    const ssize_t got = ::read(pipe.get(), &message, sizeof(message));
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof(message)) break;
    if (message == 0) ::_exit(0);
    group = message;
  }
  // The pipe closes a little before the parent's locks do.
  pollfd gone{parent.get(), POLLIN, 0};
  ::poll(&gone, 1, -1);
  if (group > 0) ::kill(-group, SIGTERM);
  end_servers(dir.registry(), kStopMs);
  (void)remove_run(dir.path());
  ::_exit(0);
}

}  // namespace

std::expected<RunDir, std::string> RunDir::make(const std::string& parent) {
  const auto made = make_dir(parent);
  if (!made) return std::unexpected(made.error());
  remove_stale(parent);
  while (true) {
    RunDir dir;
    dir.path_ = fmt::format("{}/{}XXXXXX", parent, name_prefix());
    if (::mkdtemp(dir.path_.data()) == nullptr)
      return std::unexpected(fmt::format("cannot make {}: {}", dir.path_, ::strerror(errno)));
    dir.lock_ = lock_of(dir.path_, O_CREAT);
    if (dir.lock_) return dir;
    const int cause = errno;
    (void)remove_tree(dir.path_);
    // EWOULDBLOCK: another run saw it before it was locked, and is removing it.
    if (cause != EWOULDBLOCK && cause != ENOENT)
      return std::unexpected(fmt::format("cannot lock {}/lock: {}", dir.path_, ::strerror(cause)));
  }
}

void RunDir::remove(std::int64_t stop_timeout_ms) {
  end_servers(registry(), stop_timeout_ms);
  const auto removed = remove_run(path_);
  if (!removed) print_note(removed.error());
}

std::expected<Guardian, std::string> Guardian::start(RunDir& dir) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return std::unexpected(fmt::format("cannot make a pipe: {}", ::strerror(errno)));
  Guardian guardian;
  Fd read_end(ends[0]);
  Fd parent = open_pidfd(::getpid());
  guardian.pipe_ = Fd(ends[1]);
  guardian.pid_ = ::fork();
  if (guardian.pid_ < 0)
    return std::unexpected(fmt::format("cannot start a process: {}", ::strerror(errno)));
  if (guardian.pid_ == 0) {
    guardian.pipe_.reset();
    guard(dir, std::move(read_end), std::move(parent));
  }
  return guardian;
}

void Guardian::watch_group(pid_t group) {
  // The guardian was killed: then there is nobody to tell.
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  (void)!::write(pipe_.get(), &group, sizeof(group));
  ::signal(SIGPIPE, before);
}

void Guardian::release() {
  watch_group(0);
  pipe_.reset();
  ::waitpid(pid_, nullptr, 0);
}

}  // namespace benchfs::tools
