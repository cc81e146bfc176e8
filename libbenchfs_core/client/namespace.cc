// Namespace operations: open, close, unlink, mkdir, rmdir,
// links, stat, sizes, sync.
//
// An entry (parent inode, name) lives on the owner of its slot, an inode at its home. Create and
// stat of a file whose entry was not renamed are therefore one call beyond the lookup of its
// directories.
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/path.hpp"
#include "client/call_entry.hpp"
#include "client/client.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {
namespace {

/// The file is gone, for good. What came to servers after they had dropped its data goes, too: no
/// one else will tell them.
Task<void> drop_remains(Client* client, const OpenFile* file) {
  const ServerIndex home = client->map().home(file->inode);
  std::vector<Task<Status>> dropping;
  for (std::size_t i = 0; i < file->dirty_servers.size(); ++i) {
    const auto server = static_cast<ServerIndex>(i);
    if (file->dirty_servers[i] || file->written_elsewhere || server == home) {
      dropping.push_back(client->drop_data(server, file->inode));
    }
  }
  for (Task<Status>& each : dropping) {
    const Status dropped = co_await each;
    static_cast<void>(dropped);  // what is left then is found by a check (fsck.hpp)
  }
}

}  // namespace

ServerIndex Client::server_of(const Walk& walk) const {
  return map().owner(entry_slot(walk.parent(), walk.name));
}

Task<Result<OpenFile*>> Client::open(std::string_view path, std::uint32_t wire_flags, OpenMode how,
                                     std::uint32_t mode, std::uint64_t chunk_bytes) {
  if (how.directory) return open_as_file(path, how);
  return retried(&Client::open_once, path, wire_flags, how, mode, chunk_bytes);
}

Task<Result<OpenFile*>> Client::open_once(PathUse* use, std::string_view path,
                                          std::uint32_t wire_flags, OpenMode how,
                                          std::uint32_t mode, std::uint64_t chunk_bytes) {
  InodeId gone = 0;
  Walk walk(path, use);
  for (;;) {
    BFS_CO_CHECK(walked, co_await walk_to_last(&walk));
    if (walk.name.empty()) co_return fail(Errc::is_directory);
    const ServerIndex server = server_of(walk);
    const wire::Open::Request request{walk.parent(), chunk_bytes, mode, wire_flags};
    const auto opened = co_await call_entry<wire::Open>(server, request, walk.name);
    if (!opened && opened.error().code == Errc::loop) {  // a symbolic link
      BFS_CO_TRY(link, co_await look_up(walk.parent(), walk.name));
      if (!S_ISLNK(link.body.type)) continue;  // not any more
      if (!how.follow) co_return fail(Errc::loop);
      BFS_CO_CHECK(followed, co_await follow(&walk, link.body.inode));
      continue;
    }
    if (!opened) co_return std::unexpected(opened.error());
    wire::Attributes found = opened->body.attributes;
    if (opened->body.attributes_here == 0) {  // it was renamed: its home alone can do the rest
      if ((wire_flags & wire::Open::kTruncate) != 0) {
        const Outcome cut = co_await set_size(found.inode, 0, wire::SetSize::kTruncate);
        if (!cut && cut.error().code != Errc::not_found) co_return std::unexpected(cut.error());
      }
      const wire::Hold::Request hold{found.inode, 0, 0};
      const auto at_home = co_await caller_->call<wire::Hold>(map().home(found.inode), hold);
      // Replaced between the two answers: the name stands for another file now.
      if (!at_home && at_home.error().code == Errc::not_found && gone != found.inode) {
        gone = found.inode;
        walk.start(path);
        continue;
      }
      if (!at_home) co_return std::unexpected(at_home.error());
      found = at_home->body.attributes;
    }
    if ((wire_flags & wire::Open::kTruncate) != 0) forget(found.inode);
    if (!valid_chunk_bytes(found.chunk_bytes)) co_return fail(Errc::bad_message, 0, server);
    OpenFile* file =
        adopt(std::string(path), found.inode, found.chunk_bytes, how.readable, how.writable);
    file->held = true;
    file->size_seen = found.size;
    file->append = how.append;
    file->through = how.through;
    file->merge_next = true;
    file->metadata_dirty = opened->body.created != 0 || (wire_flags & wire::Open::kTruncate) != 0;
    co_return file;
  }
}

