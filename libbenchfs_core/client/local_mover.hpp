// Moves pieces by system calls on a local file. Pieces that follow each other in the file go
// together, wherever they are in memory. Private to client/.
#pragma once
#include <sys/uio.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.hpp"
#include "base/types.hpp"

namespace benchfs {

class LocalMover {
 public:
  /// A part of a piece that the local file does not have.
  struct Missing {
    std::uint64_t offset;  ///< in the file
    std::size_t bytes;
    std::byte* memory;
  };
  LocalMover(bool write, std::vector<Missing>& missing) : write_(write), missing_(missing) {}

  /// `local_offset` is that of the piece in the local file `fd`, `offset` in the file. What was
  /// collected before is moved first if this piece does not follow it.
  Status add(ServerIndex server, int fd, std::uint64_t local_offset, std::uint64_t offset,
             std::byte* memory, std::size_t bytes);
  /// Moves what is left.
  Status flush();
  /// Server and bytes of what was moved since it was asked last; to be asked after add() and
  /// flush().
  struct Moved {
    ServerIndex server;
    std::uint64_t bytes;
  };
  std::optional<Moved> take_moved() { return std::exchange(moved_, std::nullopt); }

 private:
  Status move();
  bool write_;
  std::vector<Missing>& missing_;
  ServerIndex server_ = 0;
  int fd_ = -1;
  std::uint64_t local_offset_ = 0, offset_ = 0;
  std::size_t bytes_ = 0;
  std::vector<iovec> memory_;
  std::optional<Moved> moved_;
};

}  // namespace benchfs
