// What the metadata store is made of: recent changes in memory, the journals that keep them, and
// RocksDB below. Private to metadata/, and apart from meta_store.hpp so that RocksDB's headers stay
// out of everything else.
#pragma once
#include <rocksdb/db.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "metadata/journal.hpp"
#include "metadata/meta_store.hpp"
#include "metadata/recent.hpp"
#include "metadata/records.hpp"

namespace benchfs {

inline rocksdb::Slice slice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}

inline std::string_view view_of(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

inline Error error_of(const rocksdb::Status& status) {
  if (status.IsNotFound()) return Error{Errc::not_found};
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kNoSpace) {
    return Error{Errc::no_space, ENOSPC};
  }
  return Error{Errc::io, EIO};
}

/// Reads see, in this order: `current`, with the batch; `older`; RocksDB.
struct MetaStore::Database {
  static constexpr Family dentry = Family::dentry, inode = Family::inode, system = Family::system;

  std::unique_ptr<rocksdb::DB> db;
  rocksdb::ColumnFamilyHandle* fallback = nullptr;
  std::array<rocksdb::ColumnFamilyHandle*, kFamilies> families{};
  /// False while RocksDB has no record of the family, as in a new file system.
  std::array<bool, kFamilies> stored{true, true, true};
  std::unique_ptr<Recent> current = std::make_unique<Recent>();
  std::unique_ptr<Recent> older;  ///< on its way to RocksDB; does not change
  /// Of `current`, and of `older` or empty.
  std::array<std::unique_ptr<Journal>, 2> journals;

  ~Database();
  rocksdb::ColumnFamilyHandle* handle(Family family) const {
    return families[static_cast<std::size_t>(family)];
  }

  // ---- reads ----
  /// take(value) -> Status. not_found; io.
  template <class Take>
  Status look(Family family, std::string_view key, Take take) const {
    const std::uint64_t hash = Recent::hash_of(family, key);
    for (const Recent* recent : {current.get(), older.get()}) {
      if (recent == nullptr) continue;
      const Recent::Record* record = recent->find(family, key, hash);
      if (record == nullptr || record->state == Recent::State::unknown) continue;
      if (record->state == Recent::State::removed) return fail(Errc::not_found);
      return take(record->value());
    }
    if (!stored[static_cast<std::size_t>(family)]) return fail(Errc::not_found);
    rocksdb::PinnableSlice value;
    const auto found = db->Get(rocksdb::ReadOptions(), handle(family), slice(key), &value);
    if (found.ok()) return take(view_of(value));
    if (!found.IsNotFound()) log_error("reading metadata: {}", found.ToString());
    return std::unexpected(error_of(found));
  }
  template <class Record>
  Status get(Family family, std::string_view key, Record& record) const {
    return look(family, key, [&](std::string_view value) -> Status {
      if (records::read(value, record)) return {};
      log_error("a metadata record of {} bytes in {} is not of this version", value.size(),
                handle(family)->GetName());
      return fail(Errc::io, EIO);
    });
  }
  Result<std::string> text(Family family, std::string_view key) const;
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  /// The records of one group (see recent.hpp) from `first` on and before `beyond`, in order, until
  /// `visit` returns false.
  Status list(Family family, std::string_view first, std::string_view beyond,
              const Visit& visit) const;

  // ---- the batch: changes that are not in the journal yet ----
  void change(Family family, std::string_view key, Recent::State state, std::string_view value);
  template <class Record>
  void put(Family family, std::string_view key, const Record& record) {
    change(family, key, Recent::State::present, records::bytes_of(record));
  }
  void put_text(Family family, std::string_view key, std::string_view text) {
    change(family, key, Recent::State::present, text);
  }
  void remove(Family family, std::string_view key) {
    change(family, key, Recent::State::removed, {});
  }
  std::size_t batch_bytes() const { return batch_.size(); }
  /// With `more` bytes of changes it fits into the journal.
  bool batch_fits(std::size_t more) const { return journals[0]->fits(batch_.size() + more); }
  /// Into the journal; or, if that fails, nothing of it has happened.
  Status commit();
  void roll_back();
  /// What is current becomes older, and a new generation begins, with the batch. Only while nothing
  /// is older.
  Status begin_generation();

  // ---- down to RocksDB ----
  /// Some of `older`, from record `from` on; how many. Of any thread, one at a time.
  rocksdb::Status move_down(std::size_t from, std::size_t* moved);
  /// What the journals of the last run have goes to RocksDB; then the first generation begins.
  Status recover(const std::string& directory, std::uint64_t journal_bytes, bool durable);

 private:
  struct Undo {
    Recent::Record* record;
    Recent::State state;
    const char* value_at;
    std::uint32_t value_bytes;
  };
  std::string batch_;  ///< as the journal has it
  std::vector<Undo> undo_;
  std::uint64_t generation_ = 0;
};

/// Records of the system family whose keys are `prefix` and a number.
template <class Record, class Database, class Take>
Status read_numbered(const Database& database, std::string_view prefix, Take take) {
  std::string beyond(prefix);
  ++beyond.back();
  Status outcome;
  const auto visit = [&](std::string_view key, std::string_view value) {
    Record record;
    if (key.size() != prefix.size() + 8 || !records::read(value, record)) {
      log_error("a {} record of the metadata is not of this version", prefix);
      outcome = fail(Errc::io, EIO);
      return false;
    }
    take(records::get_big_endian(key.data() + prefix.size()), record);
    return true;
  };
  BFS_CHECK(listed, database.list(Family::system, prefix, beyond, visit));
  return outcome;
}

}  // namespace benchfs
