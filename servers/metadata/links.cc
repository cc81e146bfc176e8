// Link counts: changed here, or by messages to the home of the inode.
#include "metadata/links.hpp"

#include <sys/stat.h>

#include "base/clock.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "metadata/new_inode.hpp"
#include "metadata/pause.hpp"
#include "net/cluster_info.hpp"

namespace benchfs {

Links::Links(Loop& loop, MetaStore& store, DropQueue& drops, Tokens& tokens, const SlotMap& map,
             MovePeers& peers, Options options)
    : loop_(loop),
      store_(store),
      drops_(drops),
      tokens_(tokens),
      map_(map),
      peers_(peers),
      options_(options) {}

Task<Status> Links::start() {
  BFS_CO_TRY(intents, store_.moves());
  for (const MoveIntent& intent : intents) {
    if (intent.kind == MoveIntent::Kind::drop_link) tell(intent, nullptr).detach();
  }
  co_return Status{};
}

Result<Links::Taken> Links::take(Entry entry) {
  Taken taken;
  if (!owns(entry.inode)) {
    taken.there = MoveIntent{.token = random_id(),
                             .kind = MoveIntent::Kind::drop_link,
                             .state = MoveIntent::State::begun,
                             .entry = entry};
    store_.put_move(*taken.there);
    return taken;
  }
  auto inode = store_.inode(entry.inode);
  if (!inode) return std::unexpected(inconsistent(entry.inode, inode.error()));
  wire::Attributes& attributes = inode->attributes;
  if (attributes.nlink == 0) {
    log_error("an entry for inode {:x} was removed, which has had no name before", entry.inode);
    return taken;
  }
  if (attributes.nlink > 1) {
    --attributes.nlink;
    attributes.ctime_ns = wall_ns();
    store_.update_inode(*inode);
    return taken;
  }
  if (S_ISREG(attributes.mode) && holders_.held(entry.inode)) {
    attributes.nlink = 0;
    attributes.ctime_ns = wall_ns();
    store_.update_inode(*inode);
    nameless_[entry.inode] =
        store_.add_drop({.inode = entry.inode, .size = 0, .remove = true, .spread = inode->spread});
    return taken;
  }
  store_.remove_inode(*inode);
  if (S_ISREG(attributes.mode)) {
    taken.data =
        store_.add_drop({.inode = entry.inode, .size = 0, .remove = true, .spread = inode->spread});
  }
  return taken;
}

Task<void> Links::carry_out(Taken taken) {
  if (taken.data) drops_.carry_out_later(*taken.data);
  if (!taken.there || background_.closed()) co_return;
  const auto asked = std::make_shared<Event>();
  tell(*taken.there, asked).detach();
  auto waiting = asked->wait();
  co_await waiting;
}

Result<wire::Attributes> Links::add(InodeId number) {
  BFS_TRY(inode, store_.inode(number));
  if (S_ISDIR(inode.attributes.mode)) return fail(Errc::not_permitted);
  if (inode.attributes.nlink == 0) return fail(Errc::not_found);
  ++inode.attributes.nlink;
  inode.attributes.ctime_ns = wall_ns();
  store_.update_inode(inode);
  return inode.attributes;
}

Task<Status> Links::drop(InodeId inode, std::uint64_t token) {
  if (!owns(inode)) co_return fail(Errc::stale_epoch);
  if (tokens_.find(token) != nullptr) {
    auto writing = store_.committed();
    co_return co_await writing;
  }
  const auto found = store_.inode(inode);
  if (!found && found.error().code != Errc::not_found) co_return std::unexpected(found.error());
  Taken taken;
  if (found) {
    BFS_CO_TRY(here, take({inode, found->attributes.mode & S_IFMT}));
    taken = here;
  } else {
    log_error("an entry for inode {:x} was removed, but there is no such inode", inode);
  }
  tokens_.add(token, {wire::PlaceEntry::kPlaced, {}, Errc::canceled});
  auto writing = store_.committed();
  const Status written = co_await writing;
  if (!written) {
    tokens_.take_back(token);
    co_return written;
  }
  fault_point("link_dropped");
  auto carrying = carry_out(taken);
  co_await carrying;
  co_return Status{};
}

Task<void> Links::tell(MoveIntent intent, std::shared_ptr<Event> asked) {
  if (background_.closed()) co_return;
  const Gate::Pass pass = background_.enter();
  const ServerIndex home = map_.home(intent.entry.inode);
  RetryPauses pauses(loop_, background_, options_.retry_min_ns, options_.retry_max_ns);
  for (bool said = false; !background_.closed();) {
    Status told;
    if (intent.state == MoveIntent::State::begun) {
      auto telling = peers_.drop_link(home, intent.entry.inode, intent.token);
      told = co_await telling;
      if (asked != nullptr) asked->set();
      if (told) {
        // Recorded before the other forgets it: else it could be told twice.
        intent.state = MoveIntent::State::ended;
        store_.put_move(intent);
        auto writing = store_.committed();
        told = co_await writing;
        if (!told) intent.state = MoveIntent::State::begun;
      }
    }
    if (told) {
      auto forgetting = peers_.forget_token(home, intent.token);
      told = co_await forgetting;
    }
    if (told) {
      store_.remove_move(intent.token);
      co_return;
    }
    if (!said) {
      log_warn(
          "inode {:x} has an entry less, which its server {} does not know yet ({}); trying again",
          intent.entry.inode, home, to_text(told.error().code));
      said = true;
    }
    auto pausing = pauses.next();
    co_await pausing;
  }
}

// ---- open files ----

Task<Status> Links::release(std::uint64_t session, std::span<const InodeId> inodes) {
  std::vector<Task<Status>> burying;
  for (const InodeId inode : inodes) {
    if (holders_.release(session, inode)) burying.push_back(bury(inode));
  }
  Status outcome;
  for (Task<Status>& each : burying) {
    const Status buried = co_await each;
    if (outcome) outcome = buried;
  }
  co_return outcome;
}

void Links::end_session(std::uint64_t session) {
  for (const InodeId inode : holders_.end_session(session)) {
    if (nameless_.contains(inode)) bury_later(inode, false).detach();
  }
}

/// Nobody has it open any more. If it has no name, it goes.
Task<Status> Links::bury(InodeId number) {
  const auto found = nameless_.find(number);
  if (found == nameless_.end()) co_return Status{};
  const DropIntent intent = found->second;
  nameless_.erase(found);
  const auto inode = store_.inode(number);
  Status removed;
  if (inode) {
    // Else the batch that took its last name was not written: it has it still.
    if (inode->attributes.nlink > 0) co_return Status{};
    store_.remove_inode(*inode);
    auto writing = store_.committed();
    removed = co_await writing;
  } else if (inode.error().code != Errc::not_found) {
    removed = std::unexpected(inode.error());
  }
  if (removed) {
    drops_.carry_out_later(intent);
    co_return removed;
  }
  nameless_[number] = intent;
  if (!background_.closed()) bury_later(number, true).detach();
  co_return removed;
}

Task<void> Links::bury_later(InodeId inode, bool tried) {
  if (background_.closed()) co_return;  // the next start does it
  const Gate::Pass pass = background_.enter();
  if (tried) {
    log_warn("inode {:x}, closed and without a name, cannot be removed yet; trying again", inode);
    auto pausing = pause_unless_closed(loop_, background_, options_.retry_max_ns);
    co_await pausing;
    if (background_.closed() || holders_.held(inode)) co_return;
  }
  auto burying = bury(inode);
  const Status buried = co_await burying;
  static_cast<void>(buried);  // else it is under way again
}

void Links::spread(InodeId inode) {
  const auto found = nameless_.find(inode);
  if (found == nameless_.end() || found->second.spread) return;
  found->second.spread = true;
  store_.update_drop(found->second);
}

Task<void> Links::close() {
  background_.close();
  auto drained = background_.drained();
  co_await drained;
}

}  // namespace benchfs
