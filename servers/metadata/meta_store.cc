// The metadata store at work: reads and changes through the batch of the turn, writing it, group
// commit of the log, and the reservation of inode numbers.
//
// A batch is written by the loop's own thread: that is a copy into the page cache and the memtable,
// a few microseconds. What waits for a device (syncing the log) runs on the helper thread.
#include "metadata/meta_store.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "metadata/database.hpp"

namespace benchfs {
namespace {

constexpr std::uint64_t kCounterEnd = 1ull << 48;
/// Finished drops that wait for a batch at most.
constexpr std::size_t kFinishedMax = 1024;

}  // namespace

// ---- reads ----

Result<Entry> MetaStore::entry(InodeId parent, std::string_view name) const {
  const auto key = records::Key::entry(parent, name);
  records::EntryRecord record;
  BFS_CHECK(found, database_->get(database_->dentry, key.view(), record));
  return Entry{record.inode, record.type};
}

Result<Inode> MetaStore::inode(InodeId inode) const {
  const auto key = records::Key::inode(inode);
  records::InodeRecord record;
  BFS_CHECK(found, database_->get(database_->inode, key.view(), record));
  return Inode{record.attributes, (record.flags & records::InodeRecord::kSpread) != 0,
               (record.flags & records::InodeRecord::kXattrs) != 0};
}

Result<std::vector<DropIntent>> MetaStore::drops() const {
  std::vector<DropIntent> intents;
  const std::unique_ptr<rocksdb::Iterator> at(
      database_->db->NewIterator(rocksdb::ReadOptions(), database_->system));
  const auto prefix = slice(records::kDropPrefix);
  for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) {
    records::DropRecord record;
    if (at->key().size() != prefix.size() + 8 ||
        !records::read({at->value().data(), at->value().size()}, record)) {
      log_error("a drop record of the metadata in {} is not of this version", options_.directory);
      return fail(Errc::io, EIO);
    }
    const std::uint64_t number = records::get_big_endian(at->key().data() + prefix.size());
    if (std::ranges::find(finished_drops_, number) != finished_drops_.end()) continue;
    intents.push_back({.number = number,
                       .inode = record.inode,
                       .size = record.size,
                       .remove = record.remove != 0,
                       .spread = record.spread != 0});
  }
  if (!at->status().ok()) return std::unexpected(error_of(at->status()));
  return intents;
}

// ---- changes ----

void MetaStore::put_entry(InodeId parent, std::string_view name, Entry entry) {
  touch();
  const auto key = records::Key::entry(parent, name);
  database_->put(database_->dentry, key.view(),
                 records::EntryRecord{records::kFormat, entry.type, entry.inode});
}

void MetaStore::remove_entry(InodeId parent, std::string_view name) {
  touch();
  database_->remove(database_->dentry, records::Key::entry(parent, name).view());
}

void MetaStore::create_inode(const Inode& inode) {
  if (S_ISREG(inode.attributes.mode)) ++files_change_;
  update_inode(inode);
}

void MetaStore::update_inode(const Inode& inode) {
  touch();
  const std::uint32_t flags = (inode.spread ? records::InodeRecord::kSpread : 0) |
                              (inode.xattrs ? records::InodeRecord::kXattrs : 0);
  database_->put(database_->inode, records::Key::inode(inode.attributes.inode).view(),
                 records::InodeRecord{records::kFormat, flags, inode.attributes});
}

void MetaStore::remove_inode(const Inode& inode) {
  touch();
  if (S_ISREG(inode.attributes.mode)) --files_change_;
  if (S_ISLNK(inode.attributes.mode)) {
    database_->remove(database_->inode, records::Key::target(inode.attributes.inode).view());
  }
  if (inode.xattrs) remove_xattrs(inode.attributes.inode);
  database_->remove(database_->inode, records::Key::inode(inode.attributes.inode).view());
}

DropIntent MetaStore::add_drop(DropIntent intent) {
  intent.number = next_drop_++;
  update_drop(intent);
  return intent;
}

void MetaStore::update_drop(const DropIntent& intent) {
  touch();
  database_->put(database_->system, records::Key::drop(intent.number).view(),
                 records::DropRecord{records::kFormat, intent.remove, intent.spread, 0,
                                     intent.inode, intent.size});
}

void MetaStore::finish_drop(const DropIntent& intent) {
  if (!intent.remove || finished_drops_.size() >= kFinishedMax) touch();
  finished_drops_.push_back(intent.number);
}

void MetaStore::touch() {
  if (batch_ != nullptr) return;
  batch_ = std::make_shared<Batch>();
  write_batch().detach();
}

