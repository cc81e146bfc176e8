// Opening the metadata store: RocksDB with a small footprint, the checks of what is there, what the
// journals have, the first reservation of inode numbers.
#include <linux/magic.h>
#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/options.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "metadata/database.hpp"

namespace benchfs {
namespace {

constexpr std::uint64_t kFirstCounter = 2;  // 1 is the root directory's, in slot 0

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
  std::copy(handles.begin() + 1, handles.end(), database_->families.begin());
  std::uint32_t format = 0;
  const Status found = database_->get(database_->system, records::kFormatKey, format);
  if (!found && found.error().code != Errc::not_found) return found;
  BFS_CHECK(known, check_format(format, found.has_value()));
  // A journal may have four times as many bytes as wanted, while they cannot be moved on.
  BFS_CHECK(recovered, database_->recover(path, 4 * options_.journal_bytes, !volatile_));

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
  if (found && format != records::kStoreFormat) {
    log_error("the metadata in {} has format {}; this server knows {}", options_.directory, format,
              records::kStoreFormat);
    return fail(Errc::version);
  }
  if (found) return {};
  const auto put = database_->db->Put(rocksdb::WriteOptions(), database_->handle(Family::system),
                                      slice(records::kFormatKey),
                                      slice(records::bytes_of(records::kStoreFormat)));
  if (!put.ok()) return std::unexpected(error_of(put));
  return {};
}

}  // namespace benchfs
