// RocksDB as the metadata store uses it: handles, the batch of the turn, reads through it. Private
// to metadata/, and apart from meta_store.hpp so that RocksDB's headers stay out of everything
// else.
#pragma once
#include <rocksdb/db.h>
#include <rocksdb/utilities/write_batch_with_index.h>

#include <cerrno>
#include <memory>
#include <string_view>

#include "base/log.hpp"
#include "metadata/meta_store.hpp"
#include "metadata/records.hpp"

namespace benchfs {

inline rocksdb::Slice slice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}

inline Error error_of(const rocksdb::Status& status) {
  if (status.IsNotFound()) return Error{Errc::not_found};
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kNoSpace) {
    return Error{Errc::no_space, ENOSPC};
  }
  return Error{Errc::io, EIO};
}

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

/// Records of the system family whose keys are `prefix` and a number, on the disk.
template <class Record, class Take>
Status read_numbered(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, std::string_view prefix,
                     Take take) {
  const std::unique_ptr<rocksdb::Iterator> at(db.NewIterator(rocksdb::ReadOptions(), family));
  for (at->Seek(slice(prefix)); at->Valid() && at->key().starts_with(slice(prefix)); at->Next()) {
    Record record;
    if (at->key().size() != prefix.size() + 8 ||
        !records::read({at->value().data(), at->value().size()}, record)) {
      log_error("a {} record of the metadata is not of this version", prefix);
      return fail(Errc::io, EIO);
    }
    take(records::get_big_endian(at->key().data() + prefix.size()), record);
  }
  if (!at->status().ok()) return std::unexpected(error_of(at->status()));
  return {};
}

}  // namespace benchfs