Task<void> MetaStore::write_batch() {
  const Gate::Pass pass = background_.enter();
  co_await loop_.next_turn();  // after everything that is ready now
  Database& database = *database_;
  const auto files = static_cast<std::uint64_t>(static_cast<std::int64_t>(files_) + files_change_);
  if (files_change_ != 0) database.put(database.system, records::kFilesKey, files);
  for (const std::uint64_t number : finished_drops_) {
    database.remove(database.system, records::Key::drop(number).view());
  }
  // After a full disk RocksDB takes no writes until it is told to go on.
  if (database.write_failed) database.db->Resume().PermitUncheckedError();
  const rocksdb::Status written =
      database.db->Write(rocksdb::WriteOptions(), database.batch.GetWriteBatch());
  database.batch.Clear();
  const std::shared_ptr<Batch> batch = std::move(batch_);
  batch_.reset();
  if (written.ok()) {
    files_ = files;
    finished_drops_.clear();
  } else {
    if (!database.write_failed) log_error("writing metadata: {}", written.ToString());
    batch->outcome = std::unexpected(error_of(written));
  }
  database.write_failed = !written.ok();
  files_change_ = 0;
  batch->written.set();
}

Task<Status> MetaStore::committed() {
  if (batch_ == nullptr) co_return Status{};
  const std::shared_ptr<Batch> batch = batch_;
  auto written = batch->written.wait();
  co_await written;
  co_return batch->outcome;
}

Task<Status> MetaStore::sync() {
  auto writing = committed();
  const Status written = co_await writing;
  if (!written || volatile_) co_return written;
  if (next_round_ == nullptr) {
    next_round_ = std::make_shared<SyncRound>();
    if (!syncing_) sync_rounds().detach();
  }
  // The running round, if any, may have begun before our changes: the next one is ours.
  const std::shared_ptr<SyncRound> round = next_round_ != nullptr ? next_round_ : running_round_;
  auto done = round->done.wait();
  co_await done;
  co_return round->outcome;
}

Task<void> MetaStore::sync_rounds() {
  const Gate::Pass pass = background_.enter();
  syncing_ = true;
  while (next_round_ != nullptr) {
    running_round_ = std::move(next_round_);
    next_round_.reset();
    rocksdb::DB* db = database_->db.get();
    rocksdb::Status synced;
    auto call = offload_.run([db, &synced] { synced = db->SyncWAL(); });
    co_await call;
    if (!synced.ok()) {
      log_error("syncing the metadata's log: {}", synced.ToString());
      running_round_->outcome = std::unexpected(error_of(synced));
    }
    running_round_->done.set();
    running_round_.reset();
  }
  syncing_ = false;
}

// ---- inode numbers ----

InodeId MetaStore::next_inode(Slot home) {
  BFS_ASSERT(number_left());
  const InodeId inode = make_inode(home, next_++);
  if (limit_ - next_ < options_.numbers_reserved / 2) start_reserve();
  return inode;
}

Task<Status> MetaStore::more_numbers() {
  if (number_left()) co_return Status{};
  start_reserve();
  auto more = numbers_.wait();
  co_await more;
  co_return reserved_;
}

void MetaStore::start_reserve() {
  if (!reserving_) reserve(limit_ + options_.numbers_reserved).detach();
}

Task<void> MetaStore::reserve(std::uint64_t limit) {
  const Gate::Pass pass = background_.enter();
  reserving_ = true;
  Status stored;
  auto call = offload_.run([this, limit, &stored] { stored = store_counter(limit); });
  co_await call;
  reserving_ = false;
  reserved_ = stored;
  if (stored) limit_ = std::max(limit_, limit);
  numbers_.wake_all();
}

/// Puts the counter on the device. The helper thread calls it, too: RocksDB takes calls of any
/// thread.
Status MetaStore::store_counter(std::uint64_t limit) {
  if (limit > kCounterEnd) {
    log_error("the metadata in {} has no inode numbers left", options_.directory);
    return fail(Errc::no_space);
  }
  rocksdb::WriteOptions durable;
  durable.sync = true;
  const auto put = database_->db->Put(durable, database_->system, slice(records::kCounterKey),
                                      slice(records::bytes_of(limit)));
  if (put.ok()) return {};
  log_error("reserving inode numbers: {}", put.ToString());
  return std::unexpected(error_of(put));
}

Task<Status> MetaStore::raise_counter(std::uint64_t counter) {
  // Reserved first, so that a crash in between cannot bring an old number back.
  while (limit_ < counter + options_.numbers_reserved) {
    if (reserving_) {
      auto other = numbers_.wait();
      co_await other;
      continue;
    }
    auto reserving = reserve(counter + options_.numbers_reserved);
    co_await reserving;
    if (!reserved_) co_return reserved_;
  }
  next_ = std::max(next_, counter);
  co_return Status{};
}

Task<Status> MetaStore::close() {
  if (!finished_drops_.empty()) touch();
  auto syncing = sync();
  const Status synced = co_await syncing;
  background_.close();
  auto drained = background_.drained();
  co_await drained;
  database_.reset();
  co_return synced;
}

}  // namespace benchfs
