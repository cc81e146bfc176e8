// Before this process writes a server's chunk files, it borrows the storage that the write may
// allocate (docs/adr/0012-space.md). Where the server lends no more, a message asks it.
#include "client/transfer.hpp"

namespace benchfs {

/// Asks for the blocks of a piece, but for those that it shares with the piece before.
bool Transfer::borrow(ServerIndex server, const StripePlace& at, std::size_t bytes) {
  auto [begin, end] = client_.local().blocks_of(server, at.offset, bytes);
  const bool same = !borrowed_.empty() && server == borrowed_last_ && at.file == borrowed_file_;
  if (same && begin >= borrowed_begin_ && begin < borrowed_end_) begin = borrowed_end_;
  if (begin >= end) return true;
  if (!client_.local().borrow(server, end - begin)) return false;
  if (borrowed_.empty()) borrowed_.resize(client_.caller().servers());
  borrowed_[server] += end - begin;
  borrowed_last_ = server;
  borrowed_file_ = at.file;
  borrowed_begin_ = begin;
  borrowed_end_ = end;
  return true;
}

/// Moves what was collected and gives back what was borrowed for it: not to be held while others
/// are waited for, who may wait for that.
void Transfer::settle() {
  if (!local_) return;
  if (!error_) moved_here(mover_.flush());
  for (ServerIndex server = 0; server < borrowed_.size(); ++server) {
    if (borrowed_[server] > 0) client_.local().give_back(server, borrowed_[server]);
  }
  borrowed_.clear();
}

}  // namespace benchfs
