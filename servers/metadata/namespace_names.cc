// The namespace operations that are not about files: listing and removal of directories, symbolic
// links, and changes of attributes.
#include <algorithm>
#include <cstring>

#include "metadata/namespace.hpp"
#include "metadata/new_inode.hpp"

namespace benchfs {
namespace {

template <class Record>
void append(std::vector<std::byte>& bytes, const Record& record) {
  const auto* from = reinterpret_cast<const std::byte*>(&record);
  bytes.insert(bytes.end(), from, from + sizeof(record));
}

std::size_t padded(std::size_t bytes) {
  return (bytes + 7) / 8 * 8;
}

}  // namespace

// ---- directories ----

Result<Namespace::Page> Namespace::list(wire::ReadDirectory::Request request,
                                        std::string_view after) const {
  if (owns(request.parent)) {
    BFS_TRY(inode, store_.inode(request.parent));
    if (!S_ISDIR(inode.attributes.mode)) return fail(Errc::not_directory);
  }
  const bool wanted = (request.flags & wire::ReadDirectory::kAttributes) != 0;
  const std::size_t room = std::min(request.bytes_max, wire::kDirectoryPageMax);
  Page page;
  Status read;
  const Status listed =
      store_.entries(request.parent, after, [&](std::string_view name, Entry entry) {
        const bool here = wanted && owns(entry.inode);
        const std::size_t bytes = sizeof(wire::DirectoryEntry) +
                                  (here ? sizeof(wire::Attributes) : 0) + padded(name.size());
        if (page.entries.size() + bytes > room) {
          page.reply.more = 1;
          return false;
        }
        wire::Attributes attributes{};
        if (here) {
          const auto inode = store_.inode(entry.inode);
          if (!inode) {
            const Error error = missing(request.parent, name, entry, inode.error());
            if (error.code == Errc::being_removed) return true;  // as good as gone
            read = std::unexpected(error);
            return false;
          }
          attributes = inode->attributes;
        }
        append(page.entries, wire::DirectoryEntry{entry.inode, entry.type,
                                                  static_cast<std::uint16_t>(name.size()), here});
        if (here) append(page.entries, attributes);
        const std::size_t at = page.entries.size();
        page.entries.resize(at + padded(name.size()));
        std::memcpy(page.entries.data() + at, name.data(), name.size());
        ++page.reply.entries;
        return true;
      });
  if (!listed) return std::unexpected(listed.error());
  if (!read) return std::unexpected(read.error());
  page.reply.bytes = static_cast<std::uint32_t>(page.entries.size());
  return page;
}

Task<Result<Namespace::Page>> Namespace::read_directory(wire::ReadDirectory::Request request,
                                                        std::string_view after) {
  if ((request.flags & ~wire::ReadDirectory::kAttributes) != 0) co_return fail(Errc::bad_message);
  if (request.bytes_max < wire::kDirectoryEntryMax) co_return fail(Errc::invalid);
  if (!after.empty()) {
    BFS_CO_CHECK(valid, check_name(after));
  }
  for (;;) {
    Result<Page> page = list(request, after);
    if (!store_.pending()) co_return page;
    // What was seen may be in the batch: it holds once that is written, else look again.
    auto writing = store_.committed();
    const Status written = co_await writing;
    if (written) co_return page;
  }
}

Task<Status> Namespace::remove_directory(InodeId parent, std::string_view name) {
  BFS_CO_CHECK(valid, check_entry(parent, name));
  BFS_CO_CHECK(free, moves_.check_free(parent, name));
  const auto entry = store_.entry(parent, name);
  if (!entry || !S_ISDIR(entry->type)) {
    auto writing = store_.committed();  // of whoever has just changed it
    BFS_CO_CHECK(written, co_await writing);
    if (!entry) co_return std::unexpected(entry.error());
    co_return fail(Errc::not_directory);
  }
  auto removing =
      removals_.remove(entry->inode, [this, parent, name] { store_.remove_entry(parent, name); });
  co_return co_await removing;
}

// ---- symbolic links ----

Task<Result<wire::Symlink::Reply>> Namespace::make_link(wire::Symlink::Request request,
                                                        std::string_view names, Owner owner) {
  if (request.name_bytes > names.size()) co_return fail(Errc::bad_message);
  const std::string_view name = names.substr(0, request.name_bytes);
  const std::string_view target = names.substr(request.name_bytes);
  BFS_CO_CHECK(valid, check_entry(request.parent, name));
  if (target.empty()) co_return fail(Errc::not_found);
  if (target.size() > kTargetBytesMax) co_return fail(Errc::name_too_long);
  if (target.find('\0') != target.npos) co_return fail(Errc::invalid);
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
  const QuotaId quota = quota_of(request.parent);
  if (used_up(quota)) {
    auto asking = options_.quotas->more_files(quota);
    BFS_CO_CHECK(more, co_await asking);
    auto again = make_link(request, names, owner);
    co_return co_await again;
  }
  BFS_CO_CHECK(numbered, store_.check_counter(quota));
  const InodeId number = store_.next_inode(entry_slot(request.parent, name), quota);
  Inode inode = new_inode(number, S_IFLNK | 0777, options_.default_chunk_bytes, owner);
  inode.attributes.size = target.size();
  store_.create_inode(inode);
  store_.put_target(number, target);
  store_.put_entry(request.parent, name, Entry{number, S_IFLNK});
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  co_return wire::Symlink::Reply{inode.attributes};
}

Task<Result<std::string>> Namespace::read_link(InodeId number) {
  if (!owns(number)) co_return fail(Errc::stale_epoch);
  const auto inode = store_.inode(number);
  Result<std::string> target = fail(Errc::invalid);
  if (inode && S_ISLNK(inode->attributes.mode)) target = store_.target(number);
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  if (!inode) co_return std::unexpected(inode.error());
  co_return target;
}

// ---- attributes ----

/// POSIX chown(): the owner may give a file to one of his groups, root to anybody. The bits that
/// lend the owner's rights go.
Status Namespace::change_owner(const wire::SetAttributes::Request& request, Owner owner,
                               wire::Attributes& attributes) const {
  using Message = wire::SetAttributes;
  const bool root = owner.uid == 0;
  const bool uid = (request.which & Message::kUid) != 0;
  const bool gid = (request.which & Message::kGid) != 0;
  if (!uid && !gid) return {};
  if (uid && request.uid != attributes.uid && !root) return fail(Errc::not_permitted);
  if (gid && request.gid != attributes.gid && request.gid != owner.gid && !root &&
      std::ranges::find(options_.groups, request.gid) == options_.groups.end()) {
    return fail(Errc::not_permitted);
  }
  if (uid) attributes.uid = request.uid;
  if (gid) attributes.gid = request.gid;
  if (S_ISREG(attributes.mode) && !root) {
    attributes.mode &= ~static_cast<std::uint32_t>(S_ISUID | S_ISGID);
  }
  return {};
}

Task<Result<wire::SetAttributes::Reply>> Namespace::set_attributes(
    wire::SetAttributes::Request request, Owner owner) {
  using Message = wire::SetAttributes;
  constexpr std::uint32_t kKnown = Message::kMode | Message::kUid | Message::kGid |
                                   Message::kAtime | Message::kMtime | Message::kAtimeNow |
                                   Message::kMtimeNow;
  if ((request.which & ~kKnown) != 0 || (request.mode & ~kPermissionBits) != 0) {
    co_return fail(Errc::bad_message);
  }
  if (!owns(request.inode)) co_return fail(Errc::stale_epoch);
  auto inode = store_.inode(request.inode);
  if (!inode) {
    auto writing = store_.committed();
    BFS_CO_CHECK(written, co_await writing);
    co_return std::unexpected(inode.error());
  }
  wire::Attributes& attributes = inode->attributes;
  if (request.which != 0) {
    if (owner.uid != 0 && owner.uid != attributes.uid) co_return fail(Errc::not_permitted);
    const bool mode = (request.which & Message::kMode) != 0;
    if (mode && S_ISLNK(attributes.mode)) co_return fail(Errc::not_supported);
    BFS_CO_CHECK(given, change_owner(request, owner, attributes));
    const std::int64_t now = wall_ns();
    if (mode) attributes.mode = (attributes.mode & ~kPermissionBits) | request.mode;
    if ((request.which & Message::kAtime) != 0) attributes.atime_ns = request.atime_ns;
    if ((request.which & Message::kMtime) != 0) attributes.mtime_ns = request.mtime_ns;
    if ((request.which & Message::kAtimeNow) != 0) attributes.atime_ns = now;
    if ((request.which & Message::kMtimeNow) != 0) attributes.mtime_ns = now;
    attributes.ctime_ns = now;
    store_.update_inode(*inode);
  }
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  co_return wire::SetAttributes::Reply{attributes};
}

}  // namespace benchfs
