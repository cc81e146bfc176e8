// A file of changes, written through a mapping: what append() has taken is safe when the process
// dies, and what sync() has returned for is on the device. It is filled from the start; clear()
// empties it.
//
//   offset 0   JournalHeader: which generation of changes this is
//   offset 64  groups, one after the other: GroupHeader and its bytes. A group is taken as a whole
//   or not at all.
//              The first one whose checksum, which covers the generation, is wrong is the end.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.hpp"

namespace benchfs {

class Journal {
 public:
  /// The file, made if missing. bytes_max: of the mapping, thus of what it can hold. Errors are
  /// logged.
  static Result<std::unique_ptr<Journal>> open(const std::string& path, std::uint64_t bytes_max);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// 0: it is empty.
  std::uint64_t generation() const { return generation_; }
  /// Every group that was taken since start(), in order; then append() goes on behind them.
  Status replay(const std::function<Status(std::string_view group)>& visit);
  /// Only when it is empty.
  Status start(std::uint64_t generation);
  bool fits(std::size_t bytes) const;
  /// A group that fits(). no_space: the file system is full, and nothing was done.
  Status append(std::string_view group);
  std::uint64_t bytes() const { return end_; }
  // Of any thread.
  Status sync();
  /// Empties it; durably, if `durable`. The space is kept for the next generation.
  Status clear(bool durable);

 private:
  Journal(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Status allocate(std::uint64_t bytes);
  Status failed(const char* what, int error) const;

  std::string path_;
  int fd_;
  char* memory_ = nullptr;
  std::uint64_t mapped_ = 0;
  std::uint64_t allocated_ = 0;  ///< bytes of the file, all of them there: writing cannot fail
  std::uint64_t end_ = 0;        ///< of the groups
  std::uint64_t generation_ = 0;
  std::uint64_t number_ = 0;  ///< of the next group
};

}  // namespace benchfs
