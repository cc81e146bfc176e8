// The removal of directories. The entries of a directory are on all servers, so none of them alone
// can tell whether it is empty. The server of the directory's own entry leads:
//
//   1. It records the removal, and closes the directory on every server: each looks whether it has
//      an entry below it, and if not it takes no new ones from then on.
//   2. If all have closed it, the leader removes the entry and records that; else it records that
//      the directory stays. This one write decides.
//   3. It tells every server the outcome, until each has heard it: the mark goes, or is remembered
//      for a while as that of a directory which is gone.
//
// All marks and decisions are kept over a crash. A leader that starts again tells the outcome; a
// removal that was not decided is undone. A client's end changes nothing: it has no part in this.
// Inode numbers are not reused, so a mark never meets another directory. See
// docs/adr/0009-removal-of-directories.md.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "loop/loop.hpp"
#include "loop/sync.hpp"
#include "metadata/meta_store.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

/// How the other servers are told: one wire::MarkDirectory call each.
class RemovalPeers {
 public:
  virtual ~RemovalPeers() = default;
  /// Ends within the deadline of calls between servers.
  virtual Task<Status> mark_directory(ServerIndex server, InodeId inode, std::uint64_t token,
                                      std::uint32_t operation) = 0;
};

/// Single-threaded.
class Removals {
 public:
  struct Options {
    ServerIndex self = 0;
    std::int64_t retry_min_ns = 100'000'000;  ///< first pause before another try; doubles
    std::int64_t retry_max_ns = 10'000'000'000;
    /// An ended mark is remembered this long: longer than a request can be on its way.
    std::int64_t remembered_ns = 120'000'000'000;
  };
  Removals(Loop& loop, MetaStore& store, const SlotMap& map, RemovalPeers& peers, Options options);
  Removals(const Removals&) = delete;
  Removals& operator=(const Removals&) = delete;

  /// Takes up the marks and removals of the last run.
  Task<Status> start();
  /// Whether new entries may be made below the directory: being_removed (ask again), not_found;
  /// not_directory, where its home is here.
  Status check_parent(InodeId directory) const;
  /// being_removed while its removal is led from here.
  Status check_stays(InodeId directory) const;
  /// A message of another leader. Errors: as wire::MarkDirectory has them, io, no_space.
  Task<Status> mark(InodeId directory, std::uint64_t token, std::uint32_t operation);
  /// Removes a directory whose entry is here. `along` is called when nothing can come below it
  /// any more, and changes the entry in the batch that decides. Errors: not_empty, being_removed,
  /// those of the other servers with the server's index, io, no_space; then the entry is as it was.
  Task<Status> remove(InodeId directory, std::function<void()> along);

  /// Ends the tries. What is not told stays recorded for the next start.
  Task<void> close();
  /// Outcomes that not every server has heard.
  std::size_t waiting() const { return background_.inside(); }

 private:
  using State = DirectoryMark::State;

  bool owns(InodeId inode) const { return map_.home(inode) == options_.self; }
  Status check_open(InodeId directory) const;
  Status close_here(InodeId directory, std::uint64_t token);
  void end_here(InodeId directory, std::uint64_t token, State state);
  void forget_old();
  Task<Status> mark_elsewhere(InodeId directory, std::uint64_t token, std::uint32_t operation);
  Task<void> tell_all(RemovalIntent intent);

  Loop& loop_;
  MetaStore& store_;
  const SlotMap& map_;
  RemovalPeers& peers_;
  Options options_;
  std::unordered_map<InodeId, DirectoryMark> marks_;
  struct Ended {
    InodeId inode;
    std::uint64_t token;
    std::int64_t since_ns;
  };
  std::deque<Ended> ended_;                ///< marks that were ended, oldest first
  std::unordered_set<InodeId> undecided_;  ///< removals that are led from here
  Gate background_;
};

}  // namespace benchfs
