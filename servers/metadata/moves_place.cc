// The part of the server of the new name: it puts the entry there or refuses, in one batch.
#include <sys/stat.h>

#include <optional>

#include "base/fault.hpp"
#include "metadata/moves.hpp"
#include "metadata/new_inode.hpp"

namespace benchfs {
namespace {

wire::PlaceEntry::Reply reply_of(const Tokens::Answer& answer) {
  wire::PlaceEntry::Reply reply{};
  reply.outcome = answer.outcome;
  reply.inode = answer.replaced.inode;
  reply.type = answer.replaced.type;
  if (answer.outcome == wire::PlaceEntry::kRefused) {
    reply.reason = static_cast<std::uint32_t>(answer.reason);
  }
  return reply;
}

}  // namespace

/// The entry that has the name now (inode 0: none), if the new one may be put there.
Result<Entry> Moves::look(const Placing::Request& request, std::string_view name) const {
  BFS_CHECK(valid, check_name(name));
  BFS_CHECK(free, check_free(request.parent, name));
  BFS_CHECK(parent, removals_.check_parent(request.parent));
  const bool exchange = (request.flags & Placing::kExchange) != 0;
  const auto found = store_.entry(request.parent, name);
  if (!found) {
    if (found.error().code != Errc::not_found || exchange) return std::unexpected(found.error());
    return Entry{};
  }
  if ((request.flags & Placing::kNoReplace) != 0) return fail(Errc::exists);
  if (found->inode == request.inode) return *found;
  if (exchange) {
    if (!S_ISDIR(found->type)) return *found;
    BFS_CHECK(stays, removals_.check_stays(found->inode));
    // Another parent for that directory too: somebody has to have looked at its way up.
    if ((request.flags & Placing::kMovesDirectories) == 0) return fail(Errc::stale);
    return *found;
  }
  if (S_ISDIR(request.type) && !S_ISDIR(found->type)) return fail(Errc::not_directory);
  if (!S_ISDIR(request.type) && S_ISDIR(found->type)) return fail(Errc::is_directory);
  return *found;
}

/// Decides, with what `along` adds to the batch of a placement. Refusals are answers; an error says
/// that the batch was not written, and nothing has changed.
Task<Result<Tokens::Answer>> Moves::place_here(Placing::Request request, std::string_view name,
                                               std::function<void(const Answer&)> along) {
  const auto there = look(request, name);
  if (!there) {
    auto writing = store_.committed();  // of what was in the way, or was not
    BFS_CO_CHECK(written, co_await writing);
    co_return Answer{Placing::kRefused, {}, there.error().code};
  }
  if (there->inode == request.inode) {
    auto writing = store_.committed();
    BFS_CO_CHECK(written, co_await writing);
    co_return Answer{Placing::kSame, {}, Errc::canceled};
  }
  const bool exchange = (request.flags & Placing::kExchange) != 0;
  const Entry entry{request.inode, request.type};
  Answer answer{Placing::kPlaced, exchange ? *there : Entry{}, Errc::canceled};
  const auto put = [&] {
    store_.put_entry(request.parent, name, entry);
    along(answer);
  };
  if (there->inode != 0 && !exchange && S_ISDIR(there->type)) {
    auto removing = removals_.remove(there->inode, put);
    const Status removed = co_await removing;
    if (!removed) answer = {Placing::kRefused, {}, removed.error().code};
    co_return answer;
  }
  Links::Taken taken;
  if (there->inode != 0 && !exchange) {
    auto gone = links_.take(*there);
    if (!gone) co_return Answer{Placing::kRefused, {}, gone.error().code};
    taken = *gone;
  }
  put();
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  auto carrying = links_.carry_out(taken);
  co_await carrying;
  co_return answer;
}

Task<Result<wire::PlaceEntry::Reply>> Moves::place(wire::PlaceEntry::Request request,
                                                   std::string_view name) {
  constexpr std::uint32_t kKnown =
      Placing::kNoReplace | Placing::kExchange | Placing::kMovesDirectories;
  const bool type = S_ISREG(request.type) || S_ISDIR(request.type) || S_ISLNK(request.type);
  if ((request.flags & ~kKnown) != 0 || !type || request.token == 0 || request.inode == 0) {
    co_return fail(Errc::bad_message);
  }
  if (owner(request.parent, name) != options_.self) co_return fail(Errc::stale_epoch);
  if (background_.closed()) co_return fail(Errc::shutting_down);
  if (const Answer* known = tokens_.find(request.token); known != nullptr) {
    const Answer answer = *known;
    auto writing = store_.committed();
    BFS_CO_CHECK(written, co_await writing);
    co_return reply_of(answer);
  }
  const std::uint64_t token = request.token;
  if (!placing_.insert(token).second) co_return fail(Errc::busy);
  const Gate::Pass pass = background_.enter();
  auto placing =
      place_here(request, name, [&](const Answer& placed) { tokens_.add(token, placed); });
  const Result<Answer> placed = co_await placing;
  placing_.erase(token);
  const Answer answer = placed ? *placed : Answer{Placing::kRefused, {}, placed.error().code};
  if (answer.outcome != Placing::kPlaced) {
    tokens_.take_back(token);
    tokens_.add(token, answer);
  }
  if (answer.outcome == Placing::kPlaced) fault_point("entry_placed");
  co_return reply_of(answer);
}

}  // namespace benchfs
