// Quotas of directories.
//
// The quota of a file or directory is part of its inode's number, and so it never changes. A
// directory gets one by being replaced: by an empty directory of the same attributes that was made
// with it, in one step, as a rename does it. docs/adr/0017-quotas.md.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "client/call_entry.hpp"
#include "client/client.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

Task<Result<wire::Quota::Reply>> Client::call_quota(wire::Quota::Request request) {
  BFS_CO_TRY(answer, co_await caller_->call<wire::Quota>(map().home(kRootInode), request));
  co_return answer.body;
}

/// The authority says that some server does not answer: which one.
Task<Error> Client::name_dead(Error error, QuotaId quota) {
  if (error.code != Errc::unreachable && error.code != Errc::timed_out) co_return error;
  for (ServerIndex i = 0; i < cluster_->servers.size(); ++i) {
    const wire::QuotaRecall::Request request{quota, wire::QuotaRecall::kReport, 0};
    const auto answer = co_await caller_->call<wire::QuotaRecall>(i, request);
    if (!answer) co_return answer.error();
  }
  co_return error;
}

Task<Result<wire::Quota::Reply>> Client::get_quota(std::string_view path) {
  BFS_CO_TRY(found, co_await stat(path));
  const QuotaId quota = quota_of(found.inode);
  if (quota == 0) co_return fail(Errc::no_data);
  auto asking = call_quota({quota, wire::Quota::kGet, 0, 0});
  const Result<wire::Quota::Reply> answer = co_await asking;
  if (!answer) {
    if (answer.error().code == Errc::not_found) co_return fail(Errc::no_data);
    auto naming = name_dead(answer.error(), quota);
    const Error error = co_await naming;
    co_return std::unexpected(error);
  }
  if (answer->bytes_limit == 0 && answer->files_limit == 0) co_return fail(Errc::no_data);
  co_return answer;
}

Task<Outcome> Client::set_quota(std::string_view path, std::uint64_t bytes, std::uint64_t files) {
  return retried(&Client::set_quota_once, path, bytes, files);
}

Task<Outcome> Client::set_quota_once(PathUse* use, std::string_view path, std::uint64_t bytes,
                                     std::uint64_t files) {
  Walk walk(path, use);
  InodeId directory = 0;
  while (directory == 0) {
    BFS_CO_CHECK(walked, co_await walk_to_last(&walk));
    if (walk.name.empty()) {
      directory = walk.parent();
      break;
    }
    BFS_CO_TRY(found, co_await look_up(walk.parent(), walk.name));
    if (S_ISLNK(found.body.type)) {
      BFS_CO_CHECK(followed, co_await follow(&walk, found.body.inode));
      continue;
    }
    if (!S_ISDIR(found.body.type)) co_return fail(Errc::not_directory);
    directory = found.body.inode;
  }
  // A path that ends in ".." names a directory on its way.
  if (walk.name.empty() && walk.above.size() > 1) walk.above.pop_back();
  const QuotaId above = quota_of(walk.parent());
  const QuotaId quota = quota_of(directory);
  if (quota != 0 && quota != above) {
    auto setting = call_quota({quota, wire::Quota::kSet, bytes, files});
    const Result<wire::Quota::Reply> set = co_await setting;
    if (set) co_return 0;
    auto naming = name_dead(set.error(), quota);
    const Error error = co_await naming;
    co_return std::unexpected(error);
  }
  if (bytes == wire::Quota::kKeep) bytes = 0;
  if (files == wire::Quota::kKeep) files = 0;
  if (bytes == 0 && files == 0) co_return fail(Errc::no_data);
  if (walk.name.empty()) co_return fail(directory == kRootInode ? Errc::busy : Errc::invalid);
  auto beginning = begin_quota(&walk, directory, bytes, files);
  const Outcome begun = co_await beginning;
  co_return begun;
}

Task<Outcome> Client::begin_quota(Walk* walk, InodeId old, std::uint64_t bytes,
                                  std::uint64_t files) {
  const InodeId parent = walk->parent();
  OpenDirectory listing;
  listing.client = this;
  listing.inode = old;
  add_parts(&listing);
  ListedEntry entry;
  BFS_CO_TRY(entries, co_await read_directory(&listing, &entry));
  if (entries != 0) co_return fail(Errc::not_empty);
  BFS_CO_TRY(facts, co_await attributes(old));
  auto making = call_quota({0, wire::Quota::kMake, bytes, files});
  BFS_CO_TRY(made, co_await making);

  const std::string name = fmt::format(".quota-{:016x}", random_id());
  const ServerIndex server = map().owner(entry_slot(parent, name));
  const wire::Mkdir::Request request{parent, facts.mode & 07777, made.id};
  BFS_CO_TRY(fresh, co_await call_entry<wire::Mkdir>(server, request, name));
  const InodeId inode = fresh.body.attributes.inode;
  auto copying = copy_attributes(facts, fresh.body.attributes);
  Status done = co_await copying;
  if (done) {
    auto replacing = replace_directory(parent, name, walk->name);
    done = co_await replacing;
  }
  forget(parent, name);
  forget(parent, walk->name);
  forget(inode);
  if (done) co_return 0;
  const wire::Rmdir::Request undo{parent};
  const auto undone = co_await call_entry<wire::Rmdir>(server, undo, name);
  static_cast<void>(undone);  // an empty directory is left if this fails, too
  co_return std::unexpected(done.error());
}

