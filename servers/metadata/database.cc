// The layers of the metadata store: listing through all of them, the batch and its way into the
// journal, the way of older changes down to RocksDB, and what the journals of the last run have.
#include "metadata/database.hpp"

#include <algorithm>
#include <cstring>

namespace benchfs {
namespace {

/// Of one change in a batch; the key and the value follow.
struct ChangeHeader {
  std::uint32_t value_bytes;
  std::uint16_t key_bytes;
  Family family;
  Recent::State state;
};
static_assert(sizeof(ChangeHeader) == 8);

constexpr std::size_t kMoveBytes = 256u << 10;  // to RocksDB in one call

/// visit(family, state, key, value) for the changes of a batch, in order.
template <class Visit>
void for_each_change(std::string_view batch, Visit visit) {
  while (!batch.empty()) {
    ChangeHeader header;
    BFS_ASSERT(batch.size() >= sizeof(header));
    std::memcpy(&header, batch.data(), sizeof(header));
    batch.remove_prefix(sizeof(header));
    BFS_ASSERT(batch.size() >= header.key_bytes + std::size_t{header.value_bytes});
    BFS_ASSERT(static_cast<std::size_t>(header.family) < kFamilies);
    visit(header.family, header.state, batch.substr(0, header.key_bytes),
          batch.substr(header.key_bytes, header.value_bytes));
    batch.remove_prefix(header.key_bytes + std::size_t{header.value_bytes});
  }
}

/// A change, present or removed, as RocksDB is to have it.
rocksdb::Status add_change(rocksdb::WriteBatch& writes, rocksdb::ColumnFamilyHandle* family,
                           Recent::State state, std::string_view key, std::string_view value) {
  return state == Recent::State::present ? writes.Put(family, slice(key), slice(value))
                                         : writes.Delete(family, slice(key));
}

}  // namespace

MetaStore::Database::~Database() {
  if (db == nullptr) return;
  for (auto* family : families) db->DestroyColumnFamilyHandle(family);
  db->DestroyColumnFamilyHandle(fallback);
  const rocksdb::Status closed = db->Close();
  if (!closed.ok()) log_warn("closing the metadata store: {}", closed.ToString());
}

Result<std::string> MetaStore::Database::text(Family family, std::string_view key) const {
  std::string text;
  const auto take = [&](std::string_view value) -> Status {
    text = value;
    return {};
  };
  BFS_CHECK(found, look(family, key, take));
  return text;
}

Status MetaStore::Database::list(Family family, std::string_view first, std::string_view beyond,
                                 const Visit& visit) const {
  using Records = std::span<Recent::Record* const>;
  std::array<Records, 2> recent{current->from(family, first),
                                older != nullptr ? older->from(family, first) : Records{}};
  // Without the bound the iterator would look for the next record among all that were removed
  // behind this group. The inodes are hashed: only what is of one inode comes in order.
  const rocksdb::Slice upper = slice(beyond);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper;
  options.prefix_same_as_start = family == Family::inode;
  std::unique_ptr<rocksdb::Iterator> at;
  if (stored[static_cast<std::size_t>(family)]) {
    at.reset(db->NewIterator(options, handle(family)));
    at->Seek(slice(first));
  }
  for (;;) {
    const bool below = at != nullptr && at->Valid();
    std::string_view key = below ? view_of(at->key()) : beyond;
    for (const Records& records : recent) {
      if (!records.empty()) key = std::min(key, records.front()->key());
    }
    if (key >= beyond) break;
    const Recent::Record* newest = nullptr;
    for (Records& records : recent) {
      if (records.empty() || records.front()->key() != key) continue;
      if (newest == nullptr && records.front()->state != Recent::State::unknown) {
        newest = records.front();
      }
      records = records.subspan(1);
    }
    const bool also_below = below && view_of(at->key()) == key;
    const bool present = newest != nullptr ? newest->state == Recent::State::present : also_below;
    if (present && !visit(key, newest != nullptr ? newest->value() : view_of(at->value())))
      return {};
    if (also_below) at->Next();
  }
  if (at == nullptr || at->status().ok()) return {};
  log_error("listing metadata: {}", at->status().ToString());
  return std::unexpected(error_of(at->status()));
}

void MetaStore::Database::change(Family family, std::string_view key, Recent::State state,
                                 std::string_view value) {
  Recent::Record& record = current->at(family, key, Recent::hash_of(family, key));
  undo_.push_back({&record, record.state, record.value_at, record.value_bytes});
  current->set(record, state, value);
  const ChangeHeader header{static_cast<std::uint32_t>(value.size()),
                            static_cast<std::uint16_t>(key.size()), family, state};
  batch_.append(reinterpret_cast<const char*>(&header), sizeof(header));
  batch_.append(key);
  batch_.append(value);
}

Status MetaStore::Database::commit() {
  if (batch_.empty()) return {};
  const Status taken = batch_fits(0) ? journals[0]->append(batch_) : fail(Errc::no_space, ENOSPC);
  if (!taken) {
    roll_back();
    return taken;
  }
  batch_.clear();
  undo_.clear();
  return {};
}

void MetaStore::Database::roll_back() {
  for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) {
    undo->record->state = undo->state;
    undo->record->value_at = undo->value_at;
    undo->record->value_bytes = undo->value_bytes;
  }
  undo_.clear();
  batch_.clear();
}

