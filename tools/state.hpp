// What `benchfs start` leaves for `stop` and for the next `start`: which servers it started on this
// host for a registry, in the file `started.HOST` of the registry. Also the lock that keeps two
// commands from working on the same servers at once.
#pragma once
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "process.hpp"

namespace benchfs::tools {

struct StartedServer {
  std::string id;
  Process process;
  std::string log;
};

/// The content of the file.
struct Started {
  std::string boot_id;  ///< of the kernel: processes of another boot are gone
  std::string data_dir;
  std::vector<StartedServer> servers;

  std::vector<Process> processes() const;
  std::size_t alive() const;
};

/// The file's text, and back. Garbage and processes of another boot read as nothing started.
std::string to_text(const Started& started);
Started parse_started(const std::string& text, const std::string& boot_id);

/// The open and locked file. The lock ends with the object, or with the process.
class StateFile {
 public:
  /// `create`: make the file if it is not there. Without it, no file is no error: found() is false.
  static std::expected<StateFile, std::string> open(const std::string& registry, bool create);

  bool found() const { return static_cast<bool>(fd_); }
  const Started& started() const { return started_; }

  /// Forgets earlier servers.
  std::expected<void, std::string> begin(const std::string& data_dir);
  /// Called for each process as soon as it exists: a crash of this command leaves none unknown.
  std::expected<void, std::string> add(const StartedServer& server);
  /// All servers are gone: removes the file.
  void remove();

 private:
  std::expected<void, std::string> append(const std::string& text);
  std::string path_;
  Fd fd_;
  Started started_;
};

std::string boot_id();

}  // namespace benchfs::tools
