// The server's side of an arena (arena/layout.hpp): opens it, makes and removes the maps of files,
// frees blocks once nobody can be using them, and gets storage for more. docs/adr/0024-arena.md.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "arena/view.hpp"
#include "base/status.hpp"
#include "base/types.hpp"
#include "storage/page_choice.hpp"

namespace benchfs {

/// Single-threaded but for what says otherwise.
class Arena {
 public:
  /// Opens the two files in `folder`, made for storage of `bytes_max` if they are missing, and
  /// reads whose the blocks are. Errors are logged.
  static Result<std::unique_ptr<Arena>> open(const std::string& folder, std::uint64_t bytes_max);
  static bool exists(const std::string& folder);
  static void remove_files(const std::string& folder);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Data. Offsets are in the file; ranges may be of several segments.

  /// As ChunkStore::read().
  std::size_t read(InodeId inode, std::uint64_t offset, std::span<std::byte> into);
  /// Errors: no_space; a part may have been written then.
  Status write(InodeId inode, std::uint64_t offset, std::span<const std::byte> from);
  /// As ChunkStore::truncate().
  void truncate(InodeId inode, std::uint64_t size);
  void remove(InodeId inode) { truncate(inode, 0); }
  void punch(InodeId inode, std::uint64_t offset, std::uint64_t bytes);
  /// Blocks of zeros for what has none. Error: no_space.
  Status allocate(InodeId inode, std::uint64_t offset, std::uint64_t bytes);

  // What is there.

  bool has(InodeId inode) const { return files_.contains(inode); }
  bool has_segment(InodeId inode, std::uint64_t segment) {
    return view_->find(inode, segment) != nullptr;
  }
  std::uint64_t allocated_bytes(InodeId inode) const;
  /// Of the blocks that [begin, end) touches: bytes of those that are not there.
  std::uint64_t unallocated(InodeId inode, std::uint64_t begin, std::uint64_t end);
  std::optional<std::uint64_t> next_data(InodeId inode, std::uint64_t offset,
                                         std::uint64_t limit) const;
  std::optional<std::uint64_t> next_hole(InodeId inode, std::uint64_t offset, std::uint64_t end);
  /// Files above `after`, at most `most`, in the order of their numbers.
  std::vector<InodeId> list(InodeId after, std::size_t most) const;
  /// Bytes of blocks that files have, or have had until a moment ago.
  std::uint64_t used_bytes() const;
  std::uint64_t used_for(QuotaId quota) const;
  /// Bytes that are free, and in memory already.
  std::uint64_t free_bytes() const;
  /// Bytes that can still be allocated.
  std::uint64_t blank_bytes() const;

  // For clients on this host.

  int data_fd() const { return data_fd_; }
  int index_fd() const { return view_->index_fd(); }
  /// A slot for one more process. Error: busy.
  Result<std::uint32_t> attach();
  /// The process has gone, or uses it no more.
  void detach(std::uint32_t slot);
  /// A map for the segment; maps are made by the server alone. Error: no_space.
  Result<arena::SegmentMap*> make(InodeId inode, std::uint64_t segment);

  // Storage.

  /// Now and then: what was removed while others used it is free now, if they do not any more.
  void reclaim();
  /// Two groups that are to be allocated; not to be had by anybody else until added(). Nothing: the
  /// arena is as large as it can be.
  std::optional<arena::GroupIndex> next_extent();
  /// Allocates what next_extent() has given, in pages of 2 MiB if it can. Of any thread. 0 or an
  /// errno.
  int allocate_extent(arena::GroupIndex first);
  /// The extent can be used now, or, false, it could not be allocated.
  void added(arena::GroupIndex first, bool allocated);
  /// At most `most` extents that are free as a whole, taken out; their storage is given back by
  /// give_back(), of any thread, and then they are added(…, false).
  std::vector<arena::GroupIndex> take_surplus(std::size_t most);
  int give_back(const std::vector<arena::GroupIndex>& extents) const;

 private:
  /// A file's segments with maps, sorted by segment.
  struct Segment {
    std::uint64_t number;
    std::uint32_t map;
  };
  using Segments = std::vector<Segment>;
  using Blocks = std::vector<std::pair<arena::GroupIndex, arena::BlockSet>>;
  /// What was taken out of files when the epoch became this one.
  struct Retired {
    std::uint64_t epoch = 0;
    std::vector<std::uint32_t> maps;
    Blocks blocks;
  };

  explicit Arena(std::string folder) : folder_(std::move(folder)) {}
  // arena.cc
  Status start(std::uint64_t bytes_max);
  Status make_files(std::uint64_t bytes_max);
  Status open_files();
  Status recover();
  void recover_slots();
  void recover_maps(std::vector<arena::BlockSet>& used);
  Status recover_groups(const std::vector<arena::BlockSet>& used);
  bool whole_in_memory(arena::GroupIndex first) const;
  void enter(InodeId inode, std::uint64_t segment, std::uint32_t index);
  void link(arena::SegmentMap& map);
  void unlink(arena::SegmentMap& map);
  Result<std::uint32_t> take_map();
  Status failed(const char* what, const char* file, int err) const;
  // arena_data.cc
  Status grow();
  void cut(arena::SegmentMap& map, std::size_t from, std::size_t to, Blocks& into);
  // arena_blocks.cc
  void retire(Retired retired);
  bool quiet(std::uint64_t epoch) const;
  void release(Retired& retired);
  static void add(Blocks& blocks, arena::Block block);
  void free(arena::GroupIndex group, arena::BlockSet blocks);
  void enlist(arena::GroupList& list, arena::GroupIndex group);
  void count_for(InodeId inode, std::int64_t blocks);
  static int allocate(int fd, std::uint64_t offset, std::uint64_t bytes);

  std::string folder_;
  int data_fd_ = -1;
  std::unique_ptr<arena::View> view_;
  std::map<InodeId, Segments> files_;
  std::vector<std::uint32_t> free_maps_;
  std::uint64_t maps_allocated_ = 0;  ///< that the index file has storage for
  std::deque<Retired> retired_;
  std::vector<arena::GroupIndex> blank_;  ///< extents without storage, before groups_end
  std::uint64_t groups_allocated_ = 0;
  std::unordered_map<QuotaId, std::int64_t> quota_blocks_;
  std::vector<std::uint32_t> free_slots_;
  std::uint32_t slots_end_ = 1;
  std::vector<std::uint32_t> strangers_;  ///< slots of processes that an earlier server has let in
  PageChoice pages_;
};

}  // namespace benchfs
