// Attributes of what is open, access(), and directories that are opened as files.
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "client/client.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

Task<Outcome> Client::change(InodeId inode, wire::SetAttributes::Request request) {
  // What was written before must not change the times after them.
  BFS_CO_TRY(flushed, co_await flush_sizes_of(inode));
  static_cast<void>(flushed);
  request.inode = inode;
  const auto answer = co_await caller_->call<wire::SetAttributes>(map().home(inode), request);
  forget(inode);
  if (!answer) co_return std::unexpected(answer.error());
  const auto [first, last] = files_.equal_range(inode);
  for (auto at = first; at != last; ++at) at->second->attributes_dirty = true;
  co_return 0;
}

Task<Outcome> Client::check_access(std::string_view path, bool follow, int mode) {
  BFS_CO_TRY(found, co_await stat(path, follow));
  // As for root: all may be read, written and searched, but nothing is a program that nobody may
  // run.
  const bool executable = !S_ISREG(found.mode) || (found.mode & 0111) != 0;
  if ((mode & X_OK) != 0 && !executable) co_return fail(Errc::access);
  co_return 0;
}

Task<Result<OpenFile*>> Client::open_as_file(std::string_view path, OpenMode how) {
  BFS_CO_TRY(found, co_await stat(path, how.follow));
  if (!S_ISDIR(found.mode)) co_return fail(Errc::not_directory);
  if (how.writable) co_return fail(Errc::is_directory);
  if (!valid_chunk_bytes(found.chunk_bytes)) co_return fail(Errc::bad_message);
  OpenFile* file = adopt(std::string(path), found.inode, found.chunk_bytes, how.readable, false);
  file->directory = true;
  co_return file;
}

/// The entries are on all servers, and not known to have changed or not.
Task<Outcome> Client::sync_directory(OpenFile* directory) {
  std::vector<Task<Status>> tasks;
  for (std::size_t i = 0; i < caller_->servers(); ++i) {
    const auto server = static_cast<ServerIndex>(i);
    if (!map().contains(server)) continue;
    tasks.push_back(sync_server(server, directory->inode, wire::Sync::kMetadata));
  }
  Status result;
  for (Task<Status>& task : tasks) {
    const Status synced = co_await task;
    if (result) result = synced;
  }
  if (!result) co_return std::unexpected(result.error());
  co_return 0;
}

}  // namespace benchfs
