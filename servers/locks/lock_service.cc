// The coordination messages: waiting for a lock is a coroutine that the table wakes, or its
// deadline, or the end of its session.
#include "locks/lock_service.hpp"

#include <algorithm>
#include <optional>

#include "base/assert.hpp"
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
  dispatcher.add<wire::TryLock>(*this, &LockService::try_lock);
  dispatcher.on_session_end([this](std::uint64_t session) {
    table_.release_session(session);
    processes_.erase(session);
  });
}

Status LockService::check(const Incoming& incoming, InodeId inode, std::uint32_t mode) const {
  const bool mode_known = mode == wire::Lock::kShared || mode == wire::Lock::kExclusive;
  if (!mode_known) return fail(Errc::bad_message);
  if (map_.home(inode) != self_) return fail(Errc::stale_epoch);
  if (table_.size_of(incoming.session().id) >= kPerSessionMax) return fail(Errc::busy);
  return {};
}

void LockService::know(const Incoming& incoming) {
  const Session& session = incoming.session();
  processes_.try_emplace(session.id, Process{session.host_id, session.pid});
}

Task<void> LockService::lock(Incoming incoming) {
  const auto request = incoming.body<wire::Lock>();
  const std::uint64_t session = incoming.session().id;
  const Status allowed = check(incoming, request.inode, request.mode);
  if (!allowed) {
    co_await incoming.fail(allowed.error().code);
    co_return;
  }
  know(incoming);
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

Task<void> LockService::try_lock(Incoming incoming) {
  using Message = wire::TryLock;
  const auto request = incoming.body<Message>();
  Status allowed = check(incoming, request.inode, request.mode);
  if ((request.flags & ~Message::kTest) != 0) allowed = fail(Errc::bad_message);
  if (allowed && request.first > request.last) allowed = fail(Errc::invalid);
  if (!allowed) {
    co_await incoming.fail(allowed.error().code);
    co_return;
  }
  const auto mode = static_cast<LockMode>(request.mode);
  const auto obstacle = table_.obstacle(request.inode, mode, request.first, request.last);
  Message::Reply reply{};
  if (obstacle) {
    const Process process = processes_.at(obstacle->owner.session);
    reply = {0,
             static_cast<std::uint32_t>(obstacle->mode),
             obstacle->first,
             obstacle->last,
             process.host_id,
             process.pid};
  } else {
    reply.granted = 1;
    if ((request.flags & Message::kTest) == 0) {
      know(incoming);
      const LockOwner owner{incoming.session().id, request.token};
      const Status locked = table_.request(request.inode, owner, mode, request.first, request.last,
                                           [](bool granted) { BFS_ASSERT(granted); });
      if (!locked) {
        co_await incoming.fail(locked.error().code);
        co_return;
      }
    }
  }
  co_await incoming.reply<Message>(reply);
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
