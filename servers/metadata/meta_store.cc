// The metadata store at work: reads and changes through the batch, writing it, syncs, and the
// reservation of inode numbers.
//
// A batch is written by the loop's own thread: that is a copy into mapped memory. What waits for a
// device (syncing the journal) or takes long (the way down to RocksDB) runs on the helper thread.
#include "metadata/meta_store.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "metadata/database.hpp"

namespace benchfs {
namespace {

constexpr std::uint64_t kCounterEnd = 1ull << 48;
/// Finished drops that wait for a batch at most.
constexpr std::size_t kFinishedMax = 1024;
/// In the batch: of the count of files, and of a drop that is finished.
constexpr std::size_t kFilesBytes = 32;
constexpr std::size_t kFinishedBytes = 32;

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
  const auto take = [&](std::uint64_t number, const records::DropRecord& record) {
    if (std::ranges::find(finished_drops_, number) != finished_drops_.end()) return;
    intents.push_back({.number = number,
                       .inode = record.inode,
                       .size = record.size,
                       .remove = record.remove != 0,
                       .spread = record.spread != 0});
  };
  BFS_CHECK(all, read_numbered<records::DropRecord>(*database_, records::kDropPrefix, take));
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
  pending_ = true;
  if (write_scheduled_) return;
  write_scheduled_ = true;
  write_later().detach();
}

/// For those who do not wait for their changes.
Task<void> MetaStore::write_later() {
  const Gate::Pass pass = background_.enter();
  co_await loop_.next_turn();
  write_scheduled_ = false;
  auto writing = committed();
  co_await writing;
}

bool MetaStore::fits() const {
  return database_->batch_fits(kFilesBytes + finished_drops_.size() * kFinishedBytes);
}

/// The batch into the journal, or all of it undone.
Status MetaStore::write() {
  Database& database = *database_;
  const auto files = static_cast<std::uint64_t>(static_cast<std::int64_t>(files_) + files_change_);
  if (files_change_ != 0) database.put(database.system, records::kFilesKey, files);
  for (const std::uint64_t number : finished_drops_) {
    database.remove(database.system, records::Key::drop(number).view());
  }
  Status written;
  const bool may_begin = !moving_ && !background_.closed();
  if (!database.batch_fits(0) && may_begin) written = begin_generation();
  if (written) written = database.commit();
  if (written) {
    files_ = files;
    finished_drops_.clear();
  } else if (!write_failed_) {
    log_error("writing metadata to their journal: {}", to_text(written.error().code));
  }
  write_failed_ = !written;
  roll_back();
  if (!moving_ && may_begin && database.journals[0]->bytes() >= options_.journal_bytes) {
    // If that fails, the journal has room, and the next batch tries it again.
    const Status begun = begin_generation();
    if (!begun) log_debug("a new journal: {}", to_text(begun.error().code));
  }
  return written;
}

/// Of what is not in the journal nothing has happened.
void MetaStore::roll_back() {
  database_->roll_back();
  files_change_ = 0;
  pending_ = false;
}

Task<Status> MetaStore::committed() {
  if (!pending_) co_return Status{};
  if (blocked_ == nullptr && (fits() || !moving_)) co_return write();
  if (blocked_ == nullptr) blocked_ = std::make_shared<Batch>();
  const std::shared_ptr<Batch> batch = blocked_;
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
    Status& outcome = running_round_->outcome;
    // What was moved out of them was synced in RocksDB before they were cleared.
    const std::array journals{database_->journals[0].get(), database_->journals[1].get()};
    auto call = offload_.run([&journals, &outcome] {
      for (Journal* journal : journals) {
        if (outcome) outcome = journal->sync();
      }
    });
    co_await call;
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
  const auto put = database_->db->Put(durable, database_->handle(Family::system),
                                      slice(records::kCounterKey), slice(records::bytes_of(limit)));
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
