// The gate of moved directories: a count, and one permit.
#include "metadata/move_gate.hpp"

#include "base/log.hpp"
#include "net/cluster_info.hpp"

namespace benchfs {

MoveGate::MoveGate(MetaStore& store) : store_(store), moves_((random_id() >> 1) + 1) {}

Status MoveGate::start() {
  BFS_TRY(permit, store_.permit());
  inside_ = recorded_ = permit;
  return {};
}

Result<std::uint64_t> MoveGate::read() const {
  if (inside_ != 0) return fail(Errc::busy);
  return moves_;
}

Task<Status> MoveGate::begin(std::uint64_t token, std::uint64_t moves) {
  if (token == 0) co_return fail(Errc::bad_message);
  if (inside_ != token) {
    if (ended_set_.contains(token)) co_return fail(Errc::canceled);
    if (inside_ != 0) co_return fail(Errc::busy);
    if (moves != moves_) co_return fail(Errc::stale);
    inside_ = token;
    store_.put_permit(token);
  }
  auto writing = store_.committed();
  const Status written = co_await writing;
  if (written) {
    recorded_ = token;
  } else if (inside_ == token) {
    inside_ = 0;
  }
  co_return written;
}

Task<Status> MoveGate::end(std::uint64_t token) {
  if (ended_set_.insert(token).second) {
    ended_.push_back(token);
    if (ended_.size() > kEndedMax) {
      ended_set_.erase(ended_.front());
      ended_.pop_front();
    }
  }
  if (inside_ == token) {
    inside_ = 0;
    ++moves_;
  }
  const bool recorded = recorded_ == token;
  if (recorded && inside_ == 0) store_.put_permit(0);
  auto writing = store_.committed();
  const Status written = co_await writing;
  if (written && recorded && recorded_ == token) recorded_ = 0;
  co_return written;
}

}  // namespace benchfs
