// Storage set aside and given back, and where a file's data and holes are. Each owner of chunks in
// the range is asked for its part, all at once.
#include <algorithm>
#include <vector>

#include "client/client.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {
namespace {

/// What one message has a server set aside takes less than a second.
constexpr std::uint64_t kAtOnceBytes = 1ull << 30;

}  // namespace

std::vector<ServerIndex> Client::owners_of(const OpenFile* file, std::uint64_t offset,
                                           std::uint64_t bytes) const {
  std::vector<bool> known(caller_->servers());
  std::vector<ServerIndex> owners;
  const std::uint64_t first = offset >> file->chunk_shift();
  const std::uint64_t last = (offset + bytes - 1) >> file->chunk_shift();
  // kSlots chunks have passed through all slots.
  for (std::uint64_t chunk = first; chunk <= last && chunk - first < kSlots; ++chunk) {
    const ServerIndex owner = map().owner(file->inode, chunk);
    if (known[owner]) continue;
    known[owner] = true;
    owners.push_back(owner);
    if (owners.size() == map().server_count()) break;
  }
  return owners;
}

Task<Status> Client::allocate_at(ServerIndex server, wire::Allocate::Request request) {
  const auto answer = co_await caller_->call<wire::Allocate>(server, request);
  if (!answer) co_return std::unexpected(answer.error());
  co_return Status{};
}

Task<Status> Client::allocate_everywhere(OpenFile* file, wire::Allocate::Request request) {
  std::vector<Task<Status>> tasks;
  for (const ServerIndex server : owners_of(file, request.offset, request.bytes)) {
    if (request.operation != wire::Allocate::kCheck) file->dirty_servers[server] = true;
    tasks.push_back(allocate_at(server, request));
  }
  Status result;
  for (Task<Status>& task : tasks) {
    const Status done = co_await task;
    if (result) result = done;
  }
  co_return result;
}

Task<Outcome> Client::allocate(OpenFile* file, std::uint64_t offset, std::uint64_t bytes,
                               std::uint32_t operation, bool keep_size) {
  using Message = wire::Allocate;
  BFS_CO_TRY(flushed, co_await flush_sizes_of(file->inode));
  static_cast<void>(flushed);
  const std::uint64_t end = offset + bytes;
  Message::Request request{file->inode, offset, bytes, file->chunk_shift(), operation};
  if (operation == Message::kPunch) {
    BFS_CO_CHECK(punched, co_await allocate_everywhere(file, request));
  } else {
    if (end > file->chunk_bytes && !file->spread) {
      const wire::MarkSpread::Request spread{file->inode};
      BFS_CO_TRY(marked, co_await caller_->call<wire::MarkSpread>(map().home(file->inode), spread));
      static_cast<void>(marked);
      file->spread = true;
    }
    request.operation = Message::kCheck;
    BFS_CO_CHECK(enough, co_await allocate_everywhere(file, request));
    request.operation = operation;
    const std::uint64_t chunks = std::clamp<std::uint64_t>(
        kAtOnceBytes * map().server_count() >> file->chunk_shift(), 1, wire::kAllocateChunksMax);
    for (std::uint64_t at = offset; at < end; at = request.offset + request.bytes) {
      const std::uint64_t stop = ((at >> file->chunk_shift()) + chunks) << file->chunk_shift();
      request.offset = at;
      request.bytes = std::min(stop, end) - at;
      BFS_CO_CHECK(allocated, co_await allocate_everywhere(file, request));
    }
  }
  // A merge marks the times, be the file longer or not; what was only set aside changes nothing.
  const bool longer = !keep_size && operation != Message::kPunch;
  if (operation == Message::kAllocate && !longer) co_return 0;
  const std::uint32_t how =
      operation == Message::kAllocate ? wire::SetSize::kExtend : wire::SetSize::kMerge;
  const Outcome told = co_await set_size(file->inode, longer ? end : 0, how);
  co_return told;
}

Task<Result<wire::Seek::Reply>> Client::find_at(ServerIndex server, wire::Seek::Request request) {
  BFS_CO_TRY(answer, co_await caller_->call<wire::Seek>(server, request));
  const bool inside = answer.body.offset >= request.offset && answer.body.offset <= request.limit;
  if (!inside) co_return fail(Errc::bad_message, 0, server);
  co_return answer.body;
}

Task<Outcome> Client::find(OpenFile* file, std::uint64_t offset, std::uint32_t what) {
  BFS_CO_TRY(now, co_await attributes(file->inode));
  const std::uint64_t size = now.size;
  std::uint64_t at = offset;
  while (at < size) {
    const wire::Seek::Request request{file->inode, at, size, file->chunk_shift(), what};
    std::vector<Task<Result<wire::Seek::Reply>>> tasks;
    for (const ServerIndex server : owners_of(file, at, size - at)) {
      tasks.push_back(find_at(server, request));
    }
    // The first of all answers, be it that a search has ended there.
    wire::Seek::Reply first{size, 0, 0};
    std::optional<Error> error;
    for (auto& task : tasks) {
      const auto found = co_await task;
      if (!found) {
        if (!error) error = found.error();
      } else if (found->offset < first.offset || (found->offset == first.offset && found->found)) {
        first = *found;
      }
    }
    if (error) co_return std::unexpected(*error);
    if (first.found != 0) co_return static_cast<std::int64_t>(first.offset);
    at = first.offset;
  }
  // The end of a file is a hole to those who come from before it.
  if (what == wire::Seek::kHole && offset < size) co_return static_cast<std::int64_t>(size);
  co_return kNoData;
}

}  // namespace benchfs
