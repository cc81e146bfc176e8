// The metadata store: extended attributes, each a record beside its inode's.
#include "metadata/database.hpp"

namespace benchfs {

Result<std::string> MetaStore::xattr(InodeId inode, std::string_view name) const {
  return database_->text(database_->inode, records::Key::xattr(inode, name).view());
}

Result<std::vector<std::string>> MetaStore::xattr_names(InodeId inode) const {
  const auto first = records::Key::xattr(inode, "");
  std::string beyond(first.view());
  ++beyond.back();
  std::vector<std::string> names;
  const auto take = [&](std::string_view key, std::string_view) {
    names.emplace_back(key.substr(first.view().size()));
    return true;
  };
  BFS_CHECK(listed, database_->list(database_->inode, first.view(), beyond, take));
  return names;
}

void MetaStore::put_xattr(InodeId inode, std::string_view name, std::string_view value) {
  touch();
  database_->put_text(database_->inode, records::Key::xattr(inode, name).view(), value);
}

void MetaStore::remove_xattr(InodeId inode, std::string_view name) {
  touch();
  database_->remove(database_->inode, records::Key::xattr(inode, name).view());
}

void MetaStore::remove_xattrs(InodeId inode) {
  // What cannot be listed stays: inode numbers are not reused, so nobody will see it.
  const auto names = xattr_names(inode);
  if (!names) return;
  for (const std::string& name : *names) remove_xattr(inode, name);
}

}  // namespace benchfs
