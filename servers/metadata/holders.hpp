// Which sessions have a file open whose home is here, as far as the server has been told: opens are
// known at once, closes a little later (wire/open_messages.hpp). Nothing of it is kept over a
// restart, which ends all sessions.
#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/types.hpp"

namespace benchfs {

/// Single-threaded. Memory: some 120 bytes for each file that a session has open.
class Holders {
 public:
  /// One open more.
  void add(std::uint64_t session, InodeId inode);
  /// One less. True if it was the last one of all sessions.
  bool release(std::uint64_t session, InodeId inode);
  /// What nobody has open any more.
  std::vector<InodeId> end_session(std::uint64_t session);

  bool held(InodeId inode) const { return sessions_of_.contains(inode); }
  /// Files that somebody has open.
  std::size_t files() const { return sessions_of_.size(); }

 private:
  bool forget(InodeId inode);

  std::unordered_map<std::uint64_t, std::unordered_map<InodeId, std::uint32_t>> opens_;
  std::unordered_map<InodeId, std::uint32_t> sessions_of_;
};

}  // namespace benchfs
