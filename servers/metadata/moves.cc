// Leading renames and links: the intent, its decision, and its end.
#include "metadata/moves.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/fault.hpp"
#include "base/log.hpp"
#include "metadata/new_inode.hpp"
#include "metadata/pause.hpp"
#include "net/cluster_info.hpp"

namespace benchfs {

Moves::Moves(Loop& loop, MetaStore& store, Removals& removals, Links& links, Tokens& tokens,
             MoveGate& gate, const SlotMap& map, MovePeers& peers, Options options)
    : loop_(loop),
      store_(store),
      removals_(removals),
      links_(links),
      tokens_(tokens),
      gate_(gate),
      map_(map),
      peers_(peers),
      options_(std::move(options)) {}

Task<Status> Moves::start() {
  BFS_CO_CHECK(answers, tokens_.start());
  BFS_CO_CHECK(gate, gate_.start());
  BFS_CO_TRY(intents, store_.moves());
  std::size_t left = 0;
  for (const MoveIntent& intent : intents) {
    if (intent.kind == Kind::drop_link) continue;  // links_ goes on with it
    ++left;
    if (intent.state == State::ended) {
      tell_all(intent).detach();
      continue;
    }
    if (intent.kind == Kind::rename) {
      held_[{intent.from_parent, intent.from}] = (intent.flags & Placing::kExchange) != 0;
    }
    carry_on(intent).detach();
  }
  if (left > 0) log_info("{} renames and links of the last run are to be finished", left);
  auto linking = links_.start();
  co_return co_await linking;
}

Status Moves::check_free(InodeId parent, std::string_view name) const {
  if (held_.empty() || !held_.contains({parent, std::string(name)})) return {};
  return fail(Errc::being_removed);
}

Status Moves::check_visible(InodeId parent, std::string_view name) const {
  if (held_.empty()) return {};
  const auto found = held_.find({parent, std::string(name)});
  if (found == held_.end() || !found->second) return {};
  return fail(Errc::being_removed);
}

Task<Status> Moves::rename(wire::Rename::Request request, std::string_view from,
                           std::string_view to) {
  using Message = wire::Rename;
  constexpr std::uint32_t kKnown = Message::kNoReplace | Message::kExchange;
  if ((request.flags & ~kKnown) != 0 || request.flags == kKnown) co_return fail(Errc::bad_message);
  BFS_CO_CHECK(valid, check_name(from));
  BFS_CO_CHECK(new_valid, check_name(to));
  if (owner(request.parent, from) != options_.self) co_return fail(Errc::stale_epoch);
  if (background_.closed()) co_return fail(Errc::shutting_down);
  BFS_CO_CHECK(free, check_free(request.parent, from));
  const auto entry = store_.entry(request.parent, from);
  if (!entry) {
    auto writing = store_.committed();  // of whoever has just removed it
    BFS_CO_CHECK(written, co_await writing);
    co_return std::unexpected(entry.error());
  }
  const bool other_parent = request.parent != request.new_parent;
  if (S_ISDIR(entry->type)) {
    BFS_CO_CHECK(stays, removals_.check_stays(entry->inode));
    if (other_parent && request.moves == 0) co_return fail(Errc::stale);
  }
  std::uint32_t flags = request.flags;  // the first two are the same
  if (!other_parent || request.moves != 0) flags |= Placing::kMovesDirectories;
  MoveIntent intent{.token = random_id(),
                    .kind = Kind::rename,
                    .state = State::begun,
                    .flags = flags,
                    .moves = other_parent ? request.moves : 0,
                    .entry = *entry,
                    .from_parent = request.parent,
                    .from = std::string(from),
                    .to_parent = request.new_parent,
                    .to = std::string(to)};
  held_[{intent.from_parent, intent.from}] = (flags & Placing::kExchange) != 0;
  if (recorded(intent)) {
    store_.put_move(intent);
    auto recording = store_.committed();
    const Status written = co_await recording;
    if (!written) {
      held_.erase({intent.from_parent, intent.from});
      co_return written;
    }
    fault_point("rename_recorded");
  }
  auto carrying = carry_out(std::move(intent));
  co_return co_await carrying;
}

Task<Result<wire::Link::Reply>> Moves::link(wire::Link::Request request, std::string_view name) {
  BFS_CO_CHECK(valid, check_name(name));
  if (map_.home(request.inode) != options_.self) co_return fail(Errc::stale_epoch);
  if (background_.closed()) co_return fail(Errc::shutting_down);
  const auto inode = store_.inode(request.inode);
  if (!inode) {
    auto writing = store_.committed();
    BFS_CO_CHECK(written, co_await writing);
    co_return std::unexpected(inode.error());
  }
  if (S_ISDIR(inode->attributes.mode)) co_return fail(Errc::not_permitted);
  if (inode->attributes.nlink == 0) co_return fail(Errc::not_found);  // only open still
  if (options_.room) {
    BFS_CO_CHECK(room, options_.room());
  }
  MoveIntent intent{.token = random_id(),
                    .kind = Kind::link,
                    .state = State::begun,
                    .flags = Placing::kNoReplace,
                    .entry = {request.inode, inode->attributes.mode & S_IFMT},
                    .to_parent = request.parent,
                    .to = std::string(name)};
  if (recorded(intent)) {
    // Counted first: the file must not go, with its other entries, before this one is there.
    BFS_CO_TRY(counted, links_.add(request.inode));
    static_cast<void>(counted);
    store_.put_move(intent);
    auto recording = store_.committed();
    BFS_CO_CHECK(written, co_await recording);
    fault_point("link_recorded");
  }
  auto carrying = carry_out(std::move(intent));
  BFS_CO_CHECK(carried, co_await carrying);
  const auto now = store_.inode(request.inode);
  if (!now) co_return wire::Link::Reply{inode->attributes};  // it is gone again
  co_return wire::Link::Reply{now->attributes};
}

// ---- the way of an intent ----

/// A success has passed, a refusal is final; anything else is an error of decide().
Task<Status> Moves::pass_gate(const MoveIntent& intent) {
  const ServerIndex home = map_.home(kRootInode);
  if (home == options_.self) {
    auto beginning = gate_.begin(intent.token, intent.moves);
    co_return co_await beginning;
  }
  auto asking = peers_.move_gate(home, {intent.token, intent.moves, wire::MoveGate::kBegin, 0});
  const Result<std::uint64_t> begun = co_await asking;
  if (!begun) co_return std::unexpected(begun.error());
  co_return Status{};
}

/// One try: what was decided, or an error that leaves it open. If all is here, what follows from
/// the decision is in its batch.
Task<Result<Tokens::Answer>> Moves::decide(MoveIntent& intent) {
  if (intent.moves != 0) {
    auto passing = pass_gate(intent);
    const Status passed = co_await passing;
    if (!passed) {
      const Errc code = passed.error().code;
      const bool refused = code == Errc::stale || code == Errc::busy || code == Errc::canceled;
      if (!refused) co_return std::unexpected(passed.error());
      co_return Answer{Placing::kRefused, {}, Errc::stale};
    }
    fault_point("gate_passed");
  }
  const Placing::Request request{intent.token, intent.to_parent, intent.entry.inode,
                                 intent.entry.type, intent.flags};
  if (local(intent)) {
    auto placing = place_here(request, intent.to, [this, &intent](const Answer& answer) {
      if (intent.kind == Kind::link && !recorded(intent)) {
        const auto counted = links_.add(intent.entry.inode);
        BFS_ASSERT(counted.has_value());  // link() has just looked
      }
      const Links::Taken nothing = finish(intent, answer);
      BFS_ASSERT(!nothing.data && !nothing.there);
    });
    co_return co_await placing;
  }
  const ServerIndex server = owner(intent.to_parent, intent.to);
  auto placing = peers_.place_entry(server, request, intent.to);
  BFS_CO_TRY(reply, co_await placing);
  if (reply.outcome < Placing::kPlaced || reply.outcome > Placing::kSame) {
    co_return fail(Errc::bad_message, 0, server);
  }
  co_return Answer{reply.outcome,
                   {reply.inode, reply.type},
                   errc_from_wire(static_cast<std::uint16_t>(reply.reason))};
}

/// In this turn's batch: what follows here from the decision.
Links::Taken Moves::finish(MoveIntent& intent, const Answer& answer) {
  Links::Taken taken;
  const bool placed = answer.outcome == Placing::kPlaced;
  if (intent.kind == Kind::rename && placed) {
    if ((intent.flags & Placing::kExchange) != 0) {
      store_.put_entry(intent.from_parent, intent.from, answer.replaced);
    } else {
      store_.remove_entry(intent.from_parent, intent.from);
    }
  }
  if (intent.kind == Kind::link && !placed && recorded(intent)) {
    auto back = links_.take(intent.entry);
    if (back) taken = *back;  // else it is logged, and the inode is gone already
  }
  if (recorded(intent)) {
    MoveIntent ended = intent;
    ended.state = State::ended;
    store_.put_move(ended);
  }
  return taken;
}

/// One try to its end here. An error leaves it open; what was refused is an answer.
Task<Result<Tokens::Answer>> Moves::settle(MoveIntent& intent) {
  auto deciding = decide(intent);
  BFS_CO_TRY(answer, co_await deciding);
  if (local(intent) && answer.outcome == Placing::kPlaced) co_return answer;
  const Links::Taken taken = finish(intent, answer);
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  auto carrying = links_.carry_out(taken);
  co_await carrying;
  co_return answer;
}

/// It is settled: the entry is free, and the others hear of it.
void Moves::end(MoveIntent intent) {
  ++changes_;
  if (intent.kind == Kind::rename) held_.erase({intent.from_parent, intent.from});
  if (!recorded(intent)) return;
  intent.state = State::ended;
  tell_all(std::move(intent)).detach();
}

Task<Status> Moves::carry_out(MoveIntent intent) {
  const Gate::Pass pass = background_.enter();
  ++changes_;
  auto settling = settle(intent);
  const Result<Answer> answer = co_await settling;
  if (!answer && recorded(intent)) {  // it stays held until that is known
    log_warn("the {} of inode {:x} is not decided ({}); trying again",
             intent.kind == Kind::rename ? "rename" : "link", intent.entry.inode,
             to_text(answer.error().code));
    carry_on(std::move(intent)).detach();
    co_return std::unexpected(answer.error());
  }
  if (answer && recorded(intent)) fault_point("move_finished");
  end(intent);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->outcome != Placing::kRefused) co_return Status{};
  if (local(intent)) co_return fail(answer->reason);
  co_return fail(answer->reason, 0, owner(intent.to_parent, intent.to));
}

