// One process's use of an arena: finds a file's segments, copies from and to their blocks, and
// takes free blocks for what is new, all without a system call. docs/adr/0024-arena.md.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "arena/layout.hpp"
#include "base/assert.hpp"
#include "base/status.hpp"

namespace benchfs::arena {

/// Memory of a file, mapped so that its pages of 2 MiB are such pages here, too.
class Mapping {
 public:
  Mapping() = default;
  ~Mapping();
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  static Result<Mapping> of(int fd, std::size_t bytes);
  std::byte* data() const { return data_; }

 private:
  Mapping(std::byte* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Of one thread at a time.
class View {
 public:
  /// Maps both files and uses `slot`, which is nobody else's. The descriptor of the index is the
  /// view's from then on, if there is no error; closing another of the same file in this process
  /// would end the slot's lock. Errors: stale: it is not an arena of this version; those of mmap().
  static Result<std::unique_ptr<View>> map(int data_fd, int index_fd, std::uint32_t slot);
  ~View();
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  /// While it lives, what is found in the maps stays whose it is. Short: no system call, no wait.
  class Access {
   public:
    explicit Access(View& view) : slot_(*view.slot_) {
      // Seen by the server before anything that is read below, or else it has changed the maps
      // before. seq_cst, as the server's look at it is.
      slot_.active.store(view.header().epoch.load(std::memory_order_relaxed));
      valid_ = view.header().incarnation.load() == view.incarnation_;
    }
    ~Access() { slot_.active.store(0, std::memory_order_release); }
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;
    /// False: the server has gone, and another uses its arena. Nothing must be touched.
    bool valid() const { return valid_; }

   private:
    Process& slot_;
    bool valid_;
  };

  // Within an Access; the server, which alone takes anything out, needs none.

  /// Null: the segment has no map, and so no data here.
  SegmentMap* find(InodeId inode, std::uint64_t segment);
  /// Copies what is there of [within, within + into.size()), which is in the segment. Returns the
  /// bytes up to the segment's last one that was written; a hole before it reads as zeros.
  std::size_t read(const SegmentMap& map, std::uint32_t within, std::span<std::byte> into) const;
  /// Copies all of `from`, which fits into the segment, or stops for want of a free block: returns
  /// the bytes written.
  std::size_t write(SegmentMap& map, std::uint32_t within, std::span<const std::byte> from);

  /// Gives the places [at, at + places) that have no block one with zeros. False: none is free.
  bool reserve(SegmentMap& map, unsigned at, unsigned places);

  // For the server, which wires the rest.

  int index_fd() const { return index_fd_; }

  Header& header() const { return *reinterpret_cast<Header*>(index_.data()); }
  Group& group(GroupIndex index) const { return groups_[index]; }
  SegmentMap& map_at(std::uint32_t index) const { return maps_[index]; }
  std::uint32_t index_of(const SegmentMap& map) const {
    return static_cast<std::uint32_t>(&map - maps_);
  }
  std::atomic<std::uint32_t>& bucket(std::uint64_t index) const { return buckets_[index]; }
  std::atomic<std::uint32_t>& bucket_of(InodeId inode, std::uint64_t segment) const {
    const std::uint64_t mixed = (inode ^ segment * 0xC2B2AE3D27D4EB4Full) * 0x9E3779B185EBCA87ull;
    return buckets_[mixed >> bucket_shift_];
  }
  std::byte* block(Block number) const {
    return data_.data() + (std::size_t{number} << kBlockShift);
  }
  std::byte* data() const { return data_.data(); }
  /// Takes the first group of a list, with its free blocks. False: there is none.
  bool take(GroupList& list, GroupIndex* index, BlockSet* blocks);
  /// The process has been told that the server is a new one.
  void set_incarnation() { incarnation_ = header().incarnation.load(); }

 private:
  View() = default;
  struct Run {
    Block first = 0;
    unsigned count = 0;
  };
  bool refill(bool whole);
  /// Puts `count` blocks, from `first` on, into places of the map that have none, from `at` on.
  /// Returns those that are in it now; where somebody else was faster, his stays.
  BlockSet put(SegmentMap& map, unsigned at, Block first, unsigned count);
  Run take_run(unsigned most);
  std::size_t fill_holes(SegmentMap& map, std::uint32_t within, unsigned holes,
                         std::span<const std::byte> from);

  Mapping data_, index_;
  Group* groups_ = nullptr;
  std::atomic<std::uint32_t>* buckets_ = nullptr;
  SegmentMap* maps_ = nullptr;
  Process* slot_ = nullptr;
  int index_fd_ = -1;  ///< the slot's byte is locked as long as the process lives
  unsigned bucket_shift_ = 0;
  std::uint64_t incarnation_ = 0;
};

/// Whether a process that still lives holds the slot; false as well for this process itself.
bool slot_in_use(int index_fd, std::uint32_t slot);

}  // namespace benchfs::arena
