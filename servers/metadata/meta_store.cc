// RocksDB behind the metadata: options for a small footprint, the batch of the turn with reads
// through it, group commit of the log, and the reservation of inode numbers.
//
// A batch is written by the loop's own thread: that is a copy into the page cache and the memtable,
// a few microseconds. What waits for a device (syncing the log) runs on the helper thread.
#include "metadata/meta_store.hpp"

#include <linux/magic.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/options.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/write_batch_with_index.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>

#include "base/log.hpp"
#include "metadata/records.hpp"

namespace benchfs {
namespace {

constexpr std::uint64_t kCounterEnd = 1ull << 48;
constexpr std::size_t kFinishedMax = 1024;
constexpr std::uint64_t kFirstCounter = 2;  // 1 is the root directory's, in slot 0

rocksdb::Slice slice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}

Error error_of(const rocksdb::Status& status) {
  if (status.IsNotFound()) return Error{Errc::not_found};
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kNoSpace) {
    return Error{Errc::no_space, ENOSPC};
  }
  return Error{Errc::io, EIO};
}

rocksdb::Options small_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_background_jobs = 2;
  options.max_open_files = 256;
  options.db_write_buffer_size = 64u << 20;
  options.max_total_wal_size = 128u << 20;
  options.allow_concurrent_memtable_write = false;  // one writer, but for rare reservations
  // Preallocating the log would take memory at once where the storage is memory.
  options.allow_fallocate = false;
  // The log has it all: a stop and a start need not write tables.
  options.avoid_flush_during_shutdown = true;
  options.avoid_flush_during_recovery = true;
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 1u << 20;
  return options;
}

