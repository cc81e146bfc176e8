// Namespace operations: rename and link.
//
// Only a client knows the way from the root to a directory. One that gets another parent must not
// get below itself: the client looks at the new way up between reading the gate's count and the
// rename, which the gate lets through if no directory has moved since (wire::MoveGate).
#include <sys/stat.h>

#include <algorithm>

#include "client/call_entry.hpp"
#include "client/client.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {
namespace {

bool below(const std::vector<InodeId>& above, InodeId directory) {
  return std::find(above.begin(), above.end(), directory) != above.end();
}

}  // namespace

/// 0 is no count of the gate, and stands for "not read".
Task<Result<std::uint64_t>> Client::read_gate() {
  const wire::MoveGate::Request request{0, 0, wire::MoveGate::kRead, 0};
  BFS_CO_TRY(answer, co_await caller_->call<wire::MoveGate>(map().home(kRootInode), request));
  co_return answer.body.moves;
}

/// Whether there is something of the walk's last name, as far as can be learned.
Task<bool> Client::present(const Walk* walk) {
  const auto found = co_await look_up(walk->parent(), walk->name);
  co_return found.has_value();
}

Task<Outcome> Client::rename(std::string_view from, std::string_view to, std::uint32_t flags) {
  const std::int64_t give_up =
      now_ns() + static_cast<std::int64_t>(config_.deadline_ms) * 1'000'000;
  for (Backoff backoff;;) {
    auto renaming = retried(&Client::rename_once, from, to, flags);
    const Outcome outcome = co_await renaming;
    const bool again = !outcome && (outcome.error().code == Errc::stale ||
                                    outcome.error().code == Errc::being_removed);
    if (!again) co_return outcome;
    if (now_ns() > give_up) co_return fail(Errc::busy, 0, outcome.error().server);
    auto pause = loop_->sleep_ns(backoff.next_ns());
    co_await pause;
  }
}

/// stale, being_removed: again.
Task<Outcome> Client::rename_once(PathUse* use, std::string_view from, std::string_view to,
                                  std::uint32_t flags) {
  const bool exchange = (flags & wire::Rename::kExchange) != 0;
  std::uint64_t moves = 0;
  for (;;) {
    Walk old_walk(from, use);
    BFS_CO_CHECK(old_walked, co_await walk_to_last(&old_walk));
    Walk new_walk(to, use);
    BFS_CO_CHECK(new_walked, co_await walk_to_last(&new_walk));
    // The root stays where it is; and what ends in ".." names a directory on its way.
    if (old_walk.name.empty() || new_walk.name.empty()) co_return fail(Errc::busy);
    BFS_CO_TRY(found, co_await look_up(old_walk.parent(), old_walk.name));
    bool directories = S_ISDIR(found.body.type);
    const InodeId moved = directories ? found.body.inode : 0;
    InodeId other = 0;
    if (exchange) {
      BFS_CO_TRY(there, co_await look_up(new_walk.parent(), new_walk.name));
      if (S_ISDIR(there.body.type)) other = there.body.inode;
      directories = directories || other != 0;
    }
    if (old_walk.parent() == new_walk.parent()) {
      if (old_walk.name == new_walk.name) {
        if ((flags & wire::Rename::kNoReplace) != 0) co_return fail(Errc::exists);
        co_return 0;
      }
      moves = 0;
    } else if (directories) {
      if (moves == 0) {  // all that was looked at does not count
        const auto read = co_await read_gate();
        if (!read && read.error().code == Errc::busy) co_return fail(Errc::stale);
        if (!read) co_return std::unexpected(read.error());
        moves = *read;
        use->fresh = true;
        continue;
      }
      if (moved != 0 && below(new_walk.above, moved)) {
        if ((flags & wire::Rename::kNoReplace) == 0) co_return fail(Errc::invalid);
        const bool there = co_await present(&new_walk);
        co_return fail(there ? Errc::exists : Errc::invalid);
      }
      if (other != 0 && below(old_walk.above, other)) co_return fail(Errc::invalid);
    } else {
      moves = 0;
    }
    const wire::Rename::Request request{old_walk.parent(), new_walk.parent(), moves,
                                        static_cast<std::uint32_t>(old_walk.name.size()), flags};
    const std::string names = std::string(old_walk.name).append(new_walk.name);
    holds_->tell_all();  // one of these may be replaced
    const auto answer =
        co_await caller_->call<wire::Rename>(server_of(old_walk), request, bytes_of(names));
    forget(old_walk.parent(), old_walk.name);  // also if it is not known how it ended
    forget(new_walk.parent(), new_walk.name);
    name_lost();
    if (answer) co_return 0;
    if (answer.error().code ==
        Errc::is_directory) {  // what a directory is in is not replaced by it
      const auto there = co_await look_up(new_walk.parent(), new_walk.name);
      if (there && below(old_walk.above, there->body.inode)) co_return fail(Errc::not_empty);
    }
    co_return std::unexpected(answer.error());
  }
}

Task<Outcome> Client::link(std::string_view from, std::string_view to) {
  return retried(&Client::link_once, from, to);
}

/// Errors in the order in which Linux has them.
Task<Outcome> Client::link_once(PathUse* use, std::string_view from, std::string_view to) {
  Walk old_walk(from, use);
  BFS_CO_CHECK(old_walked, co_await walk_to_last(&old_walk));
  wire::Lookup::Reply found{old_walk.parent(), S_IFDIR, 0, {}};
  if (!old_walk.name.empty()) {
    BFS_CO_TRY(looked_up, co_await look_up(old_walk.parent(), old_walk.name));
    found = looked_up.body;
  }
  Walk new_walk(to, use);
  BFS_CO_CHECK(new_walked, co_await walk_to_last(&new_walk));
  if (new_walk.name.empty()) co_return fail(Errc::exists);
  if (S_ISDIR(found.type)) {
    const bool there = co_await present(&new_walk);
    co_return fail(there ? Errc::exists : Errc::not_permitted);
  }
  const wire::Link::Request request{found.inode, new_walk.parent()};
  const ServerIndex home = map().home(found.inode);
  BFS_CO_TRY(answer, co_await call_entry<wire::Link>(home, request, new_walk.name));
  static_cast<void>(answer);
  forget(found.inode);
  co_return 0;
}

}  // namespace benchfs
