// The entries of an inode are counted at its home. Who removes an entry takes a link from it: here,
// in the same batch, or, if the home is another server, by an intent in the same batch that is
// carried out afterwards, over a crash too. With the last one the inode and its data go, unless
// somebody has the file open: then they go with the last close (docs/adr/0018-orphans.md).
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>

#include "loop/loop.hpp"
#include "loop/sync.hpp"
#include "metadata/drop_queue.hpp"
#include "metadata/holders.hpp"
#include "metadata/meta_store.hpp"
#include "metadata/move_peers.hpp"
#include "metadata/tokens.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

/// Single-threaded.
class Links {
 public:
  struct Options {
    ServerIndex self = 0;
    std::int64_t retry_min_ns = 100'000'000;  ///< first pause before another try; doubles
    std::int64_t retry_max_ns = 10'000'000'000;
  };
  Links(Loop& loop, MetaStore& store, DropQueue& drops, Tokens& tokens, const SlotMap& map,
        MovePeers& peers, Options options);
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  /// Goes on with the intents of the last run.
  Task<Status> start();

  /// What is left to do once the batch of a take() is written.
  struct Taken {
    std::optional<DropIntent> data;   ///< it was the last one, and there is data
    std::optional<MoveIntent> there;  ///< its home has to be told
  };
  /// In this turn's batch: one entry of the inode is gone. Error: io, nothing was changed.
  Result<Taken> take(Entry entry);
  /// The batch is written. Data goes in the background; a home elsewhere has been asked once when
  /// this returns, and is asked again until it has heard it.
  Task<void> carry_out(Taken taken);
  /// In this turn's batch: one entry more of an inode whose home is here. not_found, not_permitted:
  /// a directory.
  Result<wire::Attributes> add(InodeId inode);

  /// A message of another server that has removed an entry. io, no_space: nothing was changed.
  Task<Status> drop(InodeId inode, std::uint64_t token);

  /// The session has the file open from now on. The caller has just seen it, in the same turn.
  void hold(std::uint64_t session, InodeId inode) { holders_.add(session, inode); }
  /// Closed, one for each inode. What has no name, and is open nowhere any more, goes: the inodes
  /// before this ends, the data afterwards. Error: io, no_space; it is tried again.
  Task<Status> release(std::uint64_t session, std::span<const InodeId> inodes);
  void end_session(std::uint64_t session);
  /// In this turn's batch: other servers may hold data of the file, which has no name any more; the
  /// record of its removal has to say so.
  void spread(InodeId inode);
  const Holders& holders() const { return holders_; }
  /// Files that are open and have no name.
  std::size_t nameless() const { return nameless_.size(); }

  /// Ends the tries. What is not told stays recorded for the next start.
  Task<void> close();
  std::size_t waiting() const { return background_.inside(); }

 private:
  bool owns(InodeId inode) const { return map_.home(inode) == options_.self; }
  Task<void> tell(MoveIntent intent, std::shared_ptr<Event> asked);
  Task<Status> bury(InodeId inode);
  Task<void> bury_later(InodeId inode, bool tried);

  Loop& loop_;
  MetaStore& store_;
  DropQueue& drops_;
  Tokens& tokens_;
  const SlotMap& map_;
  MovePeers& peers_;
  Options options_;
  Holders holders_;
  /// Regular files without a name that are open. Their drop is recorded, as for the next start: it
  /// is carried out with the last close.
  std::unordered_map<InodeId, DropIntent> nameless_;
  Gate background_;
};

}  // namespace benchfs