rocksdb::ColumnFamilyOptions family_options(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = 32u << 20;
  options.max_write_buffer_number = 3;
  options.compression = rocksdb::kNoCompression;
  // Most creates look for a name that is not there.
  options.memtable_prefix_bloom_size_ratio = 0.1;
  options.memtable_whole_key_filtering = true;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

struct MetaStore::Database {
  std::unique_ptr<rocksdb::DB> db;
  rocksdb::ColumnFamilyHandle* fallback = nullptr;
  rocksdb::ColumnFamilyHandle* dentry = nullptr;
  rocksdb::ColumnFamilyHandle* inode = nullptr;
  rocksdb::ColumnFamilyHandle* system = nullptr;
  /// What is not written yet; one entry per key.
  mutable rocksdb::WriteBatchWithIndex batch{rocksdb::BytewiseComparator(), 0, true};
  bool write_failed = false;

  ~Database() {
    if (db == nullptr) return;
    for (auto* handle : {fallback, dentry, inode, system}) db->DestroyColumnFamilyHandle(handle);
    const rocksdb::Status closed = db->Close();
    if (!closed.ok()) log_warn("closing the metadata store: {}", closed.ToString());
  }

  template <class Record>
  Status get(rocksdb::ColumnFamilyHandle* family, std::string_view key, Record& record) const {
    rocksdb::PinnableSlice value;
    const rocksdb::Status found =
        batch.GetWriteBatch()->Count() == 0
            ? db->Get(rocksdb::ReadOptions(), family, slice(key), &value)
            : batch.GetFromBatchAndDB(db.get(), rocksdb::ReadOptions(), family, slice(key), &value);
    if (found.IsNotFound()) return fail(Errc::not_found);
    if (!found.ok()) {
      log_error("reading metadata: {}", found.ToString());
      return std::unexpected(error_of(found));
    }
    if (!records::read({value.data(), value.size()}, record)) {
      log_error("a metadata record of {} bytes in {} is not of this version", value.size(),
                family->GetName());
      return fail(Errc::io, EIO);
    }
    return {};
  }
  template <class Record>
  void put(rocksdb::ColumnFamilyHandle* family, std::string_view key, const Record& record) {
    const auto put = batch.Put(family, slice(key), slice(records::bytes_of(record)));
    BFS_ASSERT(put.ok());
  }
  void remove(rocksdb::ColumnFamilyHandle* family, std::string_view key) {
    const auto removed = batch.Delete(family, slice(key));
    BFS_ASSERT(removed.ok());
  }
};

Result<std::unique_ptr<MetaStore>> MetaStore::open(Options options, Loop& loop, Offload& offload) {
  auto store = std::unique_ptr<MetaStore>(new MetaStore(std::move(options), loop, offload));
  BFS_CHECK(started, store->start());
  return store;
}

MetaStore::MetaStore(Options options, Loop& loop, Offload& offload)
    : options_(std::move(options)),
      loop_(loop),
      offload_(offload),
      database_(std::make_unique<Database>()) {}

MetaStore::~MetaStore() {
  BFS_ASSERT(background_.inside() == 0);
}

Status MetaStore::start() {
  const std::string& path = options_.directory;
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    const int err = errno;
    log_error("cannot make the folder {}: errno {}", path, err);
    return fail(errc_from_errno(err), err);
  }
  struct statfs facts {};
  if (statfs(path.c_str(), &facts) == 0) {
    volatile_ = facts.f_type == TMPFS_MAGIC || facts.f_type == RAMFS_MAGIC;
  }
  rocksdb::SetPerfLevel(rocksdb::kDisable);  // of this thread
  const auto cache = rocksdb::NewLRUCache(32u << 20);
  const auto family = family_options(cache);
  // Inodes are looked up one by one, never in order: a hash table in memory instead of a skip list
  // makes a create 1.4 times and a lookup 1.8 times as fast.
  auto inode_family = family;
  inode_family.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(8));
  inode_family.memtable_factory.reset(rocksdb::NewHashLinkListRepFactory(1u << 17));
  const std::vector<rocksdb::ColumnFamilyDescriptor> families{
      {rocksdb::kDefaultColumnFamilyName, family},
      {"dentry", family},
      {"inode", inode_family},
      {"system", family}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto opened = rocksdb::DB::Open(small_options(), path, families, &handles, &db);
  if (!opened.ok()) {
    const std::string text = opened.ToString();
    const bool locked = opened.IsIOError() && text.find("lock") != std::string::npos;
    log_error("cannot open the metadata in {}: {}{}", path, text,
              locked ? " (another server has this data directory)" : "");
    return locked ? fail(Errc::busy, EBUSY) : std::unexpected(error_of(opened));
  }
  database_->db.reset(db);
  database_->fallback = handles[0];
  database_->dentry = handles[1];
  database_->inode = handles[2];
  database_->system = handles[3];

  std::uint32_t format = 0;
  const Status found = database_->get(database_->system, records::kFormatKey, format);
  if (!found && found.error().code != Errc::not_found) return found;
  BFS_CHECK(known, check_format(format, found.has_value()));

  std::uint64_t counter = kFirstCounter;
  const Status had = database_->get(database_->system, records::kCounterKey, counter);
  if (!had && had.error().code != Errc::not_found) return had;
  // What the last run reserved and did not use is lost: that is the price of never reusing.
  next_ = counter;
  BFS_CHECK(stored, store_counter(counter + options_.numbers_reserved));
  limit_ = counter + options_.numbers_reserved;

  const Status counted = database_->get(database_->system, records::kFilesKey, files_);
  if (!counted && counted.error().code != Errc::not_found) return counted;
  BFS_TRY(left, drops());
  if (!left.empty()) next_drop_ = left.back().number + 1;
  return {};
}

Status MetaStore::check_format(std::uint32_t format, bool found) {
  if (found && format != records::kFormat) {
    log_error("the metadata in {} has format {}; this server knows {}", options_.directory, format,
              records::kFormat);
    return fail(Errc::version);
  }
  if (found) return {};
  const auto put =
      database_->db->Put(rocksdb::WriteOptions(), database_->system, slice(records::kFormatKey),
                         slice(records::bytes_of(records::kFormat)));
  if (!put.ok()) return std::unexpected(error_of(put));
  return {};
}

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
  return Inode{record.attributes, (record.flags & records::InodeRecord::kSpread) != 0};
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
  const std::uint32_t flags = inode.spread ? records::InodeRecord::kSpread : 0;
  database_->put(database_->inode, records::Key::inode(inode.attributes.inode).view(),
                 records::InodeRecord{records::kFormat, flags, inode.attributes});
}

void MetaStore::remove_inode(const Inode& inode) {
  touch();
  if (S_ISREG(inode.attributes.mode)) --files_change_;
  database_->remove(database_->inode, records::Key::inode(inode.attributes.inode).view());
}

DropIntent MetaStore::add_drop(DropIntent intent) {
  touch();
  intent.number = next_drop_++;
  database_->put(database_->system, records::Key::drop(intent.number).view(),
                 records::DropRecord{records::kFormat, intent.remove, intent.spread, 0,
                                     intent.inode, intent.size});
  return intent;
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