OpenFile* Client::adopt(std::string path, InodeId inode, std::uint64_t chunk_bytes, bool readable,
                        bool writable) {
  auto* file = new OpenFile;
  file->client = this;
  file->path = std::move(path);
  file->inode = inode;
  file->chunk_bytes = chunk_bytes;
  file->readable = readable;
  file->writable = writable;
  file->unlinks = unlinks_;
  file->opened_ns = coarse_now_ns();
  file->dirty_servers.resize(caller_->servers());
  files_.emplace(inode, file);
  ++open_files_;
  return file;
}

OpenFile* Client::import(std::string path, InodeId inode, std::uint64_t chunk_bytes, bool readable,
                         bool writable) {
  OpenFile* file = adopt(std::move(path), inode, chunk_bytes, readable, writable);
  file->imported = true;
  return file;
}

Task<Status> Client::drop_data(ServerIndex server, InodeId inode) {
  const wire::DropData::Request request{inode, 0, 1, 0};
  const auto answer = co_await caller_->call<wire::DropData>(server, request);
  if (!answer) co_return std::unexpected(answer.error());
  co_return Status{};
}

Task<Outcome> Client::close(OpenFile* file) {
  Outcome outcome = co_await flush_size(file);
  if (!outcome && outcome.error().code == Errc::not_found) {
    auto dropping = drop_remains(this, file);
    co_await dropping;
    // Whoever has it open for this process has closed it by now; else what was written is lost.
    outcome = file->imported ? Outcome(0) : Outcome(fail(Errc::gone, 0, outcome.error().server));
  }
  if (file->flock_mode != 0) {
    const Outcome given_back = co_await unlock(file, file->flock_token);
    if (outcome) outcome = given_back;
  }
  const auto [first, last] = files_.equal_range(file->inode);
  files_.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second == file; }));
  --open_files_;
  if (file->local != nullptr) local_->release(file->inode, *file->local);
  const ServerIndex home = map().home(file->inode);
  const bool goes = file->nameless || file->unlinks != unlinks_;
  if (file->held && goes) {
    auto telling = holds_->closed_now(home, file->inode);
    co_await telling;
  } else if (file->held) {
    holds_->closed(home, file->inode);
    const bool small = file->size_seen <= Holds::kSmallBytes;
    if (!small || coarse_now_ns() - file->opened_ns > Holds::kLateNs) holds_->tell(home);
  }
  delete file;
  co_return outcome;
}

// ---- what homes know of open files ----

/// Not the first one with this server: what is open was held in one that has ended.
void Client::session_opened(ServerIndex server) {
  if (!sessions_[server]) {
    sessions_[server] = true;
    return;
  }
  holds_->forget(server);
  if (!holds_->background().closed()) hold_again(server).detach();
}

Task<void> Client::hold_again(ServerIndex server) {
  const Gate::Pass pass = holds_->background().enter();
  std::vector<InodeId> held;
  for (const auto& [inode, file] : files_) {
    if (file->held && map().home(inode) == server) held.push_back(inode);
  }
  for (const InodeId inode : held) {
    const wire::Hold::Request request{inode, wire::Hold::kAgain, 0};
    const auto answer = co_await caller_->call<wire::Hold>(server, request);
    if (answer) continue;
    log_warn("inode {:x} is open here, which server {} cannot be told again: {}", inode, server,
             to_text(answer.error().code));
  }
}

void Client::learn_links(const wire::Attributes& attributes) {
  if (attributes.nlink > 0) return;
  const auto [first, last] = files_.equal_range(attributes.inode);
  for (auto at = first; at != last; ++at) at->second->nameless = true;
}

Task<Outcome> Client::unlink(std::string_view path) {
  return retried(&Client::unlink_once, path);
}

