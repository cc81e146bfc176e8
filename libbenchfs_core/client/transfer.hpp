// One read or write of many extents: cut by chunk and owner, moved by this process where the
// owner's local files are to be had, else packed or passed through and sent to all owners at once.
// Private to client/.
#pragma once
#include <sys/uio.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "benchfs.h"
#include "client/client.hpp"
#include "client/local_mover.hpp"
#include "loop/sync.hpp"

namespace benchfs {

/// Walks file extents and memory segments side by side.
class PieceCursor {
 public:
  struct Piece {
    std::uint64_t offset;  ///< in the file
    std::size_t bytes;
    std::byte* memory;
  };
  PieceCursor(std::span<const benchfs_extent> extents, std::span<const iovec> memory)
      : extents_(extents), memory_(memory) {
    skip_empty();
  }
  bool done() const { return extents_.empty() || memory_.empty(); }
  /// The next piece: contiguous on both sides, within one chunk, at most `bytes_max`.
  Piece next(std::uint64_t chunk_bytes, std::size_t bytes_max);

 private:
  void skip_empty();
  std::span<const benchfs_extent> extents_;
  std::span<const iovec> memory_;
  std::uint64_t extent_done_ = 0;
  std::size_t segment_done_ = 0;
};

class Transfer {
 public:
  enum class Direction { read, write };
  /// in_call: the caller waits for the end anyway, so this process may do the work itself.
  Transfer(Client& client, OpenFile& file, Direction direction, bool in_call);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Moves all of one piece by a copy or a system call, within a blocking call: true. False if that
  /// is not to be had, or did not go well: then run() does it (transfer_at_once.cc).
  static bool at_once(Client& client, OpenFile& file, Direction direction,
                      const benchfs_extent& extent, const iovec& memory);
  /// The home server knows already of what is going to be written.
  void size_is_told() { size_told_ = true; }
  /// Moves everything; the arrays and the memory stay until it has ended.
  Task<Outcome> run(std::span<const benchfs_extent> extents, std::span<const iovec> memory);

 private:
  /// Small pieces for one server, packed into one message.
  struct Batch {
    ServerIndex server = 0;
    StagingPool::Lease staging;      ///< room for the table, then the data
    std::vector<wire::Piece> table;  ///< adjacent pieces are one
    std::vector<iovec> memory;       ///< where the packed data comes from or goes to
    std::size_t bytes = 0;
  };
  /// A part of a piece that its owner does not have: a hole, or beyond the end of the file.
  using Missing = LocalMover::Missing;
  /// Whether a piece was moved here; else a message does it.
  enum class Taken { yes, no };

  // The rules that at_once() and run() have in common.
  static bool local_allowed(Client& client, const OpenFile& file, Direction direction);
  /// No piece that is moved here crosses a multiple of it: chunks and stripes.
  static std::uint64_t local_unit(const OpenFile& file);
  /// The home has to know first that there is data beyond chunk 0.
  static bool spreads(const OpenFile& file, std::uint64_t end);
  /// What the session knows after a write up to `end`, whatever came of it.
  static void ended_write(Client& client, OpenFile& file, std::uint64_t end);

  /// Of a piece in an arena's segment: bytes that are there, or were written. Errors: not_found:
  /// the segment has no map; stale: the arena is not to be used any more.
  static Result<std::size_t> copy_at_once(LocalAccess& local, ServerIndex server, InodeId inode,
                                          Direction direction, std::uint64_t offset,
                                          std::span<std::byte> memory);
  Taken took_from_arena(const PieceCursor::Piece& piece, std::size_t there);
  bool local_pays(std::uint64_t total) const;
  Task<void> walk(std::span<const benchfs_extent> extents, std::span<const iovec> memory,
                  std::uint64_t from, std::uint64_t to);
  std::optional<Taken> move_at_once(ServerIndex server, const PieceCursor::Piece& piece);
  Task<Taken> open_here(ServerIndex server, PieceCursor::Piece piece);
  Task<Taken> open_file(ServerIndex server, PieceCursor::Piece piece);
  std::optional<Taken> move_in_arena(ServerIndex server, const PieceCursor::Piece& piece);
  Task<Taken> open_in_arena(ServerIndex server, PieceCursor::Piece piece);
  bool still_missing(ServerIndex server, const LocalFile& file) const;
  Taken move_here(ServerIndex server, const StripePlace& at, int fd,
                  const PieceCursor::Piece& piece);
  void moved_here(const Status& status);
  bool borrow(ServerIndex server, const StripePlace& at, std::size_t bytes);
  void settle();
  /// True if `piece` does not fit into the server's open batch any more.
  bool full(const Batch& batch, const PieceCursor::Piece& piece) const;
  void pack(std::unique_ptr<Batch>& batch, ServerIndex server, const PieceCursor::Piece& piece);
  Task<void> move_piece(ServerIndex server, PieceCursor::Piece piece);
  Task<void> move_batch(std::unique_ptr<Batch> batch);
  Task<void> write_batch(Batch& batch);
  Task<void> read_batch(Batch& batch);
  Task<void> mark_spread();
  Task<Outcome> end_of_read(std::span<const benchfs_extent> extents, std::uint64_t total);
  void unpack(const Batch& batch, std::uint64_t data_end);
  void took(ServerIndex server, const Error* error);

  /// Whether the write of a small file may tell its size by the way.
  bool merges(std::uint64_t total, std::uint64_t end) const;
  void wrote(std::uint64_t end);

  Client& client_;
  OpenFile& file_;
  Direction direction_;
  bool in_call_;
  bool size_told_ = false;
  bool local_ = false;
  bool contiguous_ = false;
  std::vector<std::unique_ptr<Batch>> open_;  ///< by server; small pieces only
  Semaphore window_;
  Gate gate_;
  std::vector<Missing> missing_;
  std::optional<std::uint64_t> size_;  ///< of the file, told with data that ended early
  std::uint32_t write_flags_ = 0;
  std::uint32_t unmerged_ = 0;  ///< writes after which the home does not know of the size
  LocalMover mover_;
  /// What the mover may allocate, by server; empty: nothing is borrowed.
  std::vector<std::uint64_t> borrowed_;
  ServerIndex borrowed_last_ = 0;  ///< the server, local file and blocks of the last piece
  unsigned borrowed_file_ = 0;
  std::uint64_t borrowed_begin_ = 0, borrowed_end_ = 0;
  std::optional<Error> error_;  ///< the first one
};

}  // namespace benchfs
