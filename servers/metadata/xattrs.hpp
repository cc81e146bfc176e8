// Extended attributes of the files and directories whose home is here, and their messages.
#pragma once
#include <string>
#include <string_view>

#include "metadata/meta_store.hpp"
#include "net/service.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

/// Single-threaded. Names begin with "user."; other namespaces of xattr(7) are not_supported.
class Xattrs {
 public:
  /// `store` and `map` outlive it.
  Xattrs(MetaStore& store, const SlotMap& map, ServerIndex self)
      : store_(store), map_(map), self_(self) {}

  /// not_found: the inode; no_data.
  Task<Result<std::string>> get(InodeId inode, std::string name);
  /// flags: of wire::SetXattr. Errors: as there, not_found, not_supported, invalid (no name after
  /// the dot), bad_message (a limit).
  Task<Status> set(InodeId inode, std::string name, std::string value, std::uint32_t flags);
  /// All names, each with a zero byte behind it.
  Task<Result<std::string>> list(InodeId inode);
  Task<Status> remove(InodeId inode, std::string name);

 private:
  Status check(InodeId inode, std::string_view name) const;
  Result<Inode> changeable(InodeId inode, std::string_view name) const;
  template <class Read>
  Task<Result<std::string>> settled(Read read);
  Status put(InodeId inode, const std::string& name, const std::string& value, std::uint32_t flags);

  MetaStore& store_;
  const SlotMap& map_;
  ServerIndex self_;
};

/// The messages, given to Xattrs and answered.
class XattrService {
 public:
  explicit XattrService(Xattrs xattrs) : xattrs_(xattrs) {}
  void add_to(Dispatcher& dispatcher);

  Task<void> get(Incoming incoming);
  Task<void> set(Incoming incoming);
  Task<void> list(Incoming incoming);
  Task<void> remove(Incoming incoming);

 private:
  Xattrs xattrs_;
};

}  // namespace benchfs
