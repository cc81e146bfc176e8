// The metadata store: extended attributes, each a record beside its inode's.
#include "metadata/database.hpp"

namespace benchfs {

Result<std::string> MetaStore::xattr(InodeId inode, std::string_view name) const {
  const auto key = records::Key::xattr(inode, name);
  std::string value;
  const rocksdb::Status found = database_->batch.GetFromBatchAndDB(
      database_->db.get(), rocksdb::ReadOptions(), database_->inode, slice(key.view()), &value);
  if (!found.ok()) {
    if (!found.IsNotFound()) log_error("reading metadata: {}", found.ToString());
    return std::unexpected(error_of(found));
  }
  return value;
}

Result<std::vector<std::string>> MetaStore::xattr_names(InodeId inode) const {
  const auto first = records::Key::xattr(inode, "");
  rocksdb::ReadOptions options;
  // The family is hashed by inode: only what is of one inode comes in order.
  options.prefix_same_as_start = true;
  rocksdb::Iterator* stored = database_->db->NewIterator(options, database_->inode);
  const std::unique_ptr<rocksdb::Iterator> at(
      database_->batch.GetWriteBatch()->Count() == 0
          ? stored
          : database_->batch.NewIteratorWithBase(database_->inode, stored, &options));
  std::vector<std::string> names;
  for (at->Seek(slice(first.view())); at->Valid(); at->Next()) {
    const std::string_view key(at->key().data(), at->key().size());
    if (!key.starts_with(first.view())) break;
    names.emplace_back(key.substr(first.view().size()));
  }
  if (!at->status().ok()) {
    log_error("listing extended attributes: {}", at->status().ToString());
    return std::unexpected(error_of(at->status()));
  }
  return names;
}

void MetaStore::put_xattr(InodeId inode, std::string_view name, std::string_view value) {
  touch();
  const auto put = database_->batch.Put(
      database_->inode, slice(records::Key::xattr(inode, name).view()), slice(value));
  BFS_ASSERT(put.ok());
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
