// The namespace operations over the metadata store.
#include "metadata/namespace.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "metadata/new_inode.hpp"

namespace benchfs {

Namespace::Namespace(MetaStore& store, DropQueue& drops, Removals& removals, Links& links,
                     Moves& moves, const SlotMap& map, Options options)
    : store_(store),
      drops_(drops),
      removals_(removals),
      links_(links),
      moves_(moves),
      map_(map),
      options_(std::move(options)) {
  BFS_ASSERT(valid_chunk_bytes(options_.default_chunk_bytes));
}

Task<Status> Namespace::start(Owner owner) {
  if (owns(kRootInode)) {
    const auto root = store_.inode(kRootInode);
    if (!root) {
      if (root.error().code != Errc::not_found) co_return std::unexpected(root.error());
      store_.create_inode(
          new_inode(kRootInode, S_IFDIR | 0755, options_.default_chunk_bytes, owner));
      auto writing = store_.committed();
      BFS_CO_CHECK(written, co_await writing);
    }
  }
  auto removing = removals_.start();
  BFS_CO_CHECK(marked, co_await removing);
  auto moving = moves_.start();
  BFS_CO_CHECK(moved, co_await moving);
  const auto left = store_.drops();
  if (!left) co_return std::unexpected(left.error());
  if (!left->empty()) log_info("{} drops of the last run are to be finished", left->size());
  auto collecting = collect_nameless(*left);
  BFS_CO_CHECK(collected, co_await collecting);
  for (const DropIntent& intent : *left) {
    if (intent.remove) {
      drops_.carry_out_later(intent);
      continue;
    }
    // More than one of a file can be left, if the record of the end of an earlier one was not
    // written.
    auto& truncation = truncations_[intent.inode];
    if (truncation == nullptr) truncation = std::make_shared<Truncation>();
    truncation->stuck = true;
    ++truncation->unfinished;
    drops_.carry_out_later(intent, [this, inode = intent.inode] { end_truncation(inode); });
  }
  co_return Status{};
}

/// Files that were open when they lost their last name: nobody has them open now.
Task<Status> Namespace::collect_nameless(std::span<const DropIntent> drops) {
  std::size_t files = 0;
  for (const DropIntent& intent : drops) {
    if (!intent.remove) continue;
    const auto inode = store_.inode(intent.inode);
    if (!inode && inode.error().code != Errc::not_found) co_return std::unexpected(inode.error());
    if (!inode || inode->attributes.nlink > 0) continue;
    store_.remove_inode(*inode);
    ++files;
  }
  if (files == 0) co_return Status{};
  log_info("{} files that were open without a name are removed", files);
  auto writing = store_.committed();
  co_return co_await writing;
}

Status Namespace::check_entry(InodeId parent, std::string_view name) const {
  BFS_CHECK(valid, check_name(name));
  if (map_.owner(entry_slot(parent, name)) != options_.self) return fail(Errc::stale_epoch);
  return {};
}

/// Whether a new entry may come below it.
Status Namespace::check_parent(InodeId parent) const {
  BFS_CHECK(there, removals_.check_parent(parent));
  return options_.room ? options_.room() : Status{};
}

/// Of an entry whose inode is not there. A renamed file may have been removed by its new name
/// before the old one is gone: then to ask again.
Error Namespace::missing(InodeId parent, std::string_view name, Entry entry, Error error) const {
  const Status free = moves_.check_free(parent, name);
  if (error.code == Errc::not_found && !free) return free.error();
  return inconsistent(entry.inode, error);
}

// ---- entries ----

Task<Result<wire::Lookup::Reply>> Namespace::lookup(InodeId parent, std::string_view name) {
  BFS_CO_CHECK(valid, check_entry(parent, name));
  for (;;) {
    BFS_CO_CHECK(visible, moves_.check_visible(parent, name));
    Result<wire::Lookup::Reply> reply = fail(Errc::not_found);
    const auto entry = store_.entry(parent, name);
    if (!entry) {
      reply = std::unexpected(entry.error());
    } else {
      reply = wire::Lookup::Reply{entry->inode, entry->type, 0, {}};
      if (owns(entry->inode)) {
        const auto inode = store_.inode(entry->inode);
        if (!inode) co_return std::unexpected(missing(parent, name, *entry, inode.error()));
        reply->attributes = inode->attributes;
        reply->attributes_here = 1;
      }
    }
    if (!store_.pending()) co_return reply;
    // What was seen may be in the batch: it holds once that is written, else look again.
    auto writing = store_.committed();
    const Status written = co_await writing;
    if (written) co_return reply;
  }
}

Task<Result<wire::Open::Reply>> Namespace::open(wire::Open::Request request, std::string_view name,
                                                Owner owner) {
  constexpr std::uint32_t kKnown =
      wire::Open::kCreate | wire::Open::kExclusive | wire::Open::kTruncate;
  if ((request.flags & ~kKnown) != 0) co_return fail(Errc::bad_message);
  BFS_CO_CHECK(valid, check_entry(request.parent, name));
  const bool create = (request.flags & wire::Open::kCreate) != 0;
  const std::uint64_t chunk_bytes =
      request.chunk_bytes == 0 ? options_.default_chunk_bytes : request.chunk_bytes;
  if (!valid_chunk_bytes(chunk_bytes)) co_return fail(Errc::invalid);
  while (create && !store_.number_left()) {
    auto reserving = store_.more_numbers();
    BFS_CO_CHECK(reserved, co_await reserving);
  }
  // From here to committed() nothing suspends.
  BFS_CO_CHECK(visible, moves_.check_visible(request.parent, name));
  const auto entry = store_.entry(request.parent, name);
  if (entry) {
    const bool exclusive = create && (request.flags & wire::Open::kExclusive) != 0;
    if (exclusive) {
      auto writing = store_.committed();  // of whoever has just made it
      BFS_CO_CHECK(written, co_await writing);
      co_return fail(Errc::exists);
    }
    auto opening = open_existing(request.parent, name, *entry, request.flags, owner.session);
    co_return co_await opening;
  }
  if (entry.error().code != Errc::not_found) co_return std::unexpected(entry.error());
  if (!create) {
    auto writing = store_.committed();  // of whoever has just removed it
    BFS_CO_CHECK(written, co_await writing);
    co_return fail(Errc::not_found);
  }
  BFS_CO_CHECK(parent, check_parent(request.parent));
  const InodeId number = store_.next_inode(entry_slot(request.parent, name));
  const Inode inode =
      new_inode(number, S_IFREG | (request.mode & kPermissionBits), chunk_bytes, owner);
  store_.create_inode(inode);
  store_.put_entry(request.parent, name, Entry{number, S_IFREG});
  if (owner.session != 0) links_.hold(owner.session, number);
  auto writing = store_.committed();
  const Status written = co_await writing;
  if (written) co_return wire::Open::Reply{inode.attributes, 1, 1};
  auto letting_go = let_go(owner.session, number);
  co_await letting_go;
  co_return std::unexpected(written.error());
}

/// An open that has failed after all.
Task<void> Namespace::let_go(std::uint64_t session, InodeId inode) {
  if (session == 0) co_return;
  auto releasing = links_.release(session, {&inode, 1});
  const Status released = co_await releasing;
  static_cast<void>(released);  // the outcome is that of the open
}

Task<Result<wire::Open::Reply>> Namespace::open_existing(InodeId parent, std::string_view name,
                                                         Entry entry, std::uint32_t flags,
                                                         std::uint64_t session) {
  if (S_ISDIR(entry.type)) co_return fail(Errc::is_directory);
  if (S_ISLNK(entry.type)) co_return fail(Errc::loop);
  wire::Open::Reply reply{};
  reply.attributes.inode = entry.inode;
  if (!owns(entry.inode)) co_return reply;  // the client asks its home, for a truncate too
  reply.attributes_here = 1;
  const auto inode = store_.inode(entry.inode);
  if (!inode) co_return std::unexpected(missing(parent, name, entry, inode.error()));
  if (session != 0) links_.hold(session, entry.inode);
  reply.attributes = inode->attributes;
  Status opened;
  if ((flags & wire::Open::kTruncate) != 0) {
    auto truncating = truncate(entry.inode, 0);
    const auto attributes = co_await truncating;
    if (attributes) {
      reply.attributes = *attributes;
    } else {
      opened = std::unexpected(attributes.error());
    }
  } else {
    auto writing = store_.committed();
    opened = co_await writing;
  }
  if (opened) co_return reply;
  auto letting_go = let_go(session, entry.inode);
  co_await letting_go;
  co_return std::unexpected(opened.error());
}

Task<Result<wire::Hold::Reply>> Namespace::hold(InodeId number, bool again, std::uint64_t session) {
  if (!owns(number)) co_return fail(Errc::stale_epoch);
  const auto inode = regular_file(number);
  const bool there = inode && (inode->attributes.nlink > 0 || again);
  if (there) links_.hold(session, number);
  auto writing = store_.committed();  // also of whoever has just removed it
  const Status written = co_await writing;
  if (there && written) co_return wire::Hold::Reply{inode->attributes};
  if (there) {
    auto letting_go = let_go(session, number);
    co_await letting_go;
  }
  if (!written) co_return std::unexpected(written.error());
  if (!inode) co_return std::unexpected(inode.error());
  co_return fail(Errc::not_found);
}

Task<Result<wire::Mkdir::Reply>> Namespace::make_directory(wire::Mkdir::Request request,
                                                           std::string_view name, Owner owner) {
  BFS_CO_CHECK(valid, check_entry(request.parent, name));
  while (!store_.number_left()) {
    auto reserving = store_.more_numbers();
    BFS_CO_CHECK(reserved, co_await reserving);
  }
  const auto entry = store_.entry(request.parent, name);
  if (entry) {
    auto writing = store_.committed();
    BFS_CO_CHECK(written, co_await writing);
    co_return fail(Errc::exists);
  }
  if (entry.error().code != Errc::not_found) co_return std::unexpected(entry.error());
  BFS_CO_CHECK(parent, check_parent(request.parent));
  const InodeId number = store_.next_inode(entry_slot(request.parent, name));
  const Inode inode = new_inode(number, S_IFDIR | (request.mode & kPermissionBits),
                                options_.default_chunk_bytes, owner);
  store_.create_inode(inode);
  store_.put_entry(request.parent, name, Entry{number, S_IFDIR});
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  co_return wire::Mkdir::Reply{inode.attributes};
}

Task<Status> Namespace::unlink(InodeId parent, std::string_view name) {
  BFS_CO_CHECK(valid, check_entry(parent, name));
  BFS_CO_CHECK(free, moves_.check_free(parent, name));
  const auto entry = store_.entry(parent, name);
  if (!entry) {
    auto writing = store_.committed();
    BFS_CO_CHECK(written, co_await writing);
    co_return std::unexpected(entry.error());
  }
  if (S_ISDIR(entry->type)) co_return fail(Errc::is_directory);
  BFS_CO_TRY(taken, links_.take(*entry));
  store_.remove_entry(parent, name);
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  auto carrying = links_.carry_out(taken);
  co_await carrying;
  co_return Status{};
}

// ---- inodes ----

Task<Result<wire::GetAttributes::Reply>> Namespace::attributes(InodeId inode) {
  if (!owns(inode)) co_return fail(Errc::stale_epoch);
  for (;;) {
    const auto found = store_.inode(inode);
    if (store_.pending()) {
      auto writing = store_.committed();
      const Status written = co_await writing;
      if (!written) continue;
    }
    if (!found) co_return std::unexpected(found.error());
    co_return wire::GetAttributes::Reply{found->attributes};
  }
}

Task<Status> Namespace::truncation_over(InodeId inode) {
  const auto found = truncations_.find(inode);
  if (found == truncations_.end()) co_return Status{};
  const std::shared_ptr<Truncation> truncation = found->second;
  if (truncation->stuck) co_return std::unexpected(truncation->error);
  auto change = truncation->changed.wait();
  co_await change;
  co_return Status{};
}

void Namespace::end_truncation(InodeId inode) {
  const auto found = truncations_.find(inode);
  BFS_ASSERT(found != truncations_.end());
  if (--found->second->unfinished > 0) return;
  found->second->changed.wake_all();
  truncations_.erase(found);
}

Result<Inode> Namespace::regular_file(InodeId number) const {
  BFS_TRY(inode, store_.inode(number));
  if (S_ISDIR(inode.attributes.mode)) return fail(Errc::is_directory);
  if (!S_ISREG(inode.attributes.mode)) return fail(Errc::invalid);
  return inode;
}

Task<Result<wire::SetSize::Reply>> Namespace::set_size(wire::SetSize::Request request) {
  using Message = wire::SetSize;
  if (request.operation < Message::kMerge || request.operation > Message::kTruncate) {
    co_return fail(Errc::bad_message);
  }
  if (!owns(request.inode)) co_return fail(Errc::stale_epoch);
  if (request.size > kFileBytesMax) co_return fail(Errc::too_big);
  if (request.operation == Message::kTruncate) {
    auto truncating = truncate(request.inode, request.size);
    BFS_CO_TRY(attributes, co_await truncating);
    co_return wire::SetSize::Reply{attributes};
  }
  while (truncations_.contains(request.inode)) {
    auto waiting = truncation_over(request.inode);
    BFS_CO_CHECK(over, co_await waiting);
  }
  BFS_CO_TRY(inode, regular_file(request.inode));
  wire::Attributes& attributes = inode.attributes;
  // A merge tells of a write, which marks the times whatever the size (POSIX write()); an extend
  // that does not lengthen the file changes nothing.
  const bool grows = request.size > attributes.size;
  if (grows || request.operation == Message::kMerge) {
    attributes.size = std::max(attributes.size, request.size);
    attributes.mtime_ns = attributes.ctime_ns = wall_ns();
    store_.update_inode(inode);
  }
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  co_return wire::SetSize::Reply{attributes};
}

Task<Result<wire::Attributes>> Namespace::truncate(InodeId number, std::uint64_t size) {
  while (truncations_.contains(number)) {  // again after waiting: another one may have begun
    auto waiting = truncation_over(number);
    BFS_CO_CHECK(over, co_await waiting);
  }
  BFS_CO_TRY(inode, regular_file(number));
  inode.attributes.size = size;
  inode.attributes.mtime_ns = inode.attributes.ctime_ns = wall_ns();
  store_.update_inode(inode);
  // Also when the file becomes longer: a writer may have data there of which the size is not merged
  // yet.
  const DropIntent intent =
      store_.add_drop({.inode = number, .size = size, .remove = false, .spread = inode.spread});
  const auto truncation = std::make_shared<Truncation>();
  truncation->unfinished = 1;
  truncations_[number] = truncation;
  auto writing = store_.committed();
  const Status written = co_await writing;
  if (!written) {
    end_truncation(number);
    co_return std::unexpected(written.error());
  }
  auto dropping = drops_.carry_out(intent);
  const Status dropped = co_await dropping;
  if (dropped) {
    // The intent must be gone before anybody writes beyond `size` again: after a crash it would be
    // carried out once more.
    auto finishing = store_.committed();
    const Status finished = co_await finishing;
    end_truncation(number);
    if (!finished) co_return std::unexpected(finished.error());
    co_return inode.attributes;
  }
  truncation->stuck = true;
  truncation->error = dropped.error();
  truncation->changed.wake_all();
  drops_.carry_out_later(intent, [this, number] { end_truncation(number); });
  co_return std::unexpected(dropped.error());
}

Task<Status> Namespace::mark_spread(InodeId number) {
  if (!owns(number)) co_return fail(Errc::stale_epoch);
  auto inode = store_.inode(number);
  if (!inode) co_return std::unexpected(inode.error());
  if (S_ISDIR(inode->attributes.mode)) co_return fail(Errc::is_directory);
  if (!inode->spread) {
    inode->spread = true;
    store_.update_inode(*inode);
    if (inode->attributes.nlink == 0) links_.spread(number);
  }
  auto writing = store_.committed();
  co_return co_await writing;
}

}  // namespace benchfs
