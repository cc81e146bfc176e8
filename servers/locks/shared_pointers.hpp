// Shared file pointers (MPI-4.0 section 14.4.4) of the files whose home is this server: one number
// per file and collective open, in memory. A pointer lives until it is forgotten at close, its file
// is removed, or more than `limit` are known and it is the one that was used least recently: the
// death of a client that did not close leaves nothing behind for good.
#pragma once
#include <cstdint>
#include <list>
#include <map>
#include <utility>

#include "base/status.hpp"
#include "base/types.hpp"

namespace benchfs {

class SharedPointers {
 public:
  explicit SharedPointers(std::size_t limit = 1 << 20) : limit_(limit) {}

  /// Value before `delta` was added. Errors: range, if the pointer would become negative or pass
  /// the largest file; it is unchanged then.
  Result<std::int64_t> add(InodeId inode, std::uint64_t key, std::int64_t delta);
  /// The same for a new value.
  Result<std::int64_t> set(InodeId inode, std::uint64_t key, std::int64_t value);
  /// Value before it was forgotten.
  std::int64_t forget(InodeId inode, std::uint64_t key);
  void forget_file(InodeId inode);
  std::size_t size() const { return pointers_.size(); }

 private:
  using Key = std::pair<InodeId, std::uint64_t>;
  struct Pointer {
    std::int64_t value = 0;
    std::list<Key>::iterator used;
  };
  Pointer& find(const Key& key);

  std::size_t limit_;
  std::map<Key, Pointer> pointers_;  ///< ordered: those of one file stand together
  std::list<Key> used_;              ///< least recently used first
};

}  // namespace benchfs
