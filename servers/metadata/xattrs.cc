// Extended attributes, with the errors of Linux (setxattr(2), xattr(7)). Between looking and
// changing nothing suspends, so that of two who create one attribute one fails.
#include "metadata/xattrs.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/clock.hpp"

namespace benchfs {
namespace {

constexpr std::string_view kUser = "user.";

bool may_have_xattrs(const Inode& inode) {
  return S_ISREG(inode.attributes.mode) || S_ISDIR(inode.attributes.mode);
}

std::size_t list_bytes(const std::vector<std::string>& names) {
  std::size_t bytes = 0;
  for (const std::string& name : names) bytes += name.size() + 1;
  return bytes;
}

/// Of the inode's metadata: what is not there is not there for the caller.
template <class T>
Result<T> or_no_data(Result<T> found) {
  if (!found && found.error().code == Errc::not_found) return fail(Errc::no_data);
  return found;
}

}  // namespace

Status Xattrs::check(InodeId inode, std::string_view name) const {
  if (map_.home(inode) != self_) return fail(Errc::stale_epoch);
  if (name.size() > kXattrNameBytesMax || name.find('\0') != name.npos) {
    return fail(Errc::bad_message);
  }
  if (!name.starts_with(kUser)) return fail(Errc::not_supported);
  if (name.size() == kUser.size()) return fail(Errc::invalid);
  return {};
}

/// The inode, if its attributes can be changed.
Result<Inode> Xattrs::changeable(InodeId inode, std::string_view name) const {
  BFS_CHECK(valid, check(inode, name));
  BFS_TRY(found, store_.inode(inode));
  if (!may_have_xattrs(found)) return fail(Errc::not_permitted);
  return found;
}

/// What `read()` gives, once that is written: what was seen may be in the batch.
template <class Read>
Task<Result<std::string>> Xattrs::settled(Read read) {
  for (;;) {
    Result<std::string> result = read();
    if (!store_.pending()) co_return result;
    auto writing = store_.committed();
    const Status written = co_await writing;
    if (written) co_return result;
  }
}

namespace {

struct ReadValue {
  MetaStore& store;
  InodeId inode;
  std::string name;
  Result<std::string> operator()() const {
    BFS_TRY(found, store.inode(inode));
    if (!found.xattrs) return fail(Errc::no_data);
    return or_no_data(store.xattr(inode, name));
  }
};

struct ReadNames {
  MetaStore& store;
  InodeId inode;
  Result<std::string> operator()() const {
    std::string list;
    BFS_TRY(found, store.inode(inode));
    if (!found.xattrs) return list;
    BFS_TRY(names, store.xattr_names(inode));
    for (const std::string& name : names) list.append(name).push_back('\0');
    return list;
  }
};

}  // namespace

Task<Result<std::string>> Xattrs::get(InodeId inode, std::string name) {
  BFS_CO_CHECK(valid, check(inode, name));
  auto reading = settled(ReadValue{store_, inode, std::move(name)});
  co_return co_await reading;
}

Task<Result<std::string>> Xattrs::list(InodeId inode) {
  if (map_.home(inode) != self_) co_return fail(Errc::stale_epoch);
  auto reading = settled(ReadNames{store_, inode});
  co_return co_await reading;
}

Status Xattrs::put(InodeId inode, const std::string& name, const std::string& value,
                   std::uint32_t flags) {
  if (value.size() > kXattrValueBytesMax ||
      (flags & ~(wire::SetXattr::kCreate | wire::SetXattr::kReplace)) != 0) {
    return fail(Errc::bad_message);
  }
  BFS_TRY(found, changeable(inode, name));
  std::vector<std::string> names;
  if (found.xattrs) {
    BFS_TRY(had, store_.xattr_names(inode));
    names = std::move(had);
  }
  const bool there = std::ranges::binary_search(names, name);
  if (there && (flags & wire::SetXattr::kCreate) != 0) return fail(Errc::exists);
  if (!there && (flags & wire::SetXattr::kReplace) != 0) return fail(Errc::no_data);
  if (!there && list_bytes(names) + name.size() + 1 > kXattrListBytesMax) {
    return fail(Errc::xattrs_full);
  }
  found.xattrs = true;
  found.attributes.ctime_ns = wall_ns();
  store_.update_inode(found);
  store_.put_xattr(inode, name, value);
  return {};
}

Task<Status> Xattrs::set(InodeId inode, std::string name, std::string value, std::uint32_t flags) {
  const Status begun = put(inode, name, value, flags);
  auto writing = store_.committed();  // of what was begun, or of what it has met
  BFS_CO_CHECK(written, co_await writing);
  co_return begun;
}

Task<Status> Xattrs::remove(InodeId inode, std::string name) {
  Result<Inode> found = changeable(inode, name);
  Status outcome;
  if (!found) {
    outcome = std::unexpected(found.error());
  } else if (const auto value = or_no_data(store_.xattr(inode, name)); !value) {
    outcome = std::unexpected(value.error());
  } else {
    found->attributes.ctime_ns = wall_ns();
    store_.update_inode(*found);
    store_.remove_xattr(inode, name);
  }
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  co_return outcome;
}

}  // namespace benchfs
