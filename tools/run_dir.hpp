// The directory of one `benchfs run`: its registry and data, a lock that says that it is in use,
// and a guardian process that clears up even when `benchfs run` is killed.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <string>

#include "process.hpp"

namespace benchfs::tools {

class RunDir {
 public:
  /// Makes a new one in `parent`, and removes those there that dead runs of this user have left.
  static std::expected<RunDir, std::string> make(const std::string& parent);

  const std::string& path() const { return path_; }
  std::string registry() const { return path_ + "/registry"; }
  std::string data() const { return path_ + "/data"; }
  /// Ends what still runs and removes the directory.
  void remove(std::int64_t stop_timeout_ms);

 private:
  std::string path_;
  Fd lock_;
};

/// Watches over a run from outside: when this process dies without release(), the guardian ends the
/// servers and the command's process group and removes the directory.
class Guardian {
 public:
  /// Forks; call it before there are threads.
  static std::expected<Guardian, std::string> start(RunDir& dir);
  /// The command's process group, to be ended too.
  void watch_group(pid_t group);
  /// All is cleared up: the guardian ends.
  void release();

 private:
  pid_t pid_ = 0;
  Fd pipe_;
};

}  // namespace benchfs::tools
