// The metadata store: what is listed (entries of a directory, marks, removals), and the targets of
// symbolic links.
#include "metadata/database.hpp"

namespace benchfs {

Status MetaStore::entries(
    InodeId parent, std::string_view after,
    const std::function<bool(std::string_view name, Entry entry)>& visit) const {
  const auto first = records::Key::entry(parent, after);
  const auto beyond = records::Key::inode(parent + 1);
  Status outcome;
  const auto take = [&](std::string_view key, std::string_view value) {
    if (key == first.view()) return true;  // the name itself; or of no name, which no entry has
    records::EntryRecord record;
    if (!records::read(value, record)) {
      log_error("an entry of the metadata in {} is not of this version", options_.directory);
      outcome = fail(Errc::io, EIO);
      return false;
    }
    return visit(key.substr(8), Entry{record.inode, record.type});
  };
  BFS_CHECK(listed, database_->list(database_->dentry, first.view(), beyond.view(), take));
  return outcome;
}

// ---- symbolic links ----

Result<std::string> MetaStore::target(InodeId inode) const {
  return database_->text(database_->inode, records::Key::target(inode).view());
}

void MetaStore::put_target(InodeId inode, std::string_view target) {
  touch();
  database_->put_text(database_->inode, records::Key::target(inode).view(), target);
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
  BFS_CHECK(all, read_numbered<records::MarkRecord>(*database_, records::kMarkPrefix, take));
  return marks;
}

Result<std::vector<RemovalIntent>> MetaStore::removals() const {
  std::vector<RemovalIntent> intents;
  const auto take = [&](std::uint64_t token, const records::RemovalRecord& record) {
    intents.push_back({.token = token,
                       .inode = record.inode,
                       .state = static_cast<DirectoryMark::State>(record.state)});
  };
  BFS_CHECK(all, read_numbered<records::RemovalRecord>(*database_, records::kRemovalPrefix, take));
  return intents;
}

}  // namespace benchfs