/// Owner and extended attributes of one directory for another one.
Task<Status> Client::copy_attributes(wire::Attributes from, wire::Attributes to) {
  std::uint32_t which = 0;
  if (from.uid != to.uid) which |= wire::SetAttributes::kUid;
  if (from.gid != to.gid) which |= wire::SetAttributes::kGid;
  if (which != 0) {
    wire::SetAttributes::Request request{};
    request.which = which;
    request.uid = from.uid;
    request.gid = from.gid;
    BFS_CO_TRY(changed, co_await change(to.inode, request));
    static_cast<void>(changed);
  }
  std::vector<std::byte> names(kXattrListBytesMax);
  const wire::ListXattrs::Request listing{from.inode, kXattrListBytesMax, 0};
  const ServerIndex source = map().home(from.inode), target = map().home(to.inode);
  const std::span<std::byte> names_into(names);
  BFS_CO_TRY(listed, co_await caller_->call<wire::ListXattrs>(source, listing, {}, names_into));
  const std::string all(reinterpret_cast<const char*>(names.data()), listed.payload_bytes);
  std::vector<std::byte> value(kXattrValueBytesMax);
  const std::span<std::byte> value_into(value);
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find('\0', at), all.size());
    const std::string name = all.substr(at, end - at);
    at = end + 1;
    const wire::GetXattr::Request getting{from.inode, kXattrValueBytesMax, 0};
    const auto got =
        co_await caller_->call<wire::GetXattr>(source, getting, bytes_of(name), value_into);
    if (!got && got.error().code == Errc::no_data) continue;  // removed since
    if (!got) co_return std::unexpected(got.error());
    const wire::SetXattr::Request setting{to.inode, static_cast<std::uint32_t>(name.size()), 0};
    const std::string payload =
        name + std::string(reinterpret_cast<const char*>(value.data()), got->payload_bytes);
    BFS_CO_TRY(set, co_await caller_->call<wire::SetXattr>(target, setting, bytes_of(payload)));
    static_cast<void>(set);
  }
  co_return Status{};
}

/// `to` is an empty directory, which goes.
Task<Status> Client::replace_directory(InodeId parent, std::string_view from, std::string_view to) {
  const std::int64_t give_up =
      now_ns() + static_cast<std::int64_t>(config_.deadline_ms) * 1'000'000;
  const wire::Rename::Request request{parent, parent, 0, static_cast<std::uint32_t>(from.size()),
                                      0};
  const ServerIndex server = map().owner(entry_slot(parent, from));
  const std::string names = std::string(from).append(to);
  for (Backoff backoff;;) {
    const auto answer = co_await caller_->call<wire::Rename>(server, request, bytes_of(names));
    if (answer) co_return Status{};
    const bool again =
        answer.error().code == Errc::stale || answer.error().code == Errc::being_removed;
    if (!again || now_ns() > give_up) co_return std::unexpected(answer.error());
    auto pause = loop_->sleep_ns(backoff.next_ns());
    co_await pause;
  }
}

/// Space as a program has it that works below `path`: of the quota there, if there is one.
Task<Outcome> Client::statfs(std::string_view path, struct benchfs_statfs* into) {
  auto getting = get_quota(path);
  const Result<wire::Quota::Reply> quota = co_await getting;
  if (!quota && quota.error().code != Errc::no_data) co_return std::unexpected(quota.error());
  auto asking = statfs(into);
  BFS_CO_TRY(asked, co_await asking);
  static_cast<void>(asked);
  if (!quota) co_return 0;
  const auto left = [](std::uint64_t limit, std::uint64_t used) {
    return limit - std::min(limit, used);
  };
  into->stored_bytes = quota->bytes_used;
  into->files = quota->files_used;
  if (quota->bytes_limit != 0) {
    const std::uint64_t bytes = left(quota->bytes_limit, quota->bytes_used);
    into->total_bytes = quota->bytes_limit;
    into->free_bytes = bytes;
    into->available_bytes = std::min(into->available_bytes, bytes);
    const std::uint64_t blocks = bytes / std::max<std::uint64_t>(into->block_bytes, 1);
    into->free_files = std::min(into->free_files, blocks);
  }
  if (quota->files_limit != 0) {
    into->free_files = std::min(into->free_files, left(quota->files_limit, quota->files_used));
  }
  co_return 0;
}

}  // namespace benchfs
