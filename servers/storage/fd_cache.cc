// The LRU of open files: two lists between which entries move without allocation, so that finding
// one to close never has to walk over those in use.
#include "storage/fd_cache.hpp"

#include "base/assert.hpp"

namespace benchfs {

Task<void> IoTurns::enter(Kind kind) {
  if (waiters_.empty() && (running_ == 0 || kind_ == kind)) {
    kind_ = kind;
    ++running_;
    co_return;
  }
  Waiter waiter{*this, kind, {}};
  co_await waiter;  // leave() has counted it in
}

void IoTurns::leave() {
  BFS_ASSERT(running_ > 0);
  if (--running_ > 0) return;
  // The next kind in line, and all behind it that are of the same kind.
  if (!waiters_.empty()) kind_ = waiters_.front()->kind;
  while (!waiters_.empty() && waiters_.front()->kind == kind_) {
    ++running_;
    post_to_current(waiters_.front()->handle);
    waiters_.pop_front();
  }
}

FdCache::FdCache(std::size_t files_max, std::function<void(File&)> on_close)
    : files_max_(files_max), on_close_(std::move(on_close)) {
  BFS_ASSERT(files_max_ > 0);
}

FdCache::~FdCache() {
  BFS_ASSERT(in_use_.empty() && idle_.empty());
}

FdCache::Pin FdCache::find(ChunkFile id) {
  const auto found = index_.find(id);
  if (found == index_.end()) return {};
  const auto file = found->second;
  if (file->pins++ == 0) in_use_.splice(in_use_.begin(), idle_, file);
  return Pin(*this, file);
}

FdCache::Pin FdCache::insert(ChunkFile id, int fd) {
  in_use_.emplace_front();
  const auto file = in_use_.begin();
  file->id = id;
  file->fd = fd;
  file->pins = 1;
  const bool added = index_.emplace(id, file).second;
  BFS_ASSERT(added);
  trim();
  return Pin(*this, file);
}

void FdCache::remove(ChunkFile id) {
  const auto found = index_.find(id);
  if (found == index_.end()) return;
  const auto file = found->second;
  index_.erase(found);
  file->removed = true;
  if (file->pins > 0) return;
  on_close_(*file);
  idle_.erase(file);
}

bool FdCache::evict_one() {
  if (idle_.empty()) return false;
  const auto oldest = std::prev(idle_.end());
  index_.erase(oldest->id);
  on_close_(*oldest);
  idle_.erase(oldest);
  return true;
}

void FdCache::for_each(const std::function<void(File&)>& visit) {
  for (File& file : idle_) visit(file);
  for (File& file : in_use_) visit(file);
}

void FdCache::clear() {
  BFS_ASSERT(in_use_.empty());
  while (evict_one()) {
  }
}

void FdCache::unpin(std::list<File>::iterator file) {
  if (--file->pins > 0) return;
  BFS_ASSERT(file->turns.idle());
  if (file->removed) {
    on_close_(*file);
    in_use_.erase(file);
    return;
  }
  idle_.splice(idle_.begin(), in_use_, file);
  trim();
}

void FdCache::trim() {
  while (index_.size() > files_max_ && evict_one()) {
  }
}

}  // namespace benchfs