Task<Outcome> Client::unlink_once(PathUse* use, std::string_view path) {
  Walk walk(path, use);
  BFS_CO_CHECK(walked, co_await walk_to_last(&walk));
  if (walk.name.empty()) co_return fail(Errc::is_directory);
  const wire::Unlink::Request request{walk.parent()};
  holds_->tell_all();  // it may be one of these
  const auto answer = co_await call_entry<wire::Unlink>(server_of(walk), request, walk.name);
  forget(walk.parent(), walk.name);
  name_lost();
  if (!answer) co_return std::unexpected(answer.error());
  co_return 0;
}

Task<Outcome> Client::mkdir(std::string_view path, std::uint32_t mode) {
  return retried(&Client::mkdir_once, path, mode);
}

Task<Outcome> Client::mkdir_once(PathUse* use, std::string_view path, std::uint32_t mode) {
  Walk walk(path, use);
  BFS_CO_CHECK(walked, co_await walk_to_last(&walk));
  if (walk.name.empty()) co_return fail(Errc::exists);
  const wire::Mkdir::Request request{walk.parent(), mode, 0};
  const EntryCache::Ticket ticket = cache_->ticket();
  BFS_CO_TRY(answer, co_await call_entry<wire::Mkdir>(server_of(walk), request, walk.name));
  cache_->put(ticket, walk.parent(), walk.name, {answer.body.attributes.inode, S_IFDIR});
  co_return 0;
}

Task<Outcome> Client::rmdir(std::string_view path) {
  return retried(&Client::rmdir_once, path);
}

Task<Outcome> Client::rmdir_once(PathUse* use, std::string_view path) {
  Walk walk(path, use);
  BFS_CO_CHECK(walked, co_await walk_to_last(&walk));
  if (walk.name.empty()) {
    // The root is in use for as long as the file system; what ends in ".." holds what was before
    // it.
    co_return fail(walk.above.size() == 1 ? Errc::busy : Errc::not_empty);
  }
  const wire::Rmdir::Request request{walk.parent()};
  const auto answer = co_await call_entry<wire::Rmdir>(server_of(walk), request, walk.name);
  forget(walk.parent(), walk.name);
  if (!answer) co_return std::unexpected(answer.error());
  co_return 0;
}

Task<Outcome> Client::symlink(std::string_view target, std::string_view path) {
  return retried(&Client::symlink_once, target, path);
}

Task<Outcome> Client::symlink_once(PathUse* use, std::string_view target, std::string_view path) {
  if (target.empty()) co_return fail(Errc::not_found);
  if (target.size() > kTargetBytesMax) co_return fail(Errc::name_too_long);
  Walk walk(path, use);
  BFS_CO_CHECK(walked, co_await walk_to_last(&walk));
  if (walk.name.empty()) co_return fail(Errc::exists);
  const wire::Symlink::Request request{walk.parent(), static_cast<std::uint32_t>(walk.name.size()),
                                       0};
  const std::string names = std::string(walk.name).append(target);
  BFS_CO_TRY(answer, co_await call_entry<wire::Symlink>(server_of(walk), request, names));
  static_cast<void>(answer);
  co_return 0;
}

Task<Result<std::string>> Client::read_link(std::string_view path) {
  return retried(&Client::read_link_once, path);
}

Task<Result<std::string>> Client::read_link_once(PathUse* use, std::string_view path) {
  Walk walk(path, use);
  BFS_CO_CHECK(walked, co_await walk_to_last(&walk));
  if (walk.name.empty()) co_return fail(Errc::invalid);
  BFS_CO_TRY(found, co_await look_up(walk.parent(), walk.name));
  if (!S_ISLNK(found.body.type)) co_return fail(Errc::invalid);
  const Result<std::string> target = co_await target_of(found.body.inode);
  co_return target;
}

Task<Result<wire::Attributes>> Client::attributes(InodeId inode) {
  BFS_CO_TRY(flushed, co_await flush_sizes_of(inode));
  static_cast<void>(flushed);
  const EntryCache::Ticket ticket = cache_->ticket();
  const wire::GetAttributes::Request request{inode};
  BFS_CO_TRY(answer, co_await caller_->call<wire::GetAttributes>(map().home(inode), request));
  cache_->put(ticket, answer.body.attributes);
  learn_links(answer.body.attributes);
  co_return answer.body.attributes;
}

