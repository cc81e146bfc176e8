// Marks of this server, and the removals that it leads.
//
// What a mark or a decision changes is done within one turn of the loop, and answered when the
// turn's batch is written. A mark that could not be written is taken back.
#include "metadata/removals.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "metadata/pause.hpp"
#include "net/cluster_info.hpp"

namespace benchfs {
namespace {

using Message = wire::MarkDirectory;

}  // namespace

Removals::Removals(Loop& loop, MetaStore& store, const SlotMap& map, RemovalPeers& peers,
                   Options options)
    : loop_(loop), store_(store), map_(map), peers_(peers), options_(options) {}

Task<Status> Removals::start() {
  BFS_CO_TRY(marks, store_.marks());
  std::sort(marks.begin(), marks.end(),
            [](const auto& a, const auto& b) { return a.since_ns < b.since_ns; });
  for (const DirectoryMark& mark : marks) {
    marks_[mark.inode] = mark;
    if (mark.state != State::closed) ended_.push_back({mark.inode, mark.token, mark.since_ns});
  }
  BFS_CO_TRY(intents, store_.removals());
  for (RemovalIntent& intent : intents) {
    if (intent.state == State::closed) {  // not decided: it stays
      intent.state = State::released;
      store_.put_removal(intent);
      end_here(intent.inode, intent.token, State::released);
    }
  }
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  if (!intents.empty()) log_info("{} removals of directories are to be finished", intents.size());
  for (const RemovalIntent& intent : intents) tell_all(intent).detach();
  co_return Status{};
}

// ---- marks ----

Status Removals::check_open(InodeId directory) const {
  if (marks_.empty()) return {};
  const auto found = marks_.find(directory);
  if (found == marks_.end()) return {};
  switch (found->second.state) {
    case State::closed:
      return fail(Errc::being_removed);
    case State::removed:
      return fail(Errc::not_found);
    case State::released:
      break;
  }
  return {};
}

Status Removals::check_parent(InodeId directory) const {
  BFS_CHECK(open, check_open(directory));
  if (!owns(directory)) return {};
  BFS_TRY(inode, store_.inode(directory));
  if (!S_ISDIR(inode.attributes.mode)) return fail(Errc::not_directory);
  return {};
}

Status Removals::check_stays(InodeId directory) const {
  if (undecided_.contains(directory)) return fail(Errc::being_removed);
  return {};
}

/// Puts the mark, unless there is a reason not to. From the look to the mark nothing suspends.
Status Removals::close_here(InodeId directory, std::uint64_t token) {
  const auto found = marks_.find(directory);
  if (found != marks_.end()) {
    const DirectoryMark& mark = found->second;
    if (mark.state == State::removed) return fail(Errc::not_found);
    if (mark.state == State::released && mark.token == token) return fail(Errc::canceled);
    if (mark.state == State::closed) {
      return mark.token == token ? Status{} : fail(Errc::being_removed);
    }
  }
  bool empty = true;
  BFS_CHECK(looked, store_.entries(directory, {}, [&](std::string_view, Entry) {
    empty = false;
    return false;
  }));
  if (!empty) return fail(Errc::not_empty);
  const DirectoryMark mark{directory, token, State::closed, wall_ns()};
  marks_[directory] = mark;
  store_.put_mark(mark);
  return {};
}

void Removals::end_here(InodeId directory, std::uint64_t token, State state) {
  forget_old();
  const auto found = marks_.find(directory);
  if (found != marks_.end()) {
    const DirectoryMark& mark = found->second;
    // A late message of an earlier removal; or one that was heard before.
    if (state == State::released && mark.token != token && mark.state != State::released) return;
    if (mark.state == state && mark.token == token) return;
    if (mark.state == State::removed) return;
  }
  const DirectoryMark mark{directory, token, state, wall_ns()};
  if (state == State::removed) {
    store_.put_mark(mark);
    const auto inode = store_.inode(directory);
    if (owns(directory) && inode) store_.remove_inode(*inode);
  } else if (found != marks_.end()) {
    store_.remove_mark(directory);
  }
  marks_[directory] = mark;
  ended_.push_back({directory, token, mark.since_ns});
}

void Removals::forget_old() {
  const std::int64_t now = wall_ns();
  while (!ended_.empty() && ended_.front().since_ns + options_.remembered_ns < now) {
    const Ended old = ended_.front();
    ended_.pop_front();
    const auto found = marks_.find(old.inode);
    if (found == marks_.end() || found->second.state == State::closed) continue;
    if (found->second.token != old.token) continue;
    if (found->second.state == State::removed) store_.remove_mark(old.inode);
    marks_.erase(found);
  }
}

Task<Status> Removals::mark(InodeId directory, std::uint64_t token, std::uint32_t operation) {
  switch (operation) {
    case Message::kClose: {
      BFS_CO_CHECK(closed, close_here(directory, token));
      break;
    }
    case Message::kRelease:
      end_here(directory, token, State::released);
      break;
    case Message::kRemoved:
      end_here(directory, token, State::removed);
      break;
    default:
      co_return fail(Errc::bad_message);
  }
  // If it is not written, memory says another thing than the disk: a mark too many, which the
  // leader's next message ends, or one that is ended too early here and again at the next message.
  auto writing = store_.committed();
  co_return co_await writing;
}

// ---- leading ----

Task<Status> Removals::mark_elsewhere(InodeId directory, std::uint64_t token,
                                      std::uint32_t operation) {
  std::vector<ServerIndex> servers;
  std::vector<Task<Status>> tasks;
  for (std::uint32_t i = 0; i < map_.index_count(); ++i) {
    const auto server = static_cast<ServerIndex>(i);
    if (server == options_.self || !map_.contains(server)) continue;
    servers.push_back(server);
    tasks.push_back(peers_.mark_directory(server, directory, token, operation));
  }
  Status outcome;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    Task<Status>& task = tasks[i];
    const Status marked = co_await task;
    if (marked) continue;
    // That it is not empty is the answer, whatever else went wrong.
    const bool says_more = marked.error().code == Errc::not_empty;
    if (!outcome && !says_more) continue;
    outcome = marked;
    outcome.error().server = servers[i];
  }
  co_return outcome;
}

