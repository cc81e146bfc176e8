// Keys and values of the metadata store, as bytes. Private to metadata/.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/assert.hpp"
#include "base/types.hpp"
#include "wire/messages.hpp"

namespace benchfs::records {

inline constexpr std::uint32_t kFormat = 1;       // of a record
inline constexpr std::uint32_t kStoreFormat = 2;  // of the store: 2 since it has journals
inline constexpr std::string_view kFormatKey = "format";
inline constexpr std::string_view kCounterKey = "counter";
inline constexpr std::string_view kFilesKey = "files";
inline constexpr std::string_view kDropPrefix = "drop";
inline constexpr std::string_view kMarkPrefix = "mark";
inline constexpr std::string_view kRemovalPrefix = "rmdir";
inline constexpr std::string_view kMovePrefix = "move";
inline constexpr std::string_view kAppliedPrefix = "applied";
inline constexpr std::string_view kPermitKey = "permit";

struct EntryRecord {
  std::uint32_t version;
  std::uint32_t type;
  std::uint64_t inode;
};
static_assert(sizeof(EntryRecord) == 16);

struct InodeRecord {
  static constexpr std::uint32_t kSpread = 1, kXattrs = 2;
  std::uint32_t version;
  std::uint32_t flags;
  wire::Attributes attributes;
};
static_assert(sizeof(InodeRecord) == 72);

struct DropRecord {
  std::uint32_t version;
  std::uint32_t remove;
  std::uint32_t spread;
  std::uint32_t zero;
  std::uint64_t inode;
  std::uint64_t size;
};
static_assert(sizeof(DropRecord) == 32);

/// A directory that is closed to new entries, or was removed.
struct MarkRecord {
  std::uint32_t version;
  std::uint32_t state;
  std::uint64_t token;
  std::int64_t since_ns;
};
static_assert(sizeof(MarkRecord) == 24);

/// A removal of a directory whose entry is here, by its token.
struct RemovalRecord {
  std::uint32_t version;
  std::uint32_t state;
  std::uint64_t inode;
};
static_assert(sizeof(RemovalRecord) == 16);

/// A rename, link or removed link that is led from here, by its token.
struct MoveRecord {
  std::uint32_t version;
  std::uint32_t kind, state, flags;
  std::uint64_t moves;
  std::uint64_t inode;
  std::uint64_t from_parent, to_parent;
  std::uint32_t type;
  std::uint16_t from_bytes, to_bytes;
  std::array<char, kNameBytesMax> from, to;
  std::array<char, 2> zero;
};
static_assert(sizeof(MoveRecord) == 568);

/// What was done here for a token of another server, and the entry that was there before.
struct AppliedRecord {
  std::uint32_t version;
  std::uint32_t type;
  std::uint64_t inode;
};
static_assert(sizeof(AppliedRecord) == 16);

/// Big-endian, so that keys sort as numbers.
inline void put_big_endian(char* into, std::uint64_t value) {
  for (int i = 7; i >= 0; --i, value >>= 8) into[i] = static_cast<char>(value & 0xff);
}
inline std::uint64_t get_big_endian(const char* from) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = (value << 8) | static_cast<unsigned char>(from[i]);
  return value;
}

/// A key on the stack.
class Key {
 public:
  std::string_view view() const { return {bytes_.data(), size_}; }
  static Key entry(InodeId parent, std::string_view name) {
    BFS_ASSERT(name.size() <= kNameBytesMax);
    Key key;
    put_big_endian(key.bytes_.data(), parent);
    if (!name.empty()) std::memcpy(key.bytes_.data() + 8, name.data(), name.size());
    key.size_ = 8 + name.size();
    return key;
  }
  static Key inode(InodeId inode) {
    Key key;
    put_big_endian(key.bytes_.data(), inode);
    key.size_ = 8;
    return key;
  }
  /// Beside the inode of a symbolic link: in the same bucket of the inode family.
  static Key target(InodeId inode) {
    Key key = Key::inode(inode);
    key.bytes_[key.size_++] = 't';
    return key;
  }
  /// Beside the inode, too. The key of no name stands before those of all names.
  static Key xattr(InodeId inode, std::string_view name) {
    BFS_ASSERT(name.size() <= kXattrNameBytesMax);
    Key key = Key::inode(inode);
    key.bytes_[key.size_++] = 'x';
    if (!name.empty()) std::memcpy(key.bytes_.data() + key.size_, name.data(), name.size());
    key.size_ += name.size();
    return key;
  }
  static Key drop(std::uint64_t number) { return numbered(kDropPrefix, number); }
  static Key mark(InodeId inode) { return numbered(kMarkPrefix, inode); }
  static Key removal(std::uint64_t token) { return numbered(kRemovalPrefix, token); }
  static Key move(std::uint64_t token) { return numbered(kMovePrefix, token); }
  static Key applied(std::uint64_t token) { return numbered(kAppliedPrefix, token); }

 private:
  static Key numbered(std::string_view prefix, std::uint64_t number) {
    Key key;
    std::memcpy(key.bytes_.data(), prefix.data(), prefix.size());
    put_big_endian(key.bytes_.data() + prefix.size(), number);
    key.size_ = prefix.size() + 8;
    return key;
  }
  static_assert(kXattrNameBytesMax <= kNameBytesMax);
  std::array<char, 8 + 1 + kNameBytesMax> bytes_;
  std::size_t size_ = 0;
};

template <class Record>
std::string_view bytes_of(const Record& record) {
  return {reinterpret_cast<const char*>(&record), sizeof(record)};
}
/// False if the bytes are not such a record of this version.
template <class Record>
bool read(std::string_view bytes, Record& record) {
  if (bytes.size() != sizeof(record)) return false;
  std::memcpy(&record, bytes.data(), sizeof(record));
  if constexpr (requires { record.version; }) return record.version == kFormat;
  return true;
}

}  // namespace benchfs::records
