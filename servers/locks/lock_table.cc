// Byte-range locks: one queue per file, in the order of the requests.
#include "locks/lock_table.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace benchfs {

Status LockTable::request(InodeId inode, LockOwner owner, LockMode mode, std::uint64_t first,
                          std::uint64_t last, Outcome outcome) {
  if (first > last) return fail(Errc::invalid);
  Queue& queue = files_[inode];
  const bool in_use = std::any_of(queue.begin(), queue.end(),
                                  [&](const Lock& lock) { return lock.owner == owner; });
  if (in_use) return fail(Errc::exists);
  Lock lock{owner, mode, first, last, false, std::move(outcome)};
  lock.held = std::none_of(queue.begin(), queue.end(),
                           [&](const Lock& one) { return conflict(one, lock); });
  queue.push_back(std::move(lock));
  sessions_[owner.session].push_back(inode);
  ++size_;
  if (queue.back().held) {
    const Outcome granted = queue.back().outcome;
    granted(true);
  }
  return {};
}

std::optional<LockTable::Obstacle> LockTable::obstacle(InodeId inode, LockMode mode,
                                                       std::uint64_t first,
                                                       std::uint64_t last) const {
  const auto file = files_.find(inode);
  if (file == files_.end()) return std::nullopt;
  const Lock wanted{{}, mode, first, last, false, {}};
  std::optional<Obstacle> found;
  for (const Lock& one : file->second) {
    if (!conflict(one, wanted) || (found && !one.held)) continue;
    found = Obstacle{one.owner, one.mode, one.first, one.last, one.held};
    if (one.held) break;
  }
  return found;
}

void LockTable::collect_grants(Queue& queue, Calls& calls) {
  for (auto at = queue.begin(); at != queue.end(); ++at) {
    if (at->held) continue;
    const bool free =
        std::none_of(queue.begin(), at, [&](const Lock& one) { return conflict(one, *at); });
    if (!free) continue;
    at->held = true;
    calls.emplace_back(at->outcome, true);
  }
}

void LockTable::remove(InodeId inode, Queue& queue, Queue::iterator lock, Calls& calls) {
  auto session = sessions_.find(lock->owner.session);
  BFS_ASSERT(session != sessions_.end());
  auto& inodes = session->second;
  inodes.erase(std::find(inodes.begin(), inodes.end(), inode));
  if (inodes.empty()) sessions_.erase(session);
  if (!lock->held) calls.emplace_back(std::move(lock->outcome), false);
  queue.erase(lock);
  --size_;
}

bool LockTable::release(InodeId inode, LockOwner owner) {
  const auto file = files_.find(inode);
  if (file == files_.end()) return false;
  Queue& queue = file->second;
  const auto lock =
      std::find_if(queue.begin(), queue.end(), [&](const Lock& one) { return one.owner == owner; });
  if (lock == queue.end()) return false;
  Calls calls;
  remove(inode, queue, lock, calls);
  collect_grants(queue, calls);
  if (queue.empty()) files_.erase(file);
  for (const auto& [outcome, granted] : calls) outcome(granted);
  return true;
}

void LockTable::release_session(std::uint64_t session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  std::vector<InodeId> inodes = found->second;
  std::sort(inodes.begin(), inodes.end());
  inodes.erase(std::unique(inodes.begin(), inodes.end()), inodes.end());
  Calls calls;
  for (const InodeId inode : inodes) {
    const auto file = files_.find(inode);
    Queue& queue = file->second;
    for (auto at = queue.begin(); at != queue.end();) {
      const auto lock = at++;
      if (lock->owner.session == session) remove(inode, queue, lock, calls);
    }
    collect_grants(queue, calls);
    if (queue.empty()) files_.erase(file);
  }
  for (const auto& [outcome, granted] : calls) outcome(granted);
}

std::size_t LockTable::size_of(std::uint64_t session) const {
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? 0 : found->second.size();
}

}  // namespace benchfs