Status MetaStore::Database::begin_generation() {
  BFS_ASSERT(older == nullptr);
  BFS_CHECK(begun, journals[1]->start(generation_ + 1));
  ++generation_;
  const std::string batch = batch_;
  roll_back();
  std::swap(journals[0], journals[1]);
  older = std::exchange(current, std::make_unique<Recent>());
  stored.fill(true);  // from the first move on
  for_each_change(batch, [this](Family family, Recent::State state, std::string_view key,
                                std::string_view value) { change(family, key, state, value); });
  return {};
}

rocksdb::Status MetaStore::Database::move_down(std::size_t from, std::size_t* moved) {
  rocksdb::WriteBatch writes;
  const auto& all = older->records();
  std::size_t at = from;
  for (; at < all.size() && writes.GetDataSize() < kMoveBytes; ++at) {
    const Recent::Record& record = *all[at];
    if (record.state == Recent::State::unknown) continue;
    const auto added =
        add_change(writes, handle(record.family), record.state, record.key(), record.value());
    if (!added.ok()) return added;
  }
  const auto written = db->Write(rocksdb::WriteOptions(), &writes);
  if (written.ok()) *moved = at - from;
  return written;
}

Status MetaStore::Database::recover(const std::string& directory, std::uint64_t journal_bytes,
                                    bool durable) {
  for (std::size_t i = 0; i < journals.size(); ++i) {
    BFS_TRY(journal, Journal::open(directory + "/journal." + std::to_string(i), journal_bytes));
    journals[i] = std::move(journal);
  }
  if (journals[0]->generation() > journals[1]->generation()) std::swap(journals[0], journals[1]);
  rocksdb::WriteBatch writes;
  const auto write = [&]() -> Status {
    const auto written = db->Write(rocksdb::WriteOptions(), &writes);
    writes.Clear();
    if (written.ok()) return {};
    log_error("writing what the journals in {} have: {}", directory, written.ToString());
    return std::unexpected(error_of(written));
  };
  const auto take = [&](std::string_view batch) -> Status {
    for_each_change(batch, [&](Family family, Recent::State state, std::string_view key,
                               std::string_view value) {
      const auto added = add_change(writes, handle(family), state, key, value);
      BFS_ASSERT(added.ok());
    });
    return writes.GetDataSize() < kMoveBytes ? Status{} : write();
  };
  for (const auto& journal : journals) {
    if (journal->generation() == 0) continue;
    generation_ = journal->generation();
    BFS_CHECK(replayed, journal->replay(take));
  }
  BFS_CHECK(written, write());
  if (durable && generation_ != 0) {
    const auto synced = db->SyncWAL();
    if (!synced.ok()) {
      log_error("syncing the metadata's log in {}: {}", directory, synced.ToString());
      return std::unexpected(error_of(synced));
    }
  }
  for (const auto& journal : journals) {
    BFS_CHECK(cleared, journal->clear(durable));
  }
  BFS_CHECK(begun, journals[0]->start(++generation_));
  for (const Family family : {dentry, inode, system}) {
    rocksdb::ReadOptions options;
    options.total_order_seek = true;
    const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(options, handle(family)));
    at->SeekToFirst();
    stored[static_cast<std::size_t>(family)] = at->Valid() || !at->status().ok();
  }
  return {};
}

}  // namespace benchfs
