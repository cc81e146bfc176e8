// The coordination messages: waiting for a lock is a coroutine that the table wakes, or its
// deadline, or the end of its session.
#include "locks/lock_service.hpp"

#include <algorithm>
#include <optional>

#include "base/clock.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kMs = 1'000'000;

}  // namespace

/// What a waiting request and the table share; the last of both frees it.
struct LockService::Wait {
  Event over;
  bool granted = false;
};

LockService::LockService(Loop& loop, const SlotMap& map, ServerIndex self)
    : loop_(loop), map_(map), self_(self) {}

void LockService::add_to(Dispatcher& dispatcher) {
  dispatcher.add<wire::Lock>(*this, &LockService::lock);
  dispatcher.add<wire::Unlock>(*this, &LockService::unlock);
  dispatcher.add<wire::SharedPointer>(*this, &LockService::shared_pointer);
  dispatcher.on_session_end([this](std::uint64_t session) { table_.release_session(session); });
}

Task<void> LockService::lock(Incoming incoming) {
  const auto request = incoming.body<wire::Lock>();
  const std::uint64_t session = incoming.session().id;
  const bool mode_known =
      request.mode == wire::Lock::kShared || request.mode == wire::Lock::kExclusive;
  if (!mode_known) {
    co_await incoming.fail(Errc::bad_message);
    co_return;
  }
  if (map_.home(request.inode) != self_) {
    co_await incoming.fail(Errc::stale_epoch);
    co_return;
  }
  if (table_.size_of(session) >= kPerSessionMax) {
    co_await incoming.fail(Errc::busy);
    co_return;
  }
  const LockOwner owner{session, request.token};
  auto wait = std::make_shared<Wait>();
  const LockTable::Outcome outcome = [wait](bool granted) {
    wait->granted = granted;
    wait->over.set();
  };
  const Status asked = table_.request(request.inode, owner, static_cast<LockMode>(request.mode),
                                      request.first, request.last, outcome);
  if (!asked) {
    co_await incoming.fail(asked.error().code);
    co_return;
  }
  if (!wait->over.is_set()) {
    // Answer before the caller gives up: a tenth of its time, at least a few milliseconds, for the
    // way.
    const std::int64_t given_ms = incoming.header().deadline_ms;
    const std::int64_t limit_ns = (given_ms - std::max<std::int64_t>(given_ms / 10, 5)) * kMs;
    const InodeId inode = request.inode;
    const Loop::Timeout timeout(loop_, limit_ns,
                                [this, inode, owner] { table_.release(inode, owner); });
    co_await wait->over.wait();
  }
  if (wait->granted) {
    co_await incoming.reply<wire::Lock>(wire::Empty{});
  } else {
    co_await incoming.fail(Errc::timed_out);
  }
}

Task<void> LockService::unlock(Incoming incoming) {
  const auto request = incoming.body<wire::Unlock>();
  table_.release(request.inode, {incoming.session().id, request.token});
  co_await incoming.reply<wire::Unlock>(wire::Empty{});
}

Task<void> LockService::shared_pointer(Incoming incoming) {
  const auto request = incoming.body<wire::SharedPointer>();
  if (map_.home(request.inode) != self_) {
    co_await incoming.fail(Errc::stale_epoch);
    co_return;
  }
  Result<std::int64_t> before = fail(Errc::bad_message);
  switch (request.operation) {
    case wire::SharedPointer::kAdd:
      before = pointers_.add(request.inode, request.key, request.value);
      break;
    case wire::SharedPointer::kSet:
      before = pointers_.set(request.inode, request.key, request.value);
      break;
    case wire::SharedPointer::kForget:
      before = pointers_.forget(request.inode, request.key);
      break;
    default:
      break;
  }
  if (!before) {
    co_await incoming.fail(before.error().code);
    co_return;
  }
  const wire::SharedPointer::Reply reply{*before};
  co_await incoming.reply<wire::SharedPointer>(reply);
}

}  // namespace benchfs