Task<Result<wire::Attributes>> Client::stat(std::string_view path, bool follow_last) {
  return retried(&Client::stat_once, path, follow_last);
}

/// Only with the setting cache_attributes_ttl, and never of a file that this session has open: what
/// others see of it changes with every write.
std::optional<wire::Attributes> Client::cached_attributes(const Walk& walk, bool follow_last) {
  if (!cache_->keeps_attributes() || walk.use->fresh) return std::nullopt;
  const auto entry = cache_->find(walk.parent(), walk.name);
  if (!entry || files_.contains(entry->inode)) return std::nullopt;
  if (follow_last && S_ISLNK(entry->type)) return std::nullopt;
  return cache_->find(entry->inode);
}

Task<Result<wire::Attributes>> Client::stat_once(PathUse* use, std::string_view path,
                                                 bool follow_last) {
  InodeId gone = 0;
  Walk walk(path, use);
  for (;;) {
    BFS_CO_CHECK(walked, co_await walk_to_last(&walk));
    if (walk.name.empty()) {
      const Result<wire::Attributes> directory = co_await attributes(walk.parent());
      co_return directory;
    }
    if (const auto cached = cached_attributes(walk, follow_last)) co_return *cached;
    const EntryCache::Ticket ticket = cache_->ticket();
    BFS_CO_TRY(found, co_await look_up(walk.parent(), walk.name));
    if (cache_->keeps_attributes()) {
      cache_->put(ticket, walk.parent(), walk.name, {found.body.inode, found.body.type});
    }
    if (follow_last && S_ISLNK(found.body.type)) {
      BFS_CO_CHECK(followed, co_await follow(&walk, found.body.inode));
      continue;
    }
    // A size that this session has not merged yet makes the answer's out of date.
    if (found.body.attributes_here != 0 && !files_.contains(found.body.inode)) {
      cache_->put(ticket, found.body.attributes);
      co_return found.body.attributes;
    }
    const Result<wire::Attributes> at_home = co_await attributes(found.body.inode);
    if (!at_home && at_home.error().code == Errc::not_found && gone != found.body.inode) {
      gone = found.body.inode;  // removed or replaced between the two answers
      walk.start(path);
      continue;
    }
    co_return at_home;
  }
}

Task<Outcome> Client::set_attributes(std::string_view path, bool follow_last,
                                     wire::SetAttributes::Request request) {
  BFS_CO_TRY(found, co_await stat(path, follow_last));
  const Outcome changed = co_await change(found.inode, request);
  co_return changed;
}

Task<Outcome> Client::flush_size(OpenFile* file) {
  if (!file->size_dirty) co_return 0;
  const std::uint64_t end = file->written_end;
  file->size_dirty = false;
  const wire::SetSize::Request request{file->inode, end, wire::SetSize::kMerge, 0};
  const auto answer = co_await caller_->call<wire::SetSize>(map().home(file->inode), request);
  forget(file->inode);
  if (!answer) {
    file->size_dirty = true;
    file->written_end = std::max(file->written_end, end);
    co_return std::unexpected(answer.error());
  }
  file->metadata_dirty = true;
  learn_links(answer->body.attributes);
  co_return 0;
}

bool Client::size_untold(InodeId inode) const {
  const auto [first, last] = files_.equal_range(inode);
  return std::any_of(first, last, [](const auto& entry) { return entry.second->size_dirty; });
}

Task<Outcome> Client::flush_sizes_of(InodeId inode) {
  std::vector<OpenFile*> dirty;
  const auto [first, last] = files_.equal_range(inode);
  for (auto at = first; at != last; ++at) {
    if (at->second->size_dirty) dirty.push_back(at->second);
  }
  for (OpenFile* file : dirty) {
    BFS_CO_TRY(flushed, co_await flush_size(file));
    static_cast<void>(flushed);
  }
  co_return 0;
}

