// The metadata store: all entries and all inodes of this server, page by page, for a check of
// everything. From RocksDB alone, so that the helper thread can do it: see settled().
#include "metadata/database.hpp"

namespace benchfs {
namespace {

Status end_of(const rocksdb::Iterator& at) {
  if (at.status().ok()) return {};
  log_error("scanning metadata: {}", at.status().ToString());
  return std::unexpected(error_of(at.status()));
}

Status unknown(const char* what, const std::string& directory) {
  log_error("{} of the metadata in {} is not of this version", what, directory);
  return fail(Errc::io, EIO);
}

}  // namespace

Status MetaStore::scan_entries(
    InodeId parent, std::string_view after,
    const std::function<bool(InodeId parent, std::string_view name, Entry entry)>& visit) const {
  const auto first = records::Key::entry(parent, after);
  const std::unique_ptr<rocksdb::Iterator> at(
      database_->db->NewIterator(rocksdb::ReadOptions(), database_->handle(Family::dentry)));
  for (at->Seek(slice(first.view())); at->Valid(); at->Next()) {
    const std::string_view key(at->key().data(), at->key().size());
    if (key == first.view()) continue;
    records::EntryRecord record;
    if (key.size() <= 8 || !records::read({at->value().data(), at->value().size()}, record)) {
      return unknown("an entry", options_.directory);
    }
    const Entry entry{record.inode, record.type};
    if (!visit(records::get_big_endian(key.data()), key.substr(8), entry)) return {};
  }
  return end_of(*at);
}

Status MetaStore::scan_inodes(InodeId after,
                              const std::function<bool(const Inode& inode)>& visit) const {
  const auto first = records::Key::inode(after);
  rocksdb::ReadOptions options;
  options.total_order_seek = true;  // not within one prefix
  const std::unique_ptr<rocksdb::Iterator> at(
      database_->db->NewIterator(options, database_->handle(Family::inode)));
  for (at->Seek(slice(first.view())); at->Valid(); at->Next()) {
    const std::string_view key(at->key().data(), at->key().size());
    if (key.size() != 8 || key == first.view()) continue;  // a target, an attribute; seen before
    records::InodeRecord record;
    if (!records::read({at->value().data(), at->value().size()}, record)) {
      return unknown("an inode", options_.directory);
    }
    const Inode inode{record.attributes, (record.flags & records::InodeRecord::kSpread) != 0,
                      (record.flags & records::InodeRecord::kXattrs) != 0};
    if (!visit(inode)) return {};
  }
  return end_of(*at);
}

}  // namespace benchfs
