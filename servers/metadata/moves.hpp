// Renames and links: changes of entries that up to two servers have, and the link count of an inode
// on a third. The server of the old entry leads a rename, the home of the inode leads a link:
//
//   1. It records an intent. The old entry is held from then on: who wants to change it is asked to
//      come again. A directory that gets another parent goes through the gate (move_gate.hpp).
//   2. The server of the new name puts the entry there, in place of the one that was, or refuses.
//   This
//      one write decides; it remembers its answer, so that it can be asked again.
//   3. The leader removes the old entry (or takes the link back) and ends the intent in one batch,
//      answers, and tells the others to forget.
//
// If the leader cannot learn what was decided (a server died) it keeps the entry held and asks
// again, over its own restart too, until it knows: it is then completed or undone, and never half
// done. The new name stands for the old file or the new one at every moment, and for a short time
// both names exist. If one server has all of it, all is one batch. See
// docs/adr/0015-renames-and-links.md.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "loop/loop.hpp"
#include "loop/sync.hpp"
#include "metadata/links.hpp"
#include "metadata/meta_store.hpp"
#include "metadata/move_gate.hpp"
#include "metadata/move_peers.hpp"
#include "metadata/removals.hpp"
#include "metadata/tokens.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

/// Single-threaded. Names stay valid until the task has ended.
class Moves {
 public:
  struct Options {
    ServerIndex self = 0;
    std::function<Status()> room{};           ///< no_space: no more links; empty: no limit
    std::int64_t retry_min_ns = 100'000'000;  ///< first pause before another try; doubles
    std::int64_t retry_max_ns = 10'000'000'000;
  };
  Moves(Loop& loop, MetaStore& store, Removals& removals, Links& links, Tokens& tokens,
        MoveGate& gate, const SlotMap& map, MovePeers& peers, Options options);
  Moves(const Moves&) = delete;
  Moves& operator=(const Moves&) = delete;

  /// Goes on with what the last run began.
  Task<Status> start();
  /// being_removed (ask again) while the entry is on its way to another name.
  Status check_free(InodeId parent, std::string_view name) const;
  /// The same for those who only look: while two entries change places.
  Status check_visible(InodeId parent, std::string_view name) const;

  /// Errors: as wire::Rename has them, those of the other servers with the server's index, io,
  /// no_space.
  Task<Status> rename(wire::Rename::Request request, std::string_view from, std::string_view to);
  /// Errors: as wire::Link has them, and as above.
  Task<Result<wire::Link::Reply>> link(wire::Link::Request request, std::string_view name);
  /// A message of another leader. Errors: busy (it is being done), stale_epoch; all that is final
  /// is in the reply.
  Task<Result<wire::PlaceEntry::Reply>> place(wire::PlaceEntry::Request request,
                                              std::string_view name);

  /// Grows when a rename or link that is led from here begins and when it ends: who reads the same
  /// count twice knows that no entry got another name in between.
  std::uint64_t changes() const { return changes_; }
  /// Ends the tries. What is not finished stays recorded for the next start.
  Task<void> close();
  std::size_t waiting() const { return background_.inside(); }

 private:
  using Kind = MoveIntent::Kind;
  using State = MoveIntent::State;
  using Placing = wire::PlaceEntry;
  using Answer = Tokens::Answer;
  using Name = std::pair<InodeId, std::string>;

  ServerIndex owner(InodeId parent, std::string_view name) const {
    return map_.owner(entry_slot(parent, name));
  }
  bool local(const MoveIntent& intent) const {
    return owner(intent.to_parent, intent.to) == options_.self;
  }
  /// Others have a part in it, or have to hear of it.
  bool recorded(const MoveIntent& intent) const { return !local(intent) || intent.moves != 0; }
  Result<Entry> look(const Placing::Request& request, std::string_view name) const;
  Task<Result<Answer>> place_here(Placing::Request request, std::string_view name,
                                  std::function<void(const Answer&)> along);
  Task<Status> pass_gate(const MoveIntent& intent);
  Task<Result<Answer>> decide(MoveIntent& intent);
  Links::Taken finish(MoveIntent& intent, const Answer& answer);
  Task<Result<Answer>> settle(MoveIntent& intent);
  void end(MoveIntent intent);
  Task<Status> carry_out(MoveIntent intent);
  Task<void> carry_on(MoveIntent intent);
  Task<Status> tell(const MoveIntent& intent);
  Task<void> tell_all(MoveIntent intent);

  Loop& loop_;
  MetaStore& store_;
  Removals& removals_;
  Links& links_;
  Tokens& tokens_;
  MoveGate& gate_;
  const SlotMap& map_;
  MovePeers& peers_;
  Options options_;
  std::map<Name, bool> held_;                  ///< true: changes places with another
  std::unordered_set<std::uint64_t> placing_;  ///< tokens
  std::uint64_t changes_ = 0;
  Gate background_;
};

}  // namespace benchfs
