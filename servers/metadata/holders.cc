// Two tables: a session's opens by inode, and for each inode the number of sessions. The end of a
// session costs what it has open, and to look whether a file is held is one look-up.
#include "metadata/holders.hpp"

namespace benchfs {

void Holders::add(std::uint64_t session, InodeId inode) {
  if (++opens_[session][inode] == 1) ++sessions_of_[inode];
}

bool Holders::forget(InodeId inode) {
  const auto found = sessions_of_.find(inode);
  if (--found->second > 0) return false;
  sessions_of_.erase(found);
  return true;
}

bool Holders::release(std::uint64_t session, InodeId inode) {
  const auto opens = opens_.find(session);
  if (opens == opens_.end()) return false;
  const auto open = opens->second.find(inode);
  if (open == opens->second.end() || --open->second > 0) return false;
  opens->second.erase(open);
  return forget(inode);
}

std::vector<InodeId> Holders::end_session(std::uint64_t session) {
  std::vector<InodeId> free;
  const auto opens = opens_.find(session);
  if (opens == opens_.end()) return free;
  for (const auto& [inode, count] : opens->second) {
    if (forget(inode)) free.push_back(inode);
  }
  opens_.erase(opens);
  return free;
}

}  // namespace benchfs
