// Coordination between clients, all of it on the file's home server: byte-range locks and shared
// file pointers.
#include "client/client.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {
namespace {

/// The whole file as flock() means it stands apart from its bytes: beyond all that a range can
/// have.
constexpr std::uint64_t kFlockByte = kFileBytesMax + 1;

}  // namespace

Task<Outcome> Client::lock(OpenFile* file, std::uint64_t first, std::uint64_t last,
                           std::uint32_t mode, std::uint64_t token) {
  const wire::Lock::Request request{file->inode, token, first, last, mode, 0};
  const auto answer = co_await caller_->call<wire::Lock>(map().home(file->inode), request);
  if (answer) co_return 0;
  if (answer.error().code == Errc::timed_out) {
    // It may have been granted after all, too late for us: nobody must wait for it.
    const Outcome given_back = co_await unlock(file, token);
    static_cast<void>(given_back);
  }
  co_return std::unexpected(answer.error());
}

Task<Outcome> Client::try_lock(OpenFile* file, std::uint64_t first, std::uint64_t last,
                               std::uint32_t mode, std::uint64_t token, std::uint32_t flags,
                               wire::TryLock::Reply* answer_out) {
  const wire::TryLock::Request request{file->inode, token, first, last, mode, flags};
  const auto answer = co_await caller_->call<wire::TryLock>(map().home(file->inode), request);
  if (answer) {
    *answer_out = answer->body;
    co_return answer->body.granted != 0 ? 1 : 0;
  }
  if (answer.error().code == Errc::timed_out && (flags & wire::TryLock::kTest) == 0) {
    const Outcome given_back = co_await unlock(file, token);  // see lock()
    static_cast<void>(given_back);
  }
  co_return std::unexpected(answer.error());
}

Task<Outcome> Client::flock(OpenFile* file, std::uint32_t mode, bool wait) {
  co_await file->flock_turn.acquire();
  const Outcome outcome = co_await change_flock(file, mode, wait);
  file->flock_turn.release();
  co_return outcome;
}

/// As flock(2) has it, a lock is given back before another mode is asked for.
Task<Outcome> Client::change_flock(OpenFile* file, std::uint32_t mode, bool wait) {
  if (mode == file->flock_mode) co_return 1;
  if (file->flock_mode != 0) {
    BFS_CO_TRY(given_back, co_await unlock(file, file->flock_token));
    static_cast<void>(given_back);
    file->flock_mode = 0;
  }
  if (mode == 0) co_return 1;
  const std::uint64_t token = next_lock_token();
  if (wait) {
    BFS_CO_TRY(locked, co_await lock(file, kFlockByte, kFlockByte, mode, token));
    static_cast<void>(locked);
  } else {
    wire::TryLock::Reply answer{};
    BFS_CO_TRY(granted, co_await try_lock(file, kFlockByte, kFlockByte, mode, token, 0, &answer));
    if (granted == 0) co_return 0;
  }
  file->flock_mode = mode;
  file->flock_token = token;
  co_return 1;
}

Task<Outcome> Client::unlock(OpenFile* file, std::uint64_t token) {
  const wire::Unlock::Request request{file->inode, token};
  const auto answer = co_await caller_->call<wire::Unlock>(map().home(file->inode), request);
  if (!answer) co_return std::unexpected(answer.error());
  co_return 0;
}

Task<Outcome> Client::shared_pointer(OpenFile* file, std::uint64_t key, std::int64_t value,
                                     std::uint32_t operation) {
  const wire::SharedPointer::Request request{file->inode, key, value, operation, 0};
  BFS_CO_TRY(answer, co_await caller_->call<wire::SharedPointer>(map().home(file->inode), request));
  co_return answer.body.before;
}

}  // namespace benchfs