Task<Status> Removals::remove(InodeId directory, std::function<void()> along) {
  if (background_.closed()) co_return fail(Errc::shutting_down);
  const std::uint64_t token = random_id();
  RemovalIntent intent{token, directory, State::closed};
  if (!undecided_.insert(directory).second) co_return fail(Errc::being_removed);
  const Status closed = close_here(directory, token);
  if (!closed) {
    undecided_.erase(directory);
    co_return closed;
  }
  const Gate::Pass pass = background_.enter();
  store_.put_removal(intent);
  auto recording = store_.committed();
  const Status recorded = co_await recording;
  if (!recorded) {
    marks_.erase(directory);
    undecided_.erase(directory);
    co_return recorded;
  }
  auto closing = mark_elsewhere(directory, token, Message::kClose);
  Status outcome = co_await closing;
  if (outcome) {
    intent.state = State::removed;
    along();
    store_.put_removal(intent);
    end_here(directory, token, State::removed);
    auto deciding = store_.committed();
    outcome = co_await deciding;
    if (!outcome) marks_[directory] = {directory, token, State::closed, wall_ns()};
  }
  if (!outcome) {
    intent.state = State::released;
    store_.put_removal(intent);
    end_here(directory, token, State::released);
    auto deciding = store_.committed();
    const Status decided = co_await deciding;
    if (!decided) log_warn("directory {:x} stays, which could not be recorded", directory);
  }
  undecided_.erase(directory);
  tell_all(intent).detach();
  co_return outcome;
}

Task<void> Removals::tell_all(RemovalIntent intent) {
  if (background_.closed()) co_return;
  const Gate::Pass pass = background_.enter();
  const std::uint32_t operation =
      intent.state == State::removed ? Message::kRemoved : Message::kRelease;
  RetryPauses pauses(loop_, background_, options_.retry_min_ns, options_.retry_max_ns);
  for (bool said = false; !background_.closed();) {
    auto telling = mark_elsewhere(intent.inode, intent.token, operation);
    const Status told = co_await telling;
    if (told) {
      store_.remove_removal(intent.token);
      if (said) log_info("all servers know of the removal of directory {:x} now", intent.inode);
      co_return;
    }
    if (!said) {
      log_warn(
          "not all servers know how the removal of directory {:x} ended (server {}: {}); "
          "trying again",
          intent.inode, told.error().server, to_text(told.error().code));
      said = true;
    }
    auto pausing = pauses.next();
    co_await pausing;
  }
}

Task<void> Removals::close() {
  background_.close();
  auto drained = background_.drained();
  co_await drained;
}

}  // namespace benchfs
