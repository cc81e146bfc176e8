// What file data may still take of this server's storage: up to a limit of its own (max_storage),
// and of what its device has left all but a reserve for the metadata. A write is admitted before
// any of it is done, with the blocks that it may allocate, or refused as a whole.
// docs/adr/0012-space.md.
#pragma once
#include <cstdint>
#include <optional>
#include <utility>

#include "loop/loop.hpp"
#include "loop/sync.hpp"
#include "storage/chunk_store.hpp"
#include "storage/piece_list.hpp"

namespace benchfs {

/// Single-threaded. The counts are those of the file system (st_blocks, statvfs): what it allocates
/// of its own accord, for its trees or ahead of a writer, is seen when it has been allocated.
class Space {
 public:
  struct Options {
    std::uint64_t limit_bytes = 0;  ///< of file data; 0: none
    /// Servers on this host: the device may be theirs, too, and each plans with its part only.
    std::uint64_t sharers = 1;
  };
  /// Whoever lets others write chunk files without asking here for each write.
  class Lender {
   public:
    virtual ~Lender() = default;
    /// Bytes that others may have written since they were counted last, or may write yet.
    virtual std::uint64_t lent() const = 0;
    /// From now on lent() is no more than what is being written.
    virtual void recall() = 0;
  };
  /// Bytes that a write in progress may allocate.
  class Hold {
   public:
    Hold(Space& space, std::uint64_t bytes) : space_(&space), bytes_(bytes) {}
    Hold(Hold&& other) noexcept
        : space_(std::exchange(other.space_, nullptr)), bytes_(other.bytes_) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(space_, other.space_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Hold() {
      if (space_ != nullptr) space_->release(bytes_);
    }

   private:
    Space* space_;
    std::uint64_t bytes_;
  };
  struct Measure {
    Device device;
    std::uint64_t stored_bytes = 0, reserve_bytes = 0, room_bytes = 0;
  };

  /// Loop and store outlive it.
  Space(Loop& loop, ChunkStore& store, Options options);
  ~Space();
  Space(const Space&) = delete;
  Space& operator=(const Space&) = delete;

  /// The write may go on as long as the hold lives; empty: ask admit(). Cheap, for every write.
  std::optional<Hold> admit_at_once(const PieceList& list);
  /// Error: no_space; io. Waits a little for what is being written or removed, which may leave
  /// room.
  Task<Result<Hold>> admit(InodeId inode, PieceList list);
  /// The same, for a range of the file that is to be allocated without a write.
  Task<Result<Hold>> admit_range(InodeId inode, std::uint64_t offset, std::uint64_t bytes);
  /// The same, for so many bytes of blocks.
  Task<Result<Hold>> admit_bytes(std::uint64_t bytes);
  /// Bytes that a write may allocate at most; that it will, as things are: a few system calls. Of a
  /// range, too.
  std::uint64_t most(const PieceList& list) const;
  Result<std::uint64_t> missing(InodeId inode, const PieceList& list);
  Result<std::uint64_t> missing(InodeId inode, std::uint64_t offset, std::uint64_t bytes);
  /// Whether the metadata may grow: no_space once only what removals need is left.
  Status room_for_entries();
  /// What may be lent, to all borrowers together; counts anew.
  std::uint64_t lendable();
  /// Counts anew.
  Result<Measure> measure();

  void set_lender(Lender* lender) { lender_ = lender; }
  std::uint64_t limit_bytes() const { return options_.limit_bytes; }
  /// Of the device, once it has been looked at.
  std::uint64_t block_bytes() const { return block_bytes_; }

 private:
  Status refresh();
  Hold take(std::uint64_t bytes);
  void release(std::uint64_t bytes);
  Task<Result<Hold>> admit_exactly(std::uint64_t bytes);
  void tell_full(std::uint64_t bytes);
  static std::uint64_t reserve_of(const Device& device);

  Loop& loop_;
  ChunkStore& store_;
  Options options_;
  Lender* lender_ = nullptr;
  std::uint64_t block_bytes_ = 4096;
  std::uint64_t held_ = 0;   ///< by writes in progress
  std::uint64_t room_ = 0;   ///< when it was counted last, without what was held and lent then
  std::uint64_t quick_ = 0;  ///< may still be taken without counting anew
  bool tight_ = false;       ///< little room: look closely before counting all
  WaitQueue released_;
  unsigned entries_until_look_ = 0;
  std::int64_t told_ns_ = 0;
};

}  // namespace benchfs
