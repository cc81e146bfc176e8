// Coordination between clients, all of it on the file's home server: byte-range locks and shared
// file pointers.
#include "client/client.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

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
