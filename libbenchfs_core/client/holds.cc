// Closes are collected for each home, up to what one message takes.
#include "client/holds.hpp"

#include <utility>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace benchfs {

void Holds::closed(ServerIndex home, InodeId inode) {
  std::vector<InodeId>& inodes = closed_[home];
  inodes.push_back(inode);
  if (waiting_++ == 0) since_ns_ = coarse_now_ns();
  if (inodes.size() == wire::Release::kInodesMax) tell(home);
}

void Holds::tell(ServerIndex home) {
  std::vector<InodeId>& inodes = closed_[home];
  if (inodes.empty() || background_.closed()) return;
  waiting_ -= inodes.size();
  send(home, std::exchange(inodes, {})).detach();
}

void Holds::tell_all() {
  for (std::size_t i = 0; waiting_ > 0 && i < closed_.size(); ++i) {
    tell(static_cast<ServerIndex>(i));
  }
}

Task<void> Holds::closed_now(ServerIndex home, InodeId inode) {
  tell(home);
  if (background_.closed()) co_return;
  const std::vector<InodeId> inodes{inode};
  auto sending = send(home, inodes);
  co_await sending;
}

Task<void> Holds::send(ServerIndex home, std::vector<InodeId> inodes) {
  const Gate::Pass pass = background_.enter();
  const wire::Release::Request request{static_cast<std::uint32_t>(inodes.size()), 0};
  const std::span<const std::byte> payload = std::as_bytes(std::span{inodes});
  const auto answer = co_await caller_.call<wire::Release>(home, request, payload);
  if (!answer) {
    log_debug("server {} was not told of {} closed files: {}", home, inodes.size(),
              to_text(answer.error().code));
  }
}

void Holds::forget(ServerIndex server) {
  waiting_ -= closed_[server].size();
  closed_[server].clear();
}

Task<void> Holds::close() {
  background_.close();
  auto drained = background_.drained();
  co_await drained;
}

}  // namespace benchfs
