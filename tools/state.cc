// The file is lines of words. It is truncated and appended to in place, never renamed over: the
// lock is on its inode.
#include "state.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "paths.hpp"

namespace benchfs::tools {
namespace {

constexpr const char* kMagic = "benchfs-started 1";

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  ssize_t got;
  while ((got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()))) > 0)
    text.append(buffer.data(), static_cast<std::size_t>(got));
  return text;
}

// The rest of a line after its words: a path may hold blanks.
std::string rest_of(std::istringstream& words) {
  std::string rest;
  words >> std::ws;
  std::getline(words, rest);
  return rest;
}

std::string server_line(const StartedServer& server) {
  return fmt::format("server {} {} {} {}\n", server.id, server.process.pid,
                     server.process.start_ticks, server.log);
}

}  // namespace

std::vector<Process> Started::processes() const {
  std::vector<Process> all;
  for (const StartedServer& server : servers) all.push_back(server.process);
  return all;
}

std::size_t Started::alive() const {
  return static_cast<std::size_t>(std::count_if(servers.begin(), servers.end(),
                                                [](const auto& s) { return is_alive(s.process); }));
}

std::string to_text(const Started& started) {
  std::string text =
      fmt::format("{}\nboot {}\ndata {}\n", kMagic, started.boot_id, started.data_dir);
  for (const StartedServer& server : started.servers) text += server_line(server);
  return text;
}

Started parse_started(const std::string& text, const std::string& boot_id) {
  Started started;
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != kMagic) return {};
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "boot") {
      words >> started.boot_id;
    } else if (key == "data") {
      started.data_dir = rest_of(words);
    } else if (key == "server") {
      StartedServer server;
      words >> server.id >> server.process.pid >> server.process.start_ticks;
      // A last line may be cut off by a full disk or a crash.
      if (!words || server.process.pid <= 1) continue;
      server.log = rest_of(words);
      started.servers.push_back(std::move(server));
    }
  }
  if (started.boot_id != boot_id) started.servers.clear();
  return started;
}

std::expected<StateFile, std::string> StateFile::open(const std::string& registry, bool create) {
  StateFile file;
  file.path_ = fmt::format("{}/started.{}", registry, host_name());
  while (true) {
    file.fd_ = Fd(
        ::open(file.path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600));
    if (!file.fd_) {
      if (!create && (errno == ENOENT || errno == ENOTDIR)) return file;
      return std::unexpected(fmt::format("{}: {}", file.path_, ::strerror(errno)));
    }
    if (::flock(file.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK)
        return std::unexpected(fmt::format("cannot lock {}: {}", file.path_, ::strerror(errno)));
      return std::unexpected(
          fmt::format("another benchfs start or stop is at work on the registry {}", registry));
    }
    // Another command may have removed the file between the open and the lock.
    struct stat here {
    }, there{};
    if (::fstat(file.fd_.get(), &here) == 0 && ::stat(file.path_.c_str(), &there) == 0 &&
        here.st_ino == there.st_ino)
      break;
  }
  file.started_ = parse_started(read_all(file.fd_.get()), boot_id());
  return file;
}

std::expected<void, std::string> StateFile::begin(const std::string& data_dir) {
  if (::ftruncate(fd_.get(), 0) != 0)
    return std::unexpected(fmt::format("{}: {}", path_, ::strerror(errno)));
  started_ = {.boot_id = boot_id(), .data_dir = data_dir, .servers = {}};
  return append(to_text(started_));
}

std::expected<void, std::string> StateFile::add(const StartedServer& server) {
  started_.servers.push_back(server);
  return append(server_line(server));
}

std::expected<void, std::string> StateFile::append(const std::string& text) {
  ::lseek(fd_.get(), 0, SEEK_END);
  const ssize_t put = ::write(fd_.get(), text.data(), text.size());
  if (put != static_cast<ssize_t>(text.size()))
    return std::unexpected(
        fmt::format("cannot write {}: {}", path_, put < 0 ? ::strerror(errno) : "disk full"));
  return {};
}

void StateFile::remove() {
  ::unlink(path_.c_str());
  started_ = {};
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

}  // namespace benchfs::tools
