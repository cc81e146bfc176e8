// The metadata store: what is listed (entries of a directory, marks, removals), and the targets of
// symbolic links.
#include "metadata/database.hpp"

namespace benchfs {

Status MetaStore::entries(
    InodeId parent, std::string_view after,
    const std::function<bool(std::string_view name, Entry entry)>& visit) const {
  const auto first = records::Key::entry(parent, after);
  const auto beyond = records::Key::inode(parent + 1);
  // Without the bound the iterator would look for the next entry among all that were removed behind
  // this directory.
  const rocksdb::Slice upper = slice(beyond.view());
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper;
  rocksdb::Iterator* stored = database_->db->NewIterator(options, database_->dentry);
  const std::unique_ptr<rocksdb::Iterator> at(
      database_->batch.GetWriteBatch()->Count() == 0
          ? stored
          : database_->batch.NewIteratorWithBase(database_->dentry, stored, &options));
  for (at->Seek(slice(first.view())); at->Valid(); at->Next()) {
    const std::string_view key(at->key().data(), at->key().size());
    if (key == first.view()) continue;  // the name itself; or of no name, which no entry has
    if (key.size() < 8 || records::get_big_endian(key.data()) != parent) break;
    records::EntryRecord record;
    if (!records::read({at->value().data(), at->value().size()}, record)) {
      log_error("an entry of the metadata in {} is not of this version", options_.directory);
      return fail(Errc::io, EIO);
    }
    if (!visit(key.substr(8), Entry{record.inode, record.type})) return {};
  }
  if (!at->status().ok()) {
    log_error("listing metadata: {}", at->status().ToString());
    return std::unexpected(error_of(at->status()));
  }
  return {};
}

// ---- symbolic links ----

Result<std::string> MetaStore::target(InodeId inode) const {
  const auto key = records::Key::target(inode);
  std::string value;
  const rocksdb::Status found = database_->batch.GetFromBatchAndDB(
      database_->db.get(), rocksdb::ReadOptions(), database_->inode, slice(key.view()), &value);
  if (!found.ok()) {
    if (!found.IsNotFound()) log_error("reading metadata: {}", found.ToString());
    return std::unexpected(error_of(found));
  }
  return value;
}

void MetaStore::put_target(InodeId inode, std::string_view target) {
  touch();
  const auto put = database_->batch.Put(database_->inode, slice(records::Key::target(inode).view()),
                                        slice(target));
  BFS_ASSERT(put.ok());
}

// ---- removal of directories ----

void MetaStore::put_mark(const DirectoryMark& mark) {
  touch();
  database_->put(database_->system, records::Key::mark(mark.inode).view(),
                 records::MarkRecord{records::kFormat, static_cast<std::uint32_t>(mark.state),
                                     mark.token, mark.since_ns});
}

void MetaStore::remove_mark(InodeId inode) {
  touch();
  database_->remove(database_->system, records::Key::mark(inode).view());
}

void MetaStore::put_removal(const RemovalIntent& intent) {
  touch();
  database_->put(database_->system, records::Key::removal(intent.token).view(),
                 records::RemovalRecord{records::kFormat, static_cast<std::uint32_t>(intent.state),
                                        intent.inode});
}

void MetaStore::remove_removal(std::uint64_t token) {
  touch();
  database_->remove(database_->system, records::Key::removal(token).view());
}

Result<std::vector<DirectoryMark>> MetaStore::marks() const {
  std::vector<DirectoryMark> marks;
  const auto take = [&](std::uint64_t inode, const records::MarkRecord& record) {
    marks.push_back({.inode = inode,
                     .token = record.token,
                     .state = static_cast<DirectoryMark::State>(record.state),
                     .since_ns = record.since_ns});
  };
  BFS_CHECK(all, read_numbered<records::MarkRecord>(*database_->db, database_->system,
                                                    records::kMarkPrefix, take));
  return marks;
}

Result<std::vector<RemovalIntent>> MetaStore::removals() const {
  std::vector<RemovalIntent> intents;
  const auto take = [&](std::uint64_t token, const records::RemovalRecord& record) {
    intents.push_back({.token = token,
                       .inode = record.inode,
                       .state = static_cast<DirectoryMark::State>(record.state)});
  };
  BFS_CHECK(all, read_numbered<records::RemovalRecord>(*database_->db, database_->system,
                                                       records::kRemovalPrefix, take));
  return intents;
}

}  // namespace benchfs
