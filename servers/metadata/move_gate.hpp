// The gate at the home of the root: directories that get another parent go through it one at a
// time. Two renames at once, of a below b and of b below a, would each be right alone and leave
// both unreachable. Clients look at the way up of the new place; what they saw holds if no
// directory has moved since: they read the gate's count before, and the gate lets a rename through
// only while that is still its count. Who is inside is kept over a crash; the count is not, and a
// new one refuses what was looked at before.
#pragma once
#include <cstdint>
#include <deque>
#include <unordered_set>

#include "loop/task.hpp"
#include "metadata/meta_store.hpp"

namespace benchfs {

/// Single-threaded.
class MoveGate {
 public:
  explicit MoveGate(MetaStore& store);

  Status start();
  /// busy while a rename is inside.
  Result<std::uint64_t> read() const;
  /// stale, busy, canceled, io, no_space. Repeated by who is inside: nothing.
  Task<Status> begin(std::uint64_t token, std::uint64_t moves);
  /// Of one that never began, too: it will not begin any more.
  Task<Status> end(std::uint64_t token);

 private:
  static constexpr std::size_t kEndedMax = 65536;

  MetaStore& store_;
  std::uint64_t moves_;
  std::uint64_t inside_ = 0;    ///< token; 0: nobody
  std::uint64_t recorded_ = 0;  ///< who is inside according to the store
  std::deque<std::uint64_t> ended_;
  std::unordered_set<std::uint64_t> ended_set_;
};

}  // namespace benchfs
