// What a long copy has done so far, shown on the terminal while it goes on.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace benchfs::tools {

class Progress {
 public:
  /// Shown on standard error: as a line that changes if that is a terminal, else once at the end.
  explicit Progress(bool shown);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void found(std::uint64_t bytes) {
    ++files_found_;
    bytes_found_ += bytes;
  }
  /// Bytes of files, copied or found to be there.
  void moved(std::uint64_t bytes) { bytes_done_ += bytes; }
  void done() { ++files_done_; }
  /// Everything there is has been found.
  void all_found() { complete_ = true; }
  /// Takes the line away, so that another one can be printed; it comes back by itself.
  void clear_line();

 private:
  std::string line() const;
  void show();

  std::atomic<std::uint64_t> files_found_{0}, files_done_{0}, bytes_found_{0}, bytes_done_{0};
  std::atomic<bool> complete_{false};
  bool shown_, terminal_;
  std::int64_t begin_ns_;
  std::mutex mutex_;
  std::condition_variable end_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace benchfs::tools