Task<Outcome> Client::set_size(InodeId inode, std::uint64_t size, std::uint32_t operation) {
  if (size > kFileBytesMax) co_return fail(Errc::too_big);
  const auto [first, last] = files_.equal_range(inode);
  for (auto at = first; at != last; ++at) {
    OpenFile* file = at->second;
    file->metadata_dirty = true;
    if (operation != wire::SetSize::kTruncate) continue;
    file->size_dirty = false;  // what was written before is cut to the new size, or lies below it
    file->written_end = 0;
  }
  const wire::SetSize::Request request{inode, size, operation, 0};
  const auto answer = co_await caller_->call<wire::SetSize>(map().home(inode), request);
  forget(inode);
  if (!answer) co_return std::unexpected(answer.error());
  co_return 0;
}

Task<Outcome> Client::truncate(std::string_view path, std::uint64_t size) {
  BFS_CO_TRY(found, co_await stat(path));
  if (S_ISDIR(found.mode)) co_return fail(Errc::is_directory);
  const Outcome outcome = co_await set_size(found.inode, size, wire::SetSize::kTruncate);
  co_return outcome;
}

Task<Status> Client::sync_server(ServerIndex server, InodeId inode, std::uint32_t flags) {
  const wire::Sync::Request request{inode, flags, 0};
  const auto answer = co_await caller_->call<wire::Sync>(server, request);
  if (!answer) co_return std::unexpected(answer.error());
  co_return Status{};
}

Task<Outcome> Client::sync(OpenFile* file, bool attributes) {
  if (file->directory) {
    const Outcome synced = co_await sync_directory(file);
    co_return synced;
  }
  BFS_CO_TRY(flushed, co_await flush_size(file));
  static_cast<void>(flushed);
  // Every server at once; what fails stays dirty, so that a repeated sync tries again.
  const ServerIndex home = map().home(file->inode);
  bool metadata = std::exchange(file->metadata_dirty, false);
  if (attributes || metadata) metadata |= std::exchange(file->attributes_dirty, false);
  std::vector<ServerIndex> servers;
  std::vector<Task<Status>> tasks;
  for (std::size_t i = 0; i < file->dirty_servers.size(); ++i) {
    std::uint32_t flags = file->dirty_servers[i] ? wire::Sync::kData : 0;
    if (i == home && metadata) flags |= wire::Sync::kMetadata;
    if (flags == 0) continue;
    file->dirty_servers[i] = false;
    servers.push_back(static_cast<ServerIndex>(i));
    tasks.push_back(sync_server(static_cast<ServerIndex>(i), file->inode, flags));
  }
  Status result;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    Task<Status>& task = tasks[i];
    const Status synced = co_await task;
    if (synced) continue;
    file->dirty_servers[servers[i]] = true;
    file->metadata_dirty |= metadata;
    if (result) result = synced;
  }
  if (!result) co_return std::unexpected(result.error());
  co_return 0;
}

Task<Outcome> Client::sync_all() {
  std::vector<InodeId> written;
  for (const auto& [inode, file] : files_) {
    if (file->size_dirty) written.push_back(inode);
  }
  for (const InodeId inode : written) {
    BFS_CO_TRY(flushed, co_await flush_sizes_of(inode));
    static_cast<void>(flushed);
  }
  std::vector<Task<Status>> tasks;
  for (std::size_t i = 0; i < cluster_->servers.size(); ++i) {
    tasks.push_back(
        sync_server(static_cast<ServerIndex>(i), 0, wire::Sync::kData | wire::Sync::kMetadata));
  }
  Status result;
  for (Task<Status>& task : tasks) {
    const Status synced = co_await task;
    if (result) result = synced;
  }
  if (!result) co_return std::unexpected(result.error());
  co_return 0;
}

Task<Result<wire::ServerStatus::Reply>> Client::server_status(ServerIndex server) {
  const wire::Empty nothing{};
  BFS_CO_TRY(answer, co_await caller_->call<wire::ServerStatus>(server, nothing));
  co_return answer.body;
}

}  // namespace benchfs