/// Tries until it is settled.
Task<void> Moves::carry_on(MoveIntent intent) {
  if (background_.closed()) co_return;
  const Gate::Pass pass = background_.enter();
  RetryPauses pauses(loop_, background_, options_.retry_min_ns, options_.retry_max_ns);
  while (!background_.closed()) {
    auto settling = settle(intent);
    const Result<Answer> answer = co_await settling;
    if (answer) {
      log_info("the {} of inode {:x} was {}", intent.kind == Kind::rename ? "rename" : "link",
               intent.entry.inode, answer->outcome == Placing::kRefused ? "undone" : "completed");
      end(std::move(intent));
      co_return;
    }
    auto pausing = pauses.next();
    co_await pausing;
  }
}

/// That it is over; all who had a part in it, at least once.
Task<Status> Moves::tell(const MoveIntent& intent) {
  if (intent.moves != 0) {
    const ServerIndex home = map_.home(kRootInode);
    if (home == options_.self) {
      auto ending = gate_.end(intent.token);
      BFS_CO_CHECK(ended, co_await ending);
    } else {
      auto ending = peers_.move_gate(home, {intent.token, 0, wire::MoveGate::kEnd, 0});
      BFS_CO_TRY(ended, co_await ending);
      static_cast<void>(ended);
    }
  }
  if (!local(intent)) {
    auto forgetting = peers_.forget_token(owner(intent.to_parent, intent.to), intent.token);
    BFS_CO_CHECK(forgotten, co_await forgetting);
  }
  co_return Status{};
}

Task<void> Moves::tell_all(MoveIntent intent) {
  if (background_.closed()) co_return;
  const Gate::Pass pass = background_.enter();
  RetryPauses pauses(loop_, background_, options_.retry_min_ns, options_.retry_max_ns);
  while (!background_.closed()) {
    auto telling = tell(intent);
    const Status told = co_await telling;
    if (told) {
      store_.remove_move(intent.token);
      co_return;
    }
    auto pausing = pauses.next();
    co_await pausing;
  }
}

Task<void> Moves::close() {
  background_.close();
  auto drained = background_.drained();
  co_await drained;
}

}  // namespace benchfs
